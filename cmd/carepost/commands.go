package main

import "github.com/spf13/cobra"

// commands lists the verbs in the order in which a newcomer meets them. Each stands in a file of its own name.
func commands() []*cobra.Command {
	return []*cobra.Command{
		newDemoCmd(),
		newInitCmd(), newServeCmd(), newStatusCmd(), newReloadCmd(), newAccountCmd(), newPartnerCmd(), newTrustCmd(),
		newSendCmd(), newHelloCmd(), newMailCmd(), newTransferCmd(), newQueueCmd(), newFetchCmd(), newWebhookCmd(), newBackupCmd(), newAuditCmd(), newKeyCmd(),
		newDicomCmd(), newXDMCmd(), newSealCmd(), newOpenCmd(), newCertCmd(),
	}
}
