package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"carepost/internal/admind"
)

func newCertRevokeCmd() *cobra.Command {
	var o admind.RevokeOrder
	cmd := &cobra.Command{
		Use:   "revoke SERIAL|SHA-256",
		Short: "Takes a certificate back, and tells partners",
		Long: `Takes a certificate that the pilot authority has issued back for good, named by its serial number or its SHA-256 in hexadecimal. The
revocation list and the OCSP responder say so at once, nothing is signed with it any more and it is published no more. Its key goes on to
decrypt what was sealed for it. Its owner has another certificate with a new key at once, unless the reason is that they have lost the
right to it; the domain itself is never without.

--tell has a letter go from our postmaster to the postmaster of every domain that we have exchanged mail with in the last 90 days: what
was revoked, when and why, and what is used instead. It is signed and sealed like all mail, so those whom we do not trust are told
nothing; what cannot be sent comes back to our postmaster. What was revoked before can be told of later, by the same command;
who was written to on the same day is left out.

Reasons: unspecified, keyCompromise, superseded, affiliationChanged, cessationOfOperation, privilegeWithdrawn (RFC 5280 §5.3.1).`,
		Example: `  carepost cert revoke 5ec1…07 --reason keyCompromise --tell
  carepost cert revoke 3f:9a:…:e1 --reason cessationOfOperation`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(errors.New("one serial number or SHA-256, please"))
			}
			return nil
		},
		RunE: asking(func(cmd *cobra.Command, client *admind.Client, args []string) error {
			o.Which = args[0]
			r, err := client.Revoke(cmd.Context(), o)
			if err != nil {
				return clientError(err)
			}
			if asJSON(cmd) {
				return writeJSON(cmd.OutOrStdout(), r)
			}
			return tellRevoked(cmd, cmd.OutOrStdout(), r, o.Tell)
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&o.Reason, "reason", "", "`REASON`, as below")
	flags.BoolVar(&o.Tell, "tell", false, "write to the partners that we have exchanged mail with lately")
	return ofInstallation(reports(cmd))
}

func tellRevoked(cmd *cobra.Command, w io.Writer, r admind.Revoked, tell bool) error {
	var b strings.Builder
	verb := "Revoked"
	if r.Already {
		verb = "It was revoked before"
	}
	fmt.Fprintf(&b, "%s: certificate of %s\n  serial number  %s\n  SHA-256        %s\n  since          %s\n  reason         %s\n",
		verb, plain(r.Owner), r.Serial, r.SHA256, r.At.UTC().Format(time.RFC3339), r.Reason)
	if r.Successor == nil {
		fmt.Fprintf(&b, "Nothing takes its place.\n")
	} else {
		fmt.Fprintf(&b, "In its place is now:\n")
		if err := tellIssued(&b, "  ", *r.Successor); err != nil {
			return err
		}
	}
	var names []string
	for _, d := range r.Partners {
		names = append(names, d.String())
	}
	switch {
	case len(names) == 0:
		fmt.Fprintf(&b, "No mail was exchanged with anybody in the last 90 days: nobody is to be told.\n")
	case tell:
		fmt.Fprintf(&b, "A letter goes to the postmaster of:\n")
		for _, t := range r.Told {
			fmt.Fprintf(&b, "  %s  message %s\n", t.Domain, t.Message)
		}
	default:
		fmt.Fprintf(&b, "Partners of the last 90 days, who are not told yet:\n  %s\nThis tells them:\n  %s\n",
			strings.Join(names, "\n  "), again(cmd, "cert revoke", r.Serial+" --tell"))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
