package main

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"carepost/internal/admind"
	"carepost/internal/config"
)

func newTrustCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "trust",
		Short: "Anchors: whose certificates are believed",
		Long: `Anchors are the certificates that this installation believes without further proof: authorities as a rule. Mail is accepted
from, and sealed to, those whose certificate leads to one of them (Direct 4.2). An anchor belongs to the whole domain or to one
address.`,
		Example: `  carepost trust add network-root.pem
  carepost trust list
  carepost trust remove 3f9a04c2`,
	}
	cmd.AddCommand(newTrustListCmd(), newTrustAddCmd(), newTrustRemoveCmd(), newTrustExplainCmd())
	return ofInstallation(cmd)
}

// shortPrint is how much of a fingerprint tables show and commands want at least, in hexadecimal digits.
const shortPrint = 8

func newTrustListCmd() *cobra.Command {
	var owner string
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "Lists the anchors",
		Long:    "Lists the anchors of this installation, or of one owner: the certificate, until when it is valid, and where it came from.",
		Example: "  carepost trust list --for lab@north.example",
		Args:    cobra.NoArgs,
		RunE: asking(func(cmd *cobra.Command, client *admind.Client, _ []string) error {
			anchors, err := client.Anchors(cmd.Context(), owner)
			if err != nil {
				return clientError(err)
			}
			if asJSON(cmd) {
				return writeJSON(cmd.OutOrStdout(), append([]admind.Anchor{}, anchors...)) // [] where there are none
			}
			return listAnchors(cmd.OutOrStdout(), anchors)
		}),
	}
	cmd.Flags().StringVar(&owner, "for", "", "those of this `OWNER` alone: a domain or address of this installation")
	return reports(cmd)
}

func listAnchors(w io.Writer, anchors []admind.Anchor) error {
	rows := byCertificate(anchors)
	if len(rows) == 0 {
		_, err := fmt.Fprintln(w, "Nobody is trusted yet: carepost trust add FILE")
		return err
	}
	var t table
	t.add("SHA-256", "FOR", "MAIL", "UNTIL", "CERTIFICATE", "SOURCE")
	for _, a := range rows {
		t.add(a.SHA256[:min(len(a.SHA256), 2*shortPrint)], a.Owner, a.Direction, a.NotAfter.UTC().Format(time.DateOnly), distinguished(a.Subject), orDash(a.Source))
	}
	return t.write(w, 0)
}

// byCertificate puts the rows of both directions together.
func byCertificate(anchors []admind.Anchor) (out []admind.Anchor) {
	at := map[string]int{}
	for _, a := range anchors {
		key := a.Owner + " " + a.SHA256
		if i, there := at[key]; there {
			if out[i].Direction != a.Direction {
				out[i].Direction = "both"
			}
			continue
		}
		at[key] = len(out)
		out = append(out, a)
	}
	return out
}

func newTrustAddCmd() *cobra.Command {
	var owner, source string
	cmd := &cobra.Command{
		Use:   "add FILE…",
		Short: "Trusts certificates, for mail in both directions",
		Long: `Trusts every certificate of the files, PEM or DER, for mail in both directions. From then on everybody whom such an authority
has certified is believed to be who the certificate says: compare the fingerprint with its owner by another way, such as the
telephone.`,
		Example: `  carepost trust add network-root.pem
  carepost trust add partner.pem --for lab@north.example --source "their letter"`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			certs, err := anchorFiles(files)
			if err != nil {
				return err
			}
			client, done, err := connect(cmd)
			if err != nil {
				return err
			}
			defer done()
			var all []admind.Anchor
			for _, c := range certs {
				from := source
				if from == "" {
					from = "file " + filepath.Base(c.file)
				}
				text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.cert.Raw})
				added, err := client.AddAnchor(cmd.Context(), admind.NewAnchor{Owner: owner, PEM: string(text), Source: from})
				if err != nil {
					return clientError(err)
				}
				all = append(all, added...)
				if !asJSON(cmd) {
					fmt.Fprintf(cmd.OutOrStdout(), "Trusted: %s\nFingerprint, to compare by telephone:\n  %s\n",
						plain(distinguished(c.cert.Subject.String())), config.Fingerprint(c.cert))
				}
			}
			if asJSON(cmd) {
				return writeJSON(cmd.OutOrStdout(), all)
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&owner, "for", "", "trusted by this `OWNER`: a domain or address of this installation (default: its only domain)")
	flags.StringVar(&source, "source", "", "where the certificate came from, in your words (default: the file's name)")
	return reports(cmd)
}

// anchorFile is a certificate and the file it stood in.
type anchorFile struct {
	file string
	cert *x509.Certificate
}

func anchorFiles(files []string) (out []anchorFile, err error) {
	for _, f := range files {
		data, err := readBounded(f)
		if p := (*fs.PathError)(nil); errors.As(err, &p) {
			err = p.Err
		}
		if err != nil {
			return nil, usage(fmt.Errorf("%s: %w", f, err))
		}
		certs, err := x509.ParseCertificates(unarmoured(data, "CERTIFICATE"))
		if err != nil || len(certs) == 0 {
			return nil, usage(fmt.Errorf("%s: no certificate in PEM or DER", f))
		}
		for _, c := range certs {
			out = append(out, anchorFile{f, c})
		}
	}
	return out, nil
}

func newTrustRemoveCmd() *cobra.Command {
	var owner string
	cmd := &cobra.Command{
		Use:   "remove SHA-256",
		Short: "Trusts a certificate no longer",
		Long: fmt.Sprintf(`Takes the trust in a certificate away, in both directions. It is named by its fingerprint as "trust list" shows it, the first %d
digits at least, or by its id. Mail already delivered stays.`, shortPrint),
		Example: `  carepost trust remove 3f9a04c2`,
		Args:    cobra.MinimumNArgs(1), // a fingerprint in groups
		RunE: asking(func(cmd *cobra.Command, client *admind.Client, args []string) error {
			anchors, err := client.Anchors(cmd.Context(), owner)
			if err != nil {
				return clientError(err)
			}
			a, err := findAnchor(byCertificate(anchors), strings.Join(args, ""))
			if err != nil {
				return err
			}
			if err := client.RemoveAnchor(cmd.Context(), a.ID); err != nil {
				return clientError(err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s trusts it no longer: %s\n", a.Owner, plain(distinguished(a.Subject)))
			return err
		}),
	}
	cmd.Flags().StringVar(&owner, "for", "", "of this `OWNER`: a domain or address of this installation")
	return cmd
}

// findAnchor finds the one that was named by its id or the beginning of its fingerprint.
func findAnchor(anchors []admind.Anchor, name string) (found admind.Anchor, err error) {
	digits := strings.ToLower(strings.ReplaceAll(name, ":", ""))
	n := 0
	for _, a := range anchors {
		if a.ID == name {
			return a, nil
		}
		if len(digits) >= shortPrint && strings.HasPrefix(a.SHA256, digits) {
			found, n = a, n+1
		}
	}
	switch n {
	case 0:
		return found, usage(errors.New("no anchor has that fingerprint; carepost trust list shows those there are"))
	case 1:
		return found, nil
	}
	return found, usage(errors.New("several anchors are meant: say whose with --for, or give more of the fingerprint"))
}
