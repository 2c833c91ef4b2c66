package main

import (
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"carepost/internal/admind"
)

func newTrustBundleCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bundle",
		Short: "Trust bundles: anchors that somebody keeps for many",
		Long: `A trust bundle is a file of anchors that somebody gives out for many, such as a network of practices: PKCS #7, signed or not. The
gateway fetches it on an interval and puts its anchors in the place of those that it brought before. One that is empty, cannot be
read, is not signed by the one who has to, or has lost more than a third of its anchors is not taken: the anchors before stay, and
"carepost status" warns.`,
		Example: `  carepost trust bundle add network https://network.example/anchors.p7b
  carepost trust bundle list
  carepost trust bundle refresh network`,
	}
	cmd.AddCommand(newBundleListCmd(), newBundleAddCmd(), newBundleRefreshCmd(), newBundleEvaluateCmd(), newBundleRemoveCmd())
	return cmd
}

func newBundleListCmd() *cobra.Command {
	return reports(&cobra.Command{
		Use:                   "list",
		Short:                 "Lists the trust bundles",
		Long:                  "Lists the trust bundles: whose anchors they bring, how many, when one was last found good, and what is wrong.",
		Example:               "  carepost trust bundle list",
		Args:                  cobra.NoArgs,
		DisableFlagsInUseLine: true,
		RunE: asking(func(cmd *cobra.Command, client *admind.Client, _ []string) error {
			all, err := client.Bundles(cmd.Context())
			if err != nil {
				return clientError(err)
			}
			if asJSON(cmd) {
				return writeJSON(cmd.OutOrStdout(), all)
			}
			return listBundles(cmd.OutOrStdout(), all)
		}),
	})
}

func listBundles(w io.Writer, all []admind.Bundle) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "There are no trust bundles: carepost trust bundle add NAME URL")
		return err
	}
	var t table
	t.add("NAME", "FOR", "MAIL", "ANCHORS", "EVERY", "SIGNED", "EVALUATED", "GOOD", "URL")
	for _, b := range all {
		every, signed, seen, anchors := "by hand", "any", "never", fmt.Sprint(b.Anchors)
		if d, err := time.ParseDuration(b.Every); err == nil && d > 0 {
			every = interval(d)
		}
		if len(b.Signers) > 0 {
			signed = "by " + b.Signers[0][:2*shortPrint]
		}
		if !b.Seen.IsZero() {
			seen = b.Seen.Local().Format("2006-01-02 15:04")
		}
		if b.Expired > 0 {
			anchors += fmt.Sprintf(" (%d ended)", b.Expired)
		}
		t.add(b.Name, b.Owner, inWords(b.Direction), anchors, every, signed, evaluatedWhen(b.Evaluation), seen, b.URL)
	}
	if err := t.write(w, 0); err != nil {
		return err
	}
	for _, b := range all {
		if b.Alarm != "" {
			fmt.Fprintf(w, "%s was not taken, the anchors before stay: %s\n", b.Name, plain(b.Alarm))
		}
	}
	return nil
}

// interval is 24h, 10m or 1h30m.
func interval(d time.Duration) string {
	text := d.String()
	for _, none := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, none) {
			text = text[:len(text)-2]
		}
	}
	return text
}

func newBundleAddCmd() *cobra.Command {
	n := admind.NewBundle{}
	var way oneWay
	var said evaluating
	var every time.Duration
	var signers []string
	cmd := &cobra.Command{
		Use:   "add NAME URL",
		Short: "Takes on a trust bundle, and fetches it",
		Long: `Takes on the trust bundle at a URL, and fetches it once. It belongs to the whole domain or to one address, for mail in both directions
or in one. With --signer it must be signed by the holder of that very certificate; without, it must come by https. Everybody whom one
of its anchors certifies is believed from then on: read by which rules they are admitted, and write down with --assured what you found.`,
		Example: `  carepost trust bundle add network https://network.example/anchors.p7b
  carepost trust bundle add clinics http://clinics.example/b.p7m --signer them.pem`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			n.Name, n.URL, n.Direction, n.Seconds = args[0], args[1], way.direction(), int64(every/time.Second)
			if every%time.Second != 0 {
				return usage(errors.New("--every: whole seconds, such as 12h"))
			}
			if n.Evaluation, err = said.said(); err != nil {
				return err
			}
			certs, err := anchorFiles(signers)
			if err != nil {
				return err
			}
			for _, c := range certs {
				n.Signers = append(n.Signers, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.cert.Raw})))
			}
			client, done, err := connect(cmd)
			if err != nil {
				return err
			}
			defer done()
			if err := client.AddBundle(cmd.Context(), n); err != nil {
				return clientError(err)
			}
			if err := refreshBundle(cmd, client, n.Name, false); err != nil {
				fmt.Fprintf(cmd.ErrOrStderr(), "%s is on the list all the same, without anchors%s. To give it up:  %s\n",
					plain(n.Name), triedAgain(n.Seconds), again(cmd, "trust bundle remove", shellWord(n.Name)))
				return err
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&n.Owner, "for", "", "trusted by this `OWNER`: a domain or address of this installation (default: its only domain)")
	flags.DurationVar(&every, "every", 24*time.Hour, "how often it is fetched, such as 12h; 0: by hand alone")
	flags.StringArrayVar(&signers, "signer", nil, "certificate of who must sign it, `FILE` in PEM or DER; may be repeated")
	flags.IntVar(&n.Shrink, "shrink", 0, "how many `PERCENT` of its anchors may go at once (default: a third)")
	way.register(cmd)
	said.register(cmd)
	return reports(cmd)
}

// triedAgain says what becomes of a bundle that could not be taken at once; 0 seconds: it is fetched by hand alone.
func triedAgain(seconds int64) string {
	if seconds == 0 {
		return ", until carepost trust bundle refresh takes it"
	}
	return ", and the gateway goes on trying"
}

func newBundleRefreshCmd() *cobra.Command {
	var accept bool
	cmd := &cobra.Command{
		Use:   "refresh NAME",
		Short: "Fetches a trust bundle now",
		Long: `Fetches a trust bundle now and says what has changed. --accept-shrink takes one that has lost many of its anchors: ask who gives it
out first, for whoever could take anchors away could put others in their place. An empty one is never taken: remove the bundle.

Exit codes: 0 it is as it should be; 1 it could not be fetched now; 3 it was not taken. In both cases the anchors before stay.`,
		Example: "  carepost trust bundle refresh network",
		Args:    cobra.ExactArgs(1),
		RunE: asking(func(cmd *cobra.Command, client *admind.Client, args []string) error {
			return refreshBundle(cmd, client, args[0], accept)
		}),
	}
	cmd.Flags().BoolVar(&accept, "accept-shrink", false, "take it although many of its anchors are gone")
	return reports(cmd)
}

func refreshBundle(cmd *cobra.Command, client *admind.Client, name string, accept bool) error {
	c, err := client.RefreshBundle(cmd.Context(), name, accept)
	if err != nil {
		return clientError(err)
	}
	if asJSON(cmd) {
		return writeJSON(cmd.OutOrStdout(), c)
	}
	w := cmd.OutOrStdout()
	if c.Same {
		fmt.Fprintf(w, "%s is as it was: %d anchors\n", c.Name, c.Anchors)
	} else {
		fmt.Fprintf(w, "%s brings %d anchors now: %d new, %d gone\n", c.Name, c.Anchors, len(c.Added), len(c.Removed))
	}
	for _, p := range c.Added {
		fmt.Fprintf(w, "  new   %s\n", p)
	}
	for _, p := range c.Removed {
		fmt.Fprintf(w, "  gone  %s\n", p)
	}
	if c.Expired > 0 {
		fmt.Fprintf(w, "%d of them have ended and are trusted for nothing\n", c.Expired)
	}
	if c.Unreadable > 0 {
		fmt.Fprintf(w, "%d entries could not be read as certificates\n", c.Unreadable)
	}
	return nil
}

func newBundleEvaluateCmd() *cobra.Command {
	var said evaluating
	cmd := &cobra.Command{
		Use:     "evaluate NAME",
		Short:   "Writes down what was found about who gives a trust bundle out",
		Long:    "Writes down by which rules the anchors of a trust bundle are admitted, as you found them, in the place of what was written before.",
		Example: `  carepost trust bundle evaluate network --assured "as last year" --review 2028-06-30`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := said.said()
			if err != nil {
				return err
			}
			if e == nil {
				return usage(errors.New("--assured is missing: say what was found"))
			}
			client, done, err := connect(cmd)
			if err != nil {
				return err
			}
			defer done()
			if err := client.EvaluateBundle(cmd.Context(), args[0], *e); err != nil {
				return clientError(err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "Written down for %s: carepost trust bundle list shows when.\n", plain(args[0]))
			return err
		},
	}
	said.register(cmd)
	return cmd
}

func newBundleRemoveCmd() *cobra.Command {
	return &cobra.Command{
		Use:                   "remove NAME",
		Short:                 "Gives a trust bundle up, with its anchors",
		Long:                  "Gives a trust bundle up. The anchors that it brought are trusted no longer, unless they were added by themselves too.",
		Example:               "  carepost trust bundle remove network",
		Args:                  cobra.ExactArgs(1),
		DisableFlagsInUseLine: true,
		RunE: asking(func(cmd *cobra.Command, client *admind.Client, args []string) error {
			if err := client.RemoveBundle(cmd.Context(), args[0]); err != nil {
				return clientError(err)
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s is given up, and its anchors with it.\n", plain(args[0]))
			return err
		}),
	}
}
