package main

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"carepost/internal/admind"
	"carepost/internal/config"
)

func newTrustPinCmd() *cobra.Command {
	var owner, mail, vouched, source string
	cmd := &cobra.Command{
		Use:   "pin ADDRESS FILE",
		Short: "Believes one certificate for one address of a partner",
		Long: `Believes a certificate for exactly one address, self-signed or not, in the place of the one believed for it so far (Direct 4.2.3). It
speaks for nobody else: neither for other addresses that it names, nor for certificates that it has signed. Before, have its holder
read the fingerprint out by telephone, at a number that you know from elsewhere, and write down with --vouched who did. What the
holder wrote and was set aside is judged again. --from-mail takes the certificate from a letter that "trust requests" lists.`,
		Example: `  carepost trust pin lee@south.example lee.pem --vouched "Dr Lee by telephone"
  carepost trust pins
  carepost trust unpin lee@south.example`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := parseAddress("", args[0])
			if err != nil {
				return err
			}
			if (mail == "") == (len(args) == 1) {
				return usage(errors.New("name either a FILE with the certificate, or with --from-mail the letter that brought it"))
			}
			n := admind.NewPin{Owner: owner, Address: a, Source: source, Vouched: vouched}
			if mail == "" {
				certs, err := anchorFiles(args[1:])
				if err != nil {
					return err
				}
				if len(certs) != 1 {
					return usage(fmt.Errorf("%s: holds %d certificates: one is pinned", args[1], len(certs)))
				}
				if n.PEM = pemOf(certs[0].cert); n.Source == "" {
					n.Source = "file " + filepath.Base(args[1])
				}
			}
			client, done, err := connect(cmd)
			if err != nil {
				return err
			}
			defer done()
			p, err := pinTo(cmd, client, n, mail)
			if err != nil {
				return err
			}
			return tellPinned(cmd, p)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&owner, "for", "", "believed by this `OWNER`: a domain or address of this installation (default: its only domain; with --from-mail whom it was written to)")
	flags.StringVar(&mail, "from-mail", "", "the certificate that signed this letter: its `ID` in \"trust requests\"")
	flags.StringVar(&vouched, "vouched", "", "who has compared the fingerprint, and how: `WORDS`")
	flags.StringVar(&source, "source", "", "where the certificate came from, in your words (default: the file's name)")
	return reports(cmd)
}

func pemOf(c *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}

// pinTo pins the certificate of a file, or of a letter.
func pinTo(cmd *cobra.Command, client *admind.Client, n admind.NewPin, mail string) (p admind.Pin, err error) {
	if mail == "" {
		p, err = client.Pin(cmd.Context(), n)
		return p, clientError(err)
	}
	all, err := client.TrustRequests(cmd.Context())
	if err != nil {
		return p, clientError(err)
	}
	i := slices.IndexFunc(all, func(r admind.TrustRequest) bool { return r.ID == mail })
	if i < 0 {
		return p, usage(errors.New("no letter of that id waits; carepost trust requests lists those that do"))
	}
	if !all[i].Sender.Equal(n.Address) {
		return p, usage(errors.New("that letter is from another address"))
	}
	p, err = client.AcceptRequest(cmd.Context(), mail, admind.Acceptance{Owner: n.Owner, Vouched: n.Vouched})
	return p, clientError(err)
}

func tellPinned(cmd *cobra.Command, p admind.Pin) error {
	if asJSON(cmd) {
		return writeJSON(cmd.OutOrStdout(), p)
	}
	w := cmd.OutOrStdout()
	fmt.Fprintf(w, "%s believes this certificate for %s from now on, and for nobody else:\n  %s\n", p.Owner, p.Address, plain(distinguished(p.Subject)))
	fmt.Fprintf(w, "Fingerprint:\n%s\nIt ends on %s: another has to be pinned before.\n", printOf(p.PEM, "  "), p.NotAfter.UTC().Format(time.DateOnly))
	if p.Vouched == "" {
		fmt.Fprintln(w, "Nobody has vouched for it: compare the fingerprint by telephone, and give the command again with --vouched.")
	}
	if p.Waiting > 0 {
		fmt.Fprintf(w, "%d letter%s that had been set aside %s judged again.\n", p.Waiting, map[bool]string{true: "", false: "s"}[p.Waiting == 1],
			map[bool]string{true: "is", false: "are"}[p.Waiting == 1])
	}
	return nil
}

// printOf is a fingerprint in groups to be read out, in two lines.
func printOf(text, indent string) string {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return ""
	}
	g := strings.Fields(config.Fingerprint(&x509.Certificate{Raw: block.Bytes}))
	return indent + strings.Join(g[:len(g)/2], " ") + "\n" + indent + strings.Join(g[len(g)/2:], " ")
}

func newTrustPinsCmd() *cobra.Command {
	var owner string
	cmd := &cobra.Command{
		Use:     "pins",
		Short:   "Lists the pinned certificates",
		Long:    "Lists the certificates that are believed for one address each: who vouched for them, and when.",
		Example: "  carepost trust pins",
		Args:    cobra.NoArgs,
		RunE: asking(func(cmd *cobra.Command, client *admind.Client, _ []string) error {
			all, err := client.Pins(cmd.Context(), owner)
			if err != nil {
				return clientError(err)
			}
			if asJSON(cmd) {
				return writeJSON(cmd.OutOrStdout(), all)
			}
			return listPins(cmd.OutOrStdout(), all)
		}),
	}
	cmd.Flags().StringVar(&owner, "for", "", "those of this `OWNER` alone: a domain or address of this installation")
	return reports(cmd)
}

func listPins(w io.Writer, all []admind.Pin) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "No certificate is pinned: carepost trust pin ADDRESS FILE")
		return err
	}
	var t table
	t.add("ADDRESS", "SHA-256", "FOR", "UNTIL", "SINCE", "VOUCHED", "BY")
	for _, p := range all {
		t.add(p.Address.String(), p.SHA256[:2*shortPrint], p.Owner, p.NotAfter.UTC().Format(time.DateOnly), p.Added.Local().Format("2006-01-02 15:04"),
			orDash(p.Vouched), orDash(p.By))
	}
	return t.write(w, 0)
}

func newTrustUnpinCmd() *cobra.Command {
	var owner string
	cmd := &cobra.Command{
		Use:     "unpin ADDRESS",
		Short:   "Believes the certificate pinned for an address no longer",
		Long:    "Believes the certificate that is pinned for an address no longer. Mail already delivered stays.",
		Example: "  carepost trust unpin lee@south.example",
		Args:    cobra.ExactArgs(1),
		RunE: asking(func(cmd *cobra.Command, client *admind.Client, args []string) error {
			a, err := parseAddress("", args[0])
			if err != nil {
				return err
			}
			all, err := client.Pins(cmd.Context(), owner)
			if err != nil {
				return clientError(err)
			}
			all = slices.DeleteFunc(all, func(p admind.Pin) bool { return !p.Address.Equal(a) })
			switch len(all) {
			case 0:
				return usage(errors.New("no certificate is pinned for that address"))
			case 1:
				if err := client.Unpin(cmd.Context(), all[0].ID); err != nil {
					return clientError(err)
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s believes the pinned certificate of %s no longer.\n", plain(all[0].Owner), all[0].Address)
				return err
			}
			return usage(errors.New("several of us believe one for that address: say whose with --for"))
		}),
	}
	cmd.Flags().StringVar(&owner, "for", "", "of this `OWNER`: a domain or address of this installation")
	return cmd
}
