package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"carepost/addr"
	"carepost/internal/admind"
)

func newCertPublishCmd() *cobra.Command {
	var format, of string
	var whole, check bool
	cmd := &cobra.Command{
		Use:   "publish",
		Short: "Shows what is published, and prints it for other servers",
		Long: `Shows the certificates that an installation publishes, where they are found, and what a publisher should know about that: two
addresses that share a name in DNS, a host that nobody finds, nothing published at all. Expired, retired and revoked
certificates are not published, nor those of closed addresses or for signing only. With --check it also asks DNS, as partners do, what of that is
found there.

With --format the text for another server is printed, and nothing else; warnings go to standard error. The same texts lie in dns/
and are written anew whenever a certificate changes:
  zone  records to paste into a zone (dns/DOMAIN.zone); with --whole the zone itself, ready for BIND or NSD
  ldif  entries for OpenLDAP (dns/DOMAIN.ldif): slapadd and ldapadd take them, with the schemas core, cosine and inetorgperson

A directory of ours shows an address to who names it; whether another server lists all of them is for its access rules to say.`,
		Example: `  carepost cert publish --config /srv/carepost --check
  carepost cert publish --format zone --whole >clinic.example.zone
  carepost cert publish --format ldif | slapadd -b dc=clinic,dc=example`,
		Args: cobra.NoArgs,
		RunE: asking(func(cmd *cobra.Command, client *admind.Client, _ []string) error {
			if format != "" && format != "zone" && format != "ldif" {
				return usage(fmt.Errorf("--format: %q is neither zone nor ldif", format))
			}
			if whole && format != "zone" {
				return usage(fmt.Errorf("--whole goes with --format zone"))
			}
			p, err := client.Publication(cmd.Context(), addr.Domain(strings.ToLower(of)), check)
			if err != nil {
				return clientError(err)
			}
			return writePublication(cmd, p, format, whole)
		}),
	}
	cmd.Flags().StringVar(&format, "format", "", "print the text for another server: `zone` or ldif")
	cmd.Flags().StringVar(&of, "domain", "", "of this `DOMAIN`, where the installation has several (default the first)")
	cmd.Flags().BoolVar(&check, "check", false, "ask DNS whether it is found there, as partners do")
	cmd.Flags().BoolVar(&whole, "whole", false, "with --format zone: SOA and NS too")
	return reports(ofInstallation(cmd))
}

func writePublication(cmd *cobra.Command, p admind.Publication, format string, whole bool) error {
	out := cmd.OutOrStdout()
	if asJSON(cmd) && format == "" {
		enc := json.NewEncoder(out)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(p)
	}
	text := publicationText(p)
	switch {
	case format == "ldif" && p.LDIF == "":
		return refused(fmt.Errorf("nothing is published by LDAP: carepost.toml, [publish] ldap"))
	case format == "ldif":
		text = p.LDIF
	case whole:
		text = p.Zone
	case format == "zone":
		text = p.Records
	}
	if format != "" {
		for _, w := range p.Warnings {
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", cmd.CommandPath(), printable(w))
		}
	}
	_, err := io.WriteString(out, text)
	return err
}

// publicationText tells people.
func publicationText(p admind.Publication) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s publishes %s\n", p.Domain, plural(len(p.Certificates), "certificate", "certificates"))
	for _, c := range p.Certificates {
		fmt.Fprintf(&b, "\n%s\n", printable(c.Owner))
		t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		for _, line := range [][2]string{
			{"valid until", c.NotAfter.UTC().Format("2006-01-02")}, {"SHA-256", c.SHA256}, {"DNS name", c.Name}, {"leads to", c.URL}, {"LDAP entry", c.DN},
		} {
			if line[1] != "" {
				fmt.Fprintf(t, "  %s\t%s\n", line[0], printable(line[1]))
			}
		}
		t.Flush()
	}
	b.WriteString("\n")
	switch serves := slices.Contains(p.Listens, "dns"); {
	case serves:
		fmt.Fprintf(&b, "DNS   our own listener serves the zone; the same records lie in dns/%s.zone\n", p.Domain)
	default:
		fmt.Fprintf(&b, "DNS   records to paste: dns/%s.zone\n", p.Domain)
	}
	switch {
	case p.LDIF == "":
		b.WriteString("LDAP  nothing: carepost.toml, [publish] ldap\n")
	case slices.Contains(p.Listens, "ldap"):
		fmt.Fprintf(&b, "LDAP  our own listener serves the directory; the same entries lie in dns/%s.ldif\n", p.Domain)
	case p.Directory != "":
		fmt.Fprintf(&b, "LDAP  the SRV record leads to our listener, %s; the same entries lie in dns/%s.ldif\n", p.Directory, p.Domain)
	default:
		fmt.Fprintf(&b, "LDAP  entries to load: dns/%s.ldif\n", p.Domain)
	}
	for _, w := range p.Warnings {
		fmt.Fprintf(&b, "\nWarning: %s.\n", printable(w))
	}
	return b.String()
}
