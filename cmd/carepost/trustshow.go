package main

import (
	"encoding/pem"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"carepost/certificate"
	"carepost/internal/admind"
	"carepost/internal/config"
)

func newTrustShowCmd() *cobra.Command {
	var owner string
	cmd := &cobra.Command{
		Use:     "show SHA-256",
		Short:   "Tells all that is known of an anchor",
		Long:    "Tells all that is known of an anchor: the certificate, its fingerprint in groups to be read out, and what was found about its keeper.",
		Example: `  carepost trust show 3f9a04c2`,
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
			if asJSON(cmd) {
				return writeJSON(cmd.OutOrStdout(), a)
			}
			tellAnchor(cmd.OutOrStdout(), a)
			return nil
		}),
	}
	cmd.Flags().StringVar(&owner, "for", "", "of this `OWNER`: a domain or address of this installation")
	return reports(cmd)
}

// kinds of anchors, in words.
var kinds = map[string]string{
	"authority": "an authority: vouches for all whom it certifies", "intermediate": "an authority below another: vouches for all whom it certifies",
	"self-signed": "one party's own certificate: vouches for nobody else", "leaf": "one party's certificate, issued by another: vouches for nobody else",
}

func tellAnchor(w io.Writer, a admind.Anchor) {
	fmt.Fprintf(w, "certificate  %s\n", plain(distinguished(a.Subject)))
	block, _ := pem.Decode([]byte(a.PEM))
	if block != nil {
		if c, err := certificate.Parse(block.Bytes); err == nil {
			fmt.Fprintf(w, "issuer       %s\nfingerprint  %s\n", plain(distinguished(c.Issuer.String())), config.Fingerprint(c))
		}
	}
	fmt.Fprintf(w, "kind         %s\nvalid until  %s\ntrusted by   %s\nfor mail     %s\nsource       %s\n", kinds[a.Kind], a.NotAfter.UTC().Format(time.DateOnly),
		a.Owner, inWords(a.Direction), plain(orDash(a.Source)))
	tellEvaluation(w, a.Evaluation)
}

func newTrustRemoveCmd() *cobra.Command {
	var owner string
	var way oneWay
	cmd := &cobra.Command{
		Use:   "remove SHA-256",
		Short: "Trusts a certificate no longer",
		Long: fmt.Sprintf(`Takes the trust in a certificate away, in both directions or in the one that is named. It is named by its fingerprint as "trust list"
shows it, the first %d digits at least, or by its id. Mail already delivered stays.`, shortPrint),
		Example: `  carepost trust remove 3f9a04c2
  carepost trust remove 3f9a04c2 --outgoing`,
		Args: cobra.MinimumNArgs(1), // a fingerprint in groups
		RunE: asking(func(cmd *cobra.Command, client *admind.Client, args []string) error {
			anchors, err := client.Anchors(cmd.Context(), owner)
			if err != nil {
				return clientError(err)
			}
			a, err := findAnchor(byCertificate(anchors), strings.Join(args, ""))
			if err != nil {
				return err
			}
			if err := client.RemoveAnchor(cmd.Context(), a.ID, way.direction()); err != nil {
				return clientError(err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s trusts it no longer%s: %s\n", a.Owner, way.words(), plain(distinguished(a.Subject)))
			return err
		}),
	}
	cmd.Flags().StringVar(&owner, "for", "", "of this `OWNER`: a domain or address of this installation")
	way.register(cmd)
	return cmd
}

// words are those after "trusts it no longer".
func (o *oneWay) words() string {
	switch o.direction() {
	case "inbound":
		return " for mail that comes in"
	case "outbound":
		return " for mail that goes out"
	}
	return ""
}
