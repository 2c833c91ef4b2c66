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

// certImport holds the flags of `cert import`.
type certImport struct {
	d            admind.Delivery
	keys         []string
	passwordFile string
}

func newCertImportCmd() *cobra.Command {
	var f certImport
	cmd := &cobra.Command{
		Use:   "import FILE…",
		Short: "Takes certificates of this installation",
		Long: `Takes the certificates that an authority made for a domain or an address of this installation, with those between them and the
anchor, in any order: PEM, DER, PKCS #7 (.p7b) or PKCS #12 (.p12, .pfx). Their keys are those of "cert request", or stand in the
files: PKCS #12, or a key of its own with --key. From then on mail is signed with them, and they are published: the records in
dns/ are written anew. What is missing between certificate and anchor is fetched from where the certificate says.

A certificate that names nobody here, has expired, has an unfit key or an unfit key usage is refused. What partners may stumble
over is told: an issuer that is not known here, or a certificate that does not say where its issuer's is to be had (AIA).

Exit codes:
  0  the certificates are in use and published
  1  it could not be done now
  2  wrong usage: a file that cannot be read, a wrong password
  3  a certificate cannot be used; nothing was changed`,
		Example: `  carepost cert import clinic.example.pem intermediate.pem
  carepost cert import clinic.p12 --password-file clinic.password
  carepost cert import lab.crt --key lab.key --for lab@clinic.example
  carepost cert import clinic.pem --token-key 'pkcs11:object=clinic'`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error { return f.run(cmd, files) },
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&f.keys, "key", nil, "private key, `FILE` in PEM or DER; may be repeated")
	flags.StringVar(&f.passwordFile, "password-file", "", "the password of encrypted files stands in this `FILE`, one line (default: it is asked for)")
	flags.StringVar(&f.d.Owner, "for", "", "only for this `OWNER`, a domain or an address of this installation (default: whom the certificates name)")
	flags.StringVar(&f.d.TokenKey, "token-key", "", "the private key lies on the PKCS #11 token: its `URI` (RFC 7512)")
	return ofInstallation(reports(cmd))
}

func (f *certImport) run(cmd *cobra.Command, files []string) error {
	defer func() {
		for _, b := range f.d.Files {
			clear(b)
		}
	}()
	for _, path := range append(files, f.keys...) {
		data, err := readBounded(path)
		if err != nil {
			return usage(err)
		}
		f.d.Files = append(f.d.Files, data)
	}
	if f.passwordFile != "" {
		data, err := readFile("password-file", f.passwordFile)
		if err != nil {
			return err
		}
		if f.d.Password, err = onePassword(strings.NewReader(string(data))); err != nil {
			return usage(fmt.Errorf("--password-file: %w", err))
		}
	}
	client, done, err := connect(cmd)
	if err != nil {
		return err
	}
	defer done()
	list, err := client.ImportCertificates(cmd.Context(), f.d)
	if wantsPassword(err) && f.passwordFile == "" {
		if f.d.Password, err = askOnce(cmd, "Password of the file: "); err != nil {
			return err
		}
		list, err = client.ImportCertificates(cmd.Context(), f.d)
	}
	if err != nil {
		return clientError(err)
	}
	if asJSON(cmd) {
		return writeJSON(cmd.OutOrStdout(), list)
	}
	return tellImported(cmd.OutOrStdout(), list)
}

// wantsPassword says that a file is encrypted and no password was given.
func wantsPassword(err error) bool {
	var answer *admind.Error
	return errors.As(err, &answer) && answer.Code == admind.Usage && strings.HasSuffix(answer.Reason, "its password is wanted")
}

func tellImported(w io.Writer, list []admind.Certificate) error {
	var b strings.Builder
	for _, c := range list {
		switch c.State {
		case "in use":
			fmt.Fprintf(&b, "In use and published: the certificate of %s\n", plain(c.Owner))
		default:
			fmt.Fprintf(&b, "Here, and not in use: the certificate of %s; state: %s\n", plain(c.Owner), c.State)
		}
		fmt.Fprintf(&b, "  use          %s\n  key          %s\n  issued by    %s\n  valid until  %s\n  SHA-256      %s\n", useWords(c.Use), c.Kind,
			plain(distinguished(c.Issuer)), c.NotAfter.UTC().Format(time.DateOnly), c.SHA256)
		for i, above := range c.Path {
			fmt.Fprintf(&b, "  above it %d   %s\n", i+1, plain(distinguished(above)))
		}
		tellFlags(&b, c.Flags)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// tellFlags writes what an operator should know.
func tellFlags(w io.Writer, flags []admind.Flag) {
	for _, f := range flags {
		clause := ""
		if f.Clause != "" {
			clause = " (" + f.Clause + ")"
		}
		fmt.Fprintf(w, "  mind: %s%s\n    %s\n", plain(f.Text), clause, plain(f.Remedy))
	}
}

func useWords(use string) string {
	switch use {
	case "both":
		return "signs and is encrypted to"
	case "sign":
		return "signs"
	case "encrypt":
		return "is encrypted to"
	}
	return use
}
