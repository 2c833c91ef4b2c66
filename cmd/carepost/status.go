package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"carepost/internal/admind"
)

func newStatusCmd() *cobra.Command {
	return ofInstallation(reports(&cobra.Command{
		Use:   "status",
		Short: "Says whether a gateway runs, and what needs a look",
		Long: `Says whether the installation's gateway runs, since when and where it listens, and warns of what needs somebody's attention: certificates and
anchors that come to their end, bundles that were not taken, evaluations that are due, what is published or not, stored bodies that are
damaged, settings of the database that could lose mail.

Exit codes: 0 it runs; 1 it does not.`,
		Example: `  carepost status
  carepost status --json`,
		Args:                  cobra.NoArgs,
		DisableFlagsInUseLine: true,
		RunE: asking(func(cmd *cobra.Command, client *admind.Client, _ []string) error {
			s, err := client.Status(cmd.Context())
			if err != nil {
				return clientError(err)
			}
			if asJSON(cmd) {
				err = writeJSON(cmd.OutOrStdout(), s)
			} else {
				err = tellStatus(cmd.OutOrStdout(), s, time.Now())
			}
			if err == nil && !s.Serving {
				return notNow(fmt.Errorf("no gateway runs; this starts it:  %s", again(cmd, "serve", "")))
			}
			return err
		}),
	}))
}

func tellStatus(w io.Writer, s admind.Status, now time.Time) error {
	var b strings.Builder
	for _, d := range s.Domains {
		fmt.Fprintf(&b, "domain       %s\n", d)
	}
	if s.Serving {
		fmt.Fprintf(&b, "running      %s, since %s\n", age(s.Started, now), s.Started.Local().Format("2006-01-02 15:04:05"))
	}
	fmt.Fprintf(&b, "version      %s\nstore        %s\n", s.Version, s.Engine)
	for _, name := range slices.Sorted(maps.Keys(s.Listeners)) {
		fmt.Fprintf(&b, "%-12s %s\n", name, s.Listeners[name])
	}
	for _, warning := range s.Warnings {
		fmt.Fprintf(&b, "warning      %s\n", plain(warning))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
