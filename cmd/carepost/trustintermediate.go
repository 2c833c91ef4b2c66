package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"carepost/internal/admind"
)

func newTrustIntermediateCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "intermediate",
		Short: "Certificates on the way to an anchor, given by hand",
		Long: `Between a partner's certificate and an anchor there may be others. They come with signed mail, or are fetched from where certificates
say; where neither happens, because a server is gone or was never named, they can be given by hand. Such a certificate is believed by
nobody: it only shows the way, and its signature, dates and status are checked like those of any other.`,
		Example: `  carepost trust intermediate add issuing-ca.pem
  carepost trust intermediate list
  carepost trust intermediate remove 3f9a04c2`,
	}
	cmd.AddCommand(newIntermediateAddCmd(), newIntermediateListCmd(), newIntermediateRemoveCmd())
	return cmd
}

func newIntermediateAddCmd() *cobra.Command {
	var source string
	cmd := &cobra.Command{
		Use:     "add FILE…",
		Short:   "Keeps certificates for the way to an anchor",
		Long:    "Keeps every certificate of the files, PEM, DER or PKCS #7, for the way to an anchor. Each must be an authority's.",
		Example: `  carepost trust intermediate add issuing-ca.pem --source "their web page"`,
		Args:    cobra.MinimumNArgs(1),
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
			for _, c := range certs {
				from := or(source, "file "+filepath.Base(c.file))
				if err := client.AddIntermediate(cmd.Context(), admind.NewIntermediate{PEM: pemOf(c.cert), Source: from}); err != nil {
					return clientError(err)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "Kept: %s\n", plain(distinguished(c.cert.Subject.String())))
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&source, "source", "", "where the certificate came from, in your words (default: the file's name)")
	return cmd
}

func newIntermediateListCmd() *cobra.Command {
	return reports(&cobra.Command{
		Use:     "list",
		Short:   "Lists those that are kept",
		Long:    "Lists the certificates that are kept for the way to an anchor.",
		Example: "  carepost trust intermediate list --json",
		Args:    cobra.NoArgs,
		RunE: asking(func(cmd *cobra.Command, client *admind.Client, _ []string) error {
			all, err := client.Intermediates(cmd.Context())
			if err != nil {
				return clientError(err)
			}
			if asJSON(cmd) {
				return writeJSON(cmd.OutOrStdout(), all)
			}
			if len(all) == 0 {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), "None is kept: they come with mail, or are fetched.")
				return err
			}
			var t table
			t.add("SHA-256", "UNTIL", "CERTIFICATE", "ISSUED BY", "SOURCE")
			for _, i := range all {
				t.add(i.SHA256[:min(len(i.SHA256), 2*shortPrint)], i.NotAfter.UTC().Format(time.DateOnly), distinguished(i.Subject), distinguished(i.Issuer), orDash(i.Source))
			}
			return t.write(cmd.OutOrStdout(), 0)
		}),
	})
}

func newIntermediateRemoveCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "remove SHA-256",
		Short:   "Forgets one",
		Long:    fmt.Sprintf(`Forgets a certificate; it is named by its fingerprint as "trust intermediate list" shows it, the first %d digits at least.`, shortPrint),
		Example: `  carepost trust intermediate remove 3f9a04c2`,
		Args:    cobra.MinimumNArgs(1), // a fingerprint in groups
		RunE: asking(func(cmd *cobra.Command, client *admind.Client, args []string) error {
			digits := strings.ToLower(strings.ReplaceAll(strings.Join(args, ""), ":", ""))
			all, err := client.Intermediates(cmd.Context())
			if err != nil {
				return clientError(err)
			}
			var meant []admind.Intermediate
			for _, i := range all {
				if len(digits) >= shortPrint && strings.HasPrefix(i.SHA256, digits) {
					meant = append(meant, i)
				}
			}
			if len(meant) != 1 {
				return usage(errors.New("no single certificate has that fingerprint; carepost trust intermediate list shows those there are"))
			}
			if err := client.RemoveIntermediate(cmd.Context(), meant[0].SHA256); err != nil {
				return clientError(err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "Forgotten: %s\n", plain(distinguished(meant[0].Subject)))
			return err
		}),
	}
}
