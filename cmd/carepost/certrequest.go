package main

import (
	"io"

	"github.com/spf13/cobra"

	"carepost/internal/admind"
)

func newCertRequestCmd() *cobra.Command {
	var o admind.Order
	cmd := &cobra.Command{
		Use:   "request [OWNER]",
		Short: "Makes a key, and prints the request for its certificate",
		Long: `Prints a request (PKCS #10, PEM) for the certificate of OWNER, a domain or an address of this installation; of its only domain where
none is named. Send it to the authority that your partners trust, and give its answer to "cert import". The key is made and kept
before, and stays in the installation; the request stays the same until its answer is here. The next request is for a new key.

One certificate serves both to sign and to be encrypted to. Who wants separate ones makes two requests, with --use sign and with
--use encrypt. With --token the key is made on the PKCS #11 token of [keys.token] and never leaves it.`,
		Example: `  carepost cert request >clinic.example.csr
  carepost cert request lab@clinic.example --kind p256
  carepost cert request clinic.example --use sign --kind rsa3072
  carepost cert request clinic.example --use encrypt --kind rsa3072`,
		Args: cobra.MaximumNArgs(1),
		RunE: asking(func(cmd *cobra.Command, client *admind.Client, args []string) error {
			if len(args) == 1 {
				o.Owner = args[0]
			}
			r, err := client.CertificateRequest(cmd.Context(), o)
			if err != nil {
				return clientError(err)
			}
			if asJSON(cmd) {
				return writeJSON(cmd.OutOrStdout(), r)
			}
			_, err = io.WriteString(cmd.OutOrStdout(), r.PEM)
			return err
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&o.Kind, "kind", "", "`KIND` of key: rsa2048, rsa3072, rsa4096, p256 or p384 (default: rsa2048)")
	flags.StringVar(&o.Use, "use", "both", "what the certificate is for: `USE` is both, sign or encrypt")
	flags.BoolVar(&o.Token, "token", false, "make the key on the PKCS #11 token")
	return ofInstallation(reports(cmd))
}
