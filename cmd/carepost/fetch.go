package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"carepost/internal/admind"
)

func newFetchCmd() *cobra.Command {
	patience := 10 * time.Minute
	cmd := &cobra.Command{
		Use:   "fetch",
		Short: "Fetches mail from providers and sends what waits, now",
		Long: `For a practice without a connection of its own at all times. Fetches the mail
that lies at the providers of carepost.toml ([[collect]]), whatever their
interval, and tries at once what waits to be sent. It ends when nothing more
moves, so that the connection can be closed then, or when --for is over; the
gateway goes on by itself.

Exit codes: 0 all is fetched and sent; 1 something still waits, or a provider
gave no mail: it is tried again.`,
		Example: `  carepost fetch
  carepost fetch --for 2m --json
  carepost fetch list`,
		Args:                  cobra.NoArgs,
		DisableFlagsInUseLine: true,
		RunE: asking(func(cmd *cobra.Command, c *admind.Client, _ []string) error {
			if patience < time.Second || patience > 12*time.Hour {
				return usage(fmt.Errorf("--for is between 1s and 12h"))
			}
			out, err := c.FetchNow(cmd.Context(), patience)
			if err != nil {
				return clientError(err)
			}
			if asJSON(cmd) {
				err = writeJSON(cmd.OutOrStdout(), out)
			} else {
				err = tellFetched(cmd.OutOrStdout(), out)
			}
			if err == nil && !allFetched(out) {
				return notNow(fmt.Errorf("not everything went; the gateway tries again by itself:  %s", again(cmd, "status", "")))
			}
			return err
		}),
	}
	cmd.Flags().DurationVar(&patience, "for", patience, "how long to wait at most")
	cmd.AddCommand(newFetchListCmd(), newFetchRetryCmd())
	return ofInstallation(reports(cmd))
}

func allFetched(f admind.Fetched) bool {
	for _, m := range f.Mailboxes {
		if m.Error != "" {
			return false
		}
	}
	return f.Due == 0 && f.Waiting == 0
}

func tellFetched(w io.Writer, f admind.Fetched) error {
	var b strings.Builder
	for _, m := range f.Mailboxes {
		fmt.Fprintf(&b, "%-12s %d fetched", m.Name, m.Taken)
		if m.Refused > 0 {
			fmt.Fprintf(&b, ", %d stay there (carepost fetch list tells why)", m.Refused)
		}
		if m.Error != "" {
			fmt.Fprintf(&b, "; %s", plain(m.Error))
		}
		b.WriteString("\n")
	}
	if len(f.Mailboxes) == 0 {
		b.WriteString("no mail is fetched: carepost.toml has no [[collect]]\n")
	}
	switch {
	case f.Due+f.Waiting == 0:
		b.WriteString("nothing waits to be sent or opened\n")
	default:
		fmt.Fprintf(&b, "%d still at work, %d wait for another try: carepost queue list\n", f.Due, f.Waiting)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func newFetchListCmd() *cobra.Command {
	return reports(&cobra.Command{
		Use:   "list",
		Short: "Tells how the fetching from providers goes",
		Long: `Lists the mailboxes of carepost.toml ([[collect]]): when everything that lay
there was fetched last, when it is tried next, and what went wrong. Mails that
cannot be taken as they are stay at the provider; below the table they are
listed with the reason.`,
		Example: `  carepost fetch list
  carepost fetch list --json`,
		Args:                  cobra.NoArgs,
		DisableFlagsInUseLine: true,
		RunE: asking(func(cmd *cobra.Command, c *admind.Client, _ []string) error {
			all, err := c.Collecting(cmd.Context())
			if err != nil {
				return clientError(err)
			}
			if asJSON(cmd) {
				return writeJSON(cmd.OutOrStdout(), all)
			}
			return tellCollecting(cmd.OutOrStdout(), all, time.Now())
		}),
	})
}

func tellCollecting(w io.Writer, all []admind.Collecting, now time.Time) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "no mail is fetched: carepost.toml has no [[collect]]")
		return err
	}
	moment := func(t *time.Time, none string) string {
		if t == nil {
			return none
		}
		return age(*t, now)
	}
	var t table
	t.add("NAME", "FOR", "FETCHED", "NEXT", "KEPT THERE", "ERROR")
	for _, c := range all {
		next := moment(c.Next, "by hand")
		if c.Next != nil && !c.Next.After(now) {
			next = "now"
		}
		t.add(c.Name, c.For, moment(c.Heard, "never"), next, fmt.Sprint(c.Kept), orDash(plain(c.Error)))
	}
	if err := t.write(w, columns(os.Stdout)); err != nil {
		return err
	}
	for _, c := range all {
		for _, r := range c.Refused {
			if _, err := fmt.Fprintf(w, "%s: stays at the provider (%d bytes, looked at %s): %s\n", c.Name, r.Size, age(r.At, now), plain(r.Reason)); err != nil {
				return err
			}
		}
	}
	return nil
}

func newFetchRetryCmd() *cobra.Command {
	return reports(&cobra.Command{
		Use:                   "retry NAME",
		Short:                 "Has mails looked at again that stayed at a provider",
		Long:                  "Forgets that mails of this mailbox were refused: the next round tries them anew.",
		Example:               "  carepost fetch retry provider",
		Args:                  exactlyOne("the name of a mailbox, as carepost fetch list shows it"),
		DisableFlagsInUseLine: true,
		RunE: asking(func(cmd *cobra.Command, c *admind.Client, args []string) error {
			out, err := c.RetryCollect(cmd.Context(), args[0])
			if err != nil {
				return clientError(err)
			}
			if asJSON(cmd) {
				return writeJSON(cmd.OutOrStdout(), out)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s looked at again when mail is fetched next (at once: carepost fetch)\n",
				plural(int(out.Mails), "mail is", "mails are"))
			return err
		}),
	})
}
