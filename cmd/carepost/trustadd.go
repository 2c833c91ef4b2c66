package main

import (
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"carepost/internal/admind"
	"carepost/internal/config"
)

// oneWay holds the flags that say for which mail an anchor counts.
type oneWay struct{ incoming, outgoing bool }

func (o *oneWay) register(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.incoming, "incoming", false, "for mail that comes in: whose signatures are believed")
	cmd.Flags().BoolVar(&o.outgoing, "outgoing", false, "for mail that goes out: whom mail is sealed to")
}

// inWords says a direction of the admin interface as the flags do.
func inWords(direction string) string {
	switch direction {
	case "inbound":
		return "incoming"
	case "outbound":
		return "outgoing"
	}
	return direction
}

// direction is that of the admin interface; "" is both.
func (o *oneWay) direction() string {
	switch {
	case o.incoming && !o.outgoing:
		return "inbound"
	case o.outgoing && !o.incoming:
		return "outbound"
	}
	return ""
}

// evaluating holds the flags that say how a keeper issues certificates.
type evaluating struct {
	assured, by, review string
	policies            []string
}

func (e *evaluating) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&e.assured, "assured", "", "how the issuer identifies persons and guards keys, as you found it: `WORDS`")
	flags.StringArrayVar(&e.policies, "policy", nil, "object identifier (`OID`) of a certificate policy that was evaluated; may be repeated")
	flags.StringVar(&e.by, "by", "", "the `ROLE` of who evaluated it, such as \"security officer\"")
	flags.StringVar(&e.review, "review", "", "the `DATE` by which it is to be evaluated again, such as 2027-06-30")
}

// said is nil where nothing was said.
func (e *evaluating) said() (*admind.Evaluation, error) {
	if e.assured == "" {
		if e.by != "" || e.review != "" || len(e.policies) > 0 {
			return nil, usage(errors.New("--by, --policy and --review go with --assured: say what was found"))
		}
		return nil, nil
	}
	out := &admind.Evaluation{Assured: e.assured, Policies: e.policies, By: e.by}
	if e.review != "" {
		day, err := time.Parse(time.DateOnly, e.review)
		if err != nil {
			return nil, usage(fmt.Errorf("--review: %q is no date such as 2027-06-30", e.review))
		}
		out.Review = day
	}
	return out, nil
}

func newTrustAddCmd() *cobra.Command {
	var owner, source string
	var way oneWay
	var said evaluating
	cmd := &cobra.Command{
		Use:   "add FILE…",
		Short: "Trusts certificates, for mail in both directions or in one",
		Long: `Trusts every certificate of the files, PEM or DER, for mail in both directions unless one is named. From then on everybody whom
such an authority has certified is believed to be who the certificate says: compare the fingerprint with its owner by another way,
such as the telephone, and read by which rules it issues certificates. What you found is written down with --assured: how persons are
identified, who holds the keys. It is shown by "trust list", and with --review you are reminded to look again. Given for a certificate
that is trusted already, it takes the place of what was written down before.`,
		Example: `  carepost trust add root.pem --assured "passports shown" --review 2027-06-30
  carepost trust add partner.pem --for lab@north.example --incoming`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			certs, err := anchorFiles(files)
			if err != nil {
				return err
			}
			evaluation, err := said.said()
			if err != nil {
				return err
			}
			client, done, err := connect(cmd)
			if err != nil {
				return err
			}
			defer done()
			all := []admind.Anchor{}
			for _, c := range certs {
				n := admind.NewAnchor{Owner: owner, Source: source, Direction: way.direction(), Evaluation: evaluation,
					PEM: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.cert.Raw}))}
				if n.Source == "" {
					n.Source = "file " + filepath.Base(c.file)
				}
				added, err := client.AddAnchor(cmd.Context(), n)
				if err != nil {
					return clientError(err)
				}
				all = append(all, added...)
				if !asJSON(cmd) {
					tellAdded(cmd.OutOrStdout(), c, added)
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
	way.register(cmd)
	said.register(cmd)
	return reports(cmd)
}

func tellAdded(w io.Writer, c anchorFile, added []admind.Anchor) {
	fmt.Fprintf(w, "Trusted: %s\nFingerprint, to compare by telephone:\n  %s\n", plain(distinguished(c.cert.Subject.String())), config.Fingerprint(c.cert))
	for _, a := range added {
		switch {
		case a.Kind == "self-signed" || a.Kind == "leaf":
			fmt.Fprintln(w, "It is nobody's authority: it speaks for itself alone.")
		case a.Evaluation == nil:
			fmt.Fprintln(w, "How its keeper issues certificates has not been evaluated: once you have read that, say so with --assured.")
		default:
			continue
		}
		return
	}
}

// evaluatedWhen is a cell of a table.
func evaluatedWhen(e *admind.Evaluation) string {
	if e == nil {
		return "never"
	}
	return e.At.UTC().Format(time.DateOnly)
}

// tellEvaluation prints all that was said, with labels as wide as those of trust show.
func tellEvaluation(w io.Writer, e *admind.Evaluation) {
	if e == nil {
		fmt.Fprintln(w, "evaluated    never: nobody has written down how its keeper issues certificates")
		return
	}
	by := ""
	if e.By != "" {
		by = ", by " + e.By
	}
	fmt.Fprintf(w, "evaluated    %s%s\nassured      %s\n", e.At.UTC().Format(time.DateOnly), plain(by), plain(e.Assured))
	for _, p := range e.Policies {
		fmt.Fprintf(w, "policy       %s\n", plain(p))
	}
	if !e.Review.IsZero() {
		fmt.Fprintf(w, "review       by %s\n", e.Review.UTC().Format(time.DateOnly))
	}
}
