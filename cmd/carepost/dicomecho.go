package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

func newDicomEchoCmd() *cobra.Command {
	var f dicomLink
	cmd := &cobra.Command{
		Use:   "echo HOST[:PORT]",
		Short: "Asks a PACS whether it is there (C-ECHO)",
		Long: `Asks for an association and for an answer on it: whether somebody listens there, speaks DICOM, and takes us by our
AE title. Without PORT it is 104, with TLS 2762.

Exit codes: 0 it answered; 1 it could not be reached, or said nothing; 2 wrong usage; 3 it refused us.`,
		Example: `  carepost dicom echo pacs.north.example:11112 --called ARCHIVE
  carepost dicom echo pacs.north.example --tls --ca house-ca.pem`,
		Args: exactlyOne("the other side, as HOST:PORT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := f.client(cmd, args[0])
			if err != nil {
				return err
			}
			began := time.Now()
			if err := c.Echo(cmd.Context()); err != nil {
				return linkError(err)
			}
			took := time.Since(began)
			if asJSON(cmd) {
				return writeJSON(cmd.OutOrStdout(), map[string]any{"address": c.Address, "called": c.Called, "calling": c.Calling,
					"tls": c.TLS != nil, "milliseconds": took.Milliseconds()})
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s at %s answers (%d ms)\n", c.Called, c.Address, took.Milliseconds())
			return err
		},
	}
	f.flags(cmd)
	return reports(cmd)
}
