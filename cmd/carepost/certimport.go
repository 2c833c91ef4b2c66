package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"carepost/internal/admind"
)

func newCertRequestCmd() *cobra.Command {
	return ofInstallation(&cobra.Command{
		Use:   "request",
		Short: "Prints the certificate request of an installation",
		Long: `Prints the request (PKCS #10, PEM) for the certificate of the installation's domain. It stays the same until the authority's answer
has been imported; the key stays in the installation.`,
		Example:               `  carepost cert request --config /srv/carepost >clinic.example.csr`,
		Args:                  cobra.NoArgs,
		DisableFlagsInUseLine: true,
		RunE: asking(func(cmd *cobra.Command, client *admind.Client, _ []string) error {
			r, err := client.CertificateRequest(cmd.Context())
			if err != nil {
				return clientError(err)
			}
			_, err = io.WriteString(cmd.OutOrStdout(), r.PEM)
			return err
		}),
	})
}

func newCertImportCmd() *cobra.Command {
	return ofInstallation(&cobra.Command{
		Use:   "import CERTIFICATE.pem",
		Short: "Takes the certificate that an authority made of the request",
		Long: `Takes the certificate of the installation's domain, followed by those between it and the anchor, in one PEM file. From then on mail
is signed with it, and it is published: the records in dns/ are written anew.`,
		Example:               `  carepost cert import --config /srv/carepost clinic.example.pem`,
		Args:                  cobra.ExactArgs(1),
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := os.ReadFile(args[0])
			if err != nil {
				return usage(err)
			}
			client, done, err := connect(cmd)
			if err != nil {
				return err
			}
			defer done()
			if err := client.ImportCertificate(cmd.Context(), admind.NewCertificate{PEM: string(text)}); err != nil {
				return clientError(err)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "The certificate is in use and published.")
			return err
		},
	})
}
