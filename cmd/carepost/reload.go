package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"carepost/internal/admind"
)

func newReloadCmd() *cobra.Command {
	return ofInstallation(reports(&cobra.Command{
		Use:   "reload",
		Short: "Has a running gateway read its configuration again",
		Long: `Has the gateway read carepost.toml, the partners' cards and the TLS certificate again, as SIGHUP does; sessions go on. Where something
in the files is wrong, it says what and in which line, and nothing changes. Some changes take effect at the next start only, those
of domain, hostname, address, listeners, publication, store, queue and policy among them: they are named here and in the log.`,
		Example:               "  carepost reload --config /srv/carepost",
		Args:                  cobra.NoArgs,
		DisableFlagsInUseLine: true,
		RunE: asking(func(cmd *cobra.Command, client *admind.Client, _ []string) error {
			s, err := client.Status(cmd.Context())
			if err != nil {
				return clientError(err)
			}
			done, err := client.Reload(cmd.Context())
			if err != nil {
				return clientError(err)
			}
			if !s.Serving {
				return notNow(errors.New("the files are in order, but no gateway runs: carepost serve starts it"))
			}
			w := cmd.OutOrStdout()
			if asJSON(cmd) {
				done.Later = append([]string{}, done.Later...) // [] where there are none
				return writeJSON(w, done)
			}
			if len(done.Later) > 0 {
				_, err = fmt.Fprintf(w, "The files are in order. The change of %s takes effect when the gateway is started again; the rest is in use.\n", strings.Join(done.Later, ", "))
				return err
			}
			_, err = fmt.Fprintln(w, "The files are in order and in use.")
			return err
		}),
	}))
}
