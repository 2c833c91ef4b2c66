package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"carepost/addr"
	"carepost/internal/admind"
)

func newCertIssueCmd() *cobra.Command {
	var o admind.PilotOrder
	cmd := &cobra.Command{
		Use:   "issue OWNER",
		Short: "Has the pilot authority issue a certificate",
		Long: `Has the pilot authority of the installation issue a certificate with a new key, for one of our addresses or for the whole domain. It is
in use at once and published; what it replaces signs no more, and its key goes on to decrypt. It is renewed in time, with the same
kind of key and for the same use.

Nobody needs a certificate per address: that of the domain speaks for every account. With --use sign and --use encrypt an owner has two,
so that the key that decrypts can be kept apart from the one that signs.`,
		Example: `  carepost cert issue dr.lee@north.example
  carepost cert issue north.example --kind rsa3072
  carepost cert issue north.example --kind p256 --use sign`,
		Args: oneOwner,
		RunE: asking(func(cmd *cobra.Command, client *admind.Client, args []string) error {
			o.Owner = args[0]
			made, err := client.Issue(cmd.Context(), o)
			if err != nil {
				return clientError(err)
			}
			if asJSON(cmd) {
				return writeJSON(cmd.OutOrStdout(), made)
			}
			if err := tellIssued(cmd.OutOrStdout(), "", made); err != nil {
				return err
			}
			warnAbout(cmd, made.Warnings)
			return nil
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&o.Kind, "kind", "rsa2048", "`KIND` of key: rsa2048, rsa3072, rsa4096 or p256")
	flags.StringVar(&o.Use, "use", "both", "`USE` of it: both, sign or encrypt")
	return ofInstallation(reports(cmd))
}

// oneOwner wants exactly one argument, an address or a domain.
func oneOwner(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usage(errors.New("one address or domain, please"))
	}
	var err error
	if strings.Contains(args[0], "@") {
		_, err = parseAddress("", args[0])
	} else if _, err = addr.ParseDomain(args[0]); err != nil {
		err = usage(fmt.Errorf("%q is neither an address nor a domain", args[0]))
	}
	return err
}

// tellIssued shows a certificate of ours to a person.
func tellIssued(w io.Writer, indent string, c admind.IssuedCertificate) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%scertificate of %s\n", indent, plain(c.Owner))
	if c.Kind != "" {
		fmt.Fprintf(&b, "%skey            %s, for %s\n", indent, c.Kind, map[string]string{"sign": "signing", "encrypt": "encryption"}[c.Use]+map[string]string{"both": "signing and encryption"}[c.Use])
	}
	fmt.Fprintf(&b, "%sserial number  %s\n%sSHA-256        %s\n%suntil          %s\n", indent, c.Serial, indent, c.SHA256, indent, c.NotAfter.UTC().Format(time.DateOnly))
	_, err := io.WriteString(w, b.String())
	return err
}

// warnAbout tells a person what is to be known of what was done, apart from its result.
func warnAbout(cmd *cobra.Command, warnings []string) {
	for _, w := range warnings {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s\n", plain(w))
	}
}

// adviceOn is what an address gives away, and whom it could be mistaken for.
func adviceOn(cmd *cobra.Command, client *admind.Client, a addr.Address) ([]string, error) {
	advice, err := client.Advice(context.WithoutCancel(cmd.Context()), a)
	if err != nil {
		return nil, clientError(err)
	}
	return advice.Warnings, nil
}

func newCertAuthorityCmd() *cobra.Command {
	var pem bool
	cmd := &cobra.Command{
		Use:   "authority",
		Short: "Shows the anchors of the pilot authority",
		Long: `Shows the certificates of the installation's pilot authority: the anchors that partners are given. There are two while the authority
changes its key, from two years before its certificate ends: give partners the new one as well; who has the old one only goes on to
trust us until that ends. --pem prints the certificates themselves.`,
		Example: `  carepost cert authority
  carepost cert authority --pem >north-anchors.pem`,
		Args:                  cobra.NoArgs,
		DisableFlagsInUseLine: true,
		RunE: asking(func(cmd *cobra.Command, client *admind.Client, _ []string) error {
			a, err := client.Authority(cmd.Context())
			if err != nil {
				return clientError(err)
			}
			if asJSON(cmd) {
				return writeJSON(cmd.OutOrStdout(), a)
			}
			var b strings.Builder
			for i, k := range a.Anchors {
				switch {
				case pem:
					b.WriteString(k.PEM)
					continue
				case i > 0:
					b.WriteString("\n")
				}
				use := "what it has issued is good until then"
				if k.Issues {
					use = "issues what is new"
				}
				fmt.Fprintf(&b, "%s\n  SHA-256        %s\n  serial number  %s\n  until          %s, %s\n", plain(k.Subject), k.SHA256, k.Serial, k.NotAfter.UTC().Format(time.DateOnly), use)
			}
			_, err = io.WriteString(cmd.OutOrStdout(), b.String())
			return err
		}),
	}
	cmd.Flags().BoolVar(&pem, "pem", false, "print the certificates")
	return ofInstallation(reports(cmd))
}
