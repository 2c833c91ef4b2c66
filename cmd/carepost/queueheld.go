package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"carepost/internal/admind"
)

func newQueueHeldCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "held",
		Short: "Lists the mail that waits for somebody to release it",
		Long: `A [[rule]] of carepost.toml with hold = true has mail wait until a person lets
it go. "carepost queue release" does, "carepost queue cancel" turns it away and
tells its sender. What nobody releases until UNTIL is turned away as well.`,
		Example: `  carepost queue held
  carepost queue release 01JD3Z…
  carepost queue cancel 01JD3Z…`,
		Args:                  cobra.NoArgs,
		DisableFlagsInUseLine: true,
		RunE: asking(func(cmd *cobra.Command, c *admind.Client, _ []string) error {
			all, err := c.HeldMail(cmd.Context())
			if err != nil {
				return clientError(err)
			}
			if asJSON(cmd) {
				return writeJSON(cmd.OutOrStdout(), all)
			}
			return printHeld(cmd, all)
		}),
	}
	return reports(cmd)
}

func printHeld(cmd *cobra.Command, all []admind.HeldMail) error {
	out, now := cmd.OutOrStdout(), time.Now()
	if len(all) == 0 {
		_, err := fmt.Fprintln(out, "nothing waits to be released")
		return err
	}
	var t table
	t.add("ID", "WAY", "FROM", "TO", "BYTES", "WAITS", "UNTIL")
	for _, h := range all {
		t.add(h.ID, h.Direction, orDash(plain(h.From)), plain(h.To), fmt.Sprint(h.Size), age(h.Since, now), age(h.Until, now))
	}
	return t.write(out, columns(os.Stdout))
}
