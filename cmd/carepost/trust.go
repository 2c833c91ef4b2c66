package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"carepost/certificate"
	"carepost/internal/admind"
)

func newTrustCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "trust",
		Short: "Anchors: whose certificates are believed",
		Long: `Anchors are the certificates that this installation believes without further proof: authorities as a rule. Mail is accepted
from, and sealed to, those whose certificate leads to one of them (Direct 4.2). An anchor belongs to the whole domain or to one
address, and counts for mail that comes in, that goes out, or both.`,
		Example: `  carepost trust add network-root.pem
  carepost trust list
  carepost trust remove 3f9a04c2`,
	}
	cmd.AddCommand(newTrustListCmd(), newTrustShowCmd(), newTrustAddCmd(), newTrustRemoveCmd(), newTrustBundleCmd(), newTrustPinCmd(), newTrustPinsCmd(), newTrustUnpinCmd(), newTrustRequestsCmd(), newTrustAcceptCmd(),
		newTrustIntermediateCmd(), newTrustExplainCmd())
	return ofInstallation(cmd)
}

// shortPrint is how much of a fingerprint tables show and commands want at least, in hexadecimal digits.
const shortPrint = 8

func newTrustListCmd() *cobra.Command {
	var owner string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Lists the anchors",
		Long: `Lists the anchors of this installation, or of one owner: the certificate, until when it is valid, when somebody looked at how its
keeper issues certificates, and where it came from. "trust show" tells all that is known of one.`,
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
	t.add("SHA-256", "FOR", "MAIL", "UNTIL", "EVALUATED", "CERTIFICATE", "SOURCE")
	for _, a := range rows {
		t.add(a.SHA256[:min(len(a.SHA256), 2*shortPrint)], a.Owner, inWords(a.Direction), a.NotAfter.UTC().Format(time.DateOnly), evaluatedWhen(a.Evaluation),
			distinguished(a.Subject), orDash(a.Source))
	}
	return t.write(w, 0)
}

// byCertificate puts the rows of both directions together.
func byCertificate(anchors []admind.Anchor) (out []admind.Anchor) {
	at := map[string]int{}
	for _, a := range anchors {
		key := a.Owner + " " + a.SHA256 + " " + a.Bundle
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
		certs, err := certificate.ParseAll(data)
		if err != nil || len(certs) == 0 {
			return nil, usage(fmt.Errorf("%s: no certificate in PEM or DER", f))
		}
		for _, c := range certs {
			out = append(out, anchorFile{f, c})
		}
	}
	return out, nil
}

// findAnchor finds the one that was named by its id or the beginning of its fingerprint.
func findAnchor(anchors []admind.Anchor, name string) (found admind.Anchor, err error) {
	digits := strings.ToLower(strings.ReplaceAll(name, ":", ""))
	n := 0
	for _, a := range anchors {
		if a.ID == name {
			return a, nil
		}
		if len(digits) < shortPrint || !strings.HasPrefix(a.SHA256, digits) {
			continue
		}
		switch {
		case n > 0 && a.Bundle != "" && a.Owner == found.Owner: // the one that was added by itself is meant
		case n > 0 && found.Bundle != "" && a.Bundle == "" && a.Owner == found.Owner:
			found = a
		default:
			found, n = a, n+1
		}
	}
	switch n {
	case 0:
		if len(digits) < shortPrint {
			return found, usage(fmt.Errorf("give %d digits of the fingerprint at least, as carepost trust list shows it", shortPrint))
		}
		return found, usage(errors.New("no anchor has that fingerprint; carepost trust list shows those there are"))
	case 1:
		return found, nil
	}
	return found, usage(errors.New("several anchors are meant: say whose with --for, or give more of the fingerprint"))
}
