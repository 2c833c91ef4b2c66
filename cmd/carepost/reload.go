package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"carepost/internal/admind"
)

func newReloadCmd() *cobra.Command {
	return ofInstallation(&cobra.Command{
		Use:   "reload",
		Short: "Has a running gateway read its configuration again",
		Long: `Has the gateway read carepost.toml, the partners' cards and the TLS certificate again, as SIGHUP does; sessions go on. Where something
in the files is wrong, it says what and in which line, and nothing changes. What takes effect at the next start only is named in
the gateway's log: domain, hostname, address, listeners, publication, store, queue, policy.`,
		Args:                  cobra.NoArgs,
		DisableFlagsInUseLine: true,
		RunE: asking(func(cmd *cobra.Command, client *admind.Client, _ []string) error {
			s, err := client.Status(cmd.Context())
			if err != nil {
				return clientError(err)
			}
			if err := client.Reload(cmd.Context()); err != nil {
				return clientError(err)
			}
			if !s.Serving {
				return notNow(errors.New("the files are in order, but no gateway runs: carepost serve starts it"))
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "The files are in order and in use.")
			return err
		}),
	})
}
