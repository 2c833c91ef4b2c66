package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"carepost/internal/admind"
)

func newCertFlushCmd() *cobra.Command {
	var asJSON bool
	cmd := ofInstallation(&cobra.Command{
		Use:   "flush",
		Short: "Has a running gateway look certificates of others up anew",
		Long: `Has a running gateway forget what it keeps of others: answers of DNS and LDAP, certificates that were fetched, LDAP servers that did not
answer. The next message looks all that up anew. It is of use when a partner has just published another certificate; by itself
the gateway sees it within an hour at the latest. What was remembered from signed mail stays, and so do revocation lists.`,
		Example: `  carepost cert flush
  carepost cert flush --json`,
		Args:                  cobra.NoArgs,
		DisableFlagsInUseLine: true,
		RunE: asking(func(cmd *cobra.Command, client *admind.Client, _ []string) error {
			s, err := client.Status(cmd.Context())
			if err != nil {
				return clientError(err)
			}
			if s.Serving { // where none runs, nothing is kept
				if err := client.Flush(cmd.Context()); err != nil {
					return clientError(err)
				}
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]bool{"flushed": s.Serving})
			}
			text := "Forgotten. Certificates of others are looked up anew from now on."
			if !s.Serving {
				text = "No gateway runs, and so nothing is kept that could be forgotten."
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), text)
			return err
		}),
	})
	cmd.Flags().BoolVar(&asJSON, "json", false, "write JSON")
	return cmd
}
