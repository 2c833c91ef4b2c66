package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"carepost/internal/admind"
)

func newCertListCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list [OWNER]",
		Short: "Lists the certificates of this installation",
		Long: `Lists the certificates of this installation, or of OWNER, a domain or an address of it: what waits for its certificate first, then the
newest. What is ended or expired signs nothing and is published no more; its key still decrypts.`,
		Example: `  carepost cert list
  carepost cert list lab@clinic.example --json`,
		Args: cobra.MaximumNArgs(1),
		RunE: asking(func(cmd *cobra.Command, client *admind.Client, args []string) error {
			owner := ""
			if len(args) == 1 {
				owner = args[0]
			}
			list, err := client.Certificates(cmd.Context(), owner)
			if err != nil {
				return clientError(err)
			}
			if asJSON(cmd) {
				return writeJSON(cmd.OutOrStdout(), list)
			}
			return listCertificates(cmd.OutOrStdout(), list)
		}),
	}
	return ofInstallation(reports(cmd))
}

func listCertificates(w io.Writer, list []admind.Certificate) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "There is no certificate yet: carepost cert request")
		return err
	}
	var t table
	t.add("SHA-256", "OWNER", "USE", "KEY", "UNTIL", "STATE", "ISSUER", "SERIAL")
	for _, c := range list {
		kind, until, print := c.Kind, "–", c.ID
		if c.OnToken && !strings.HasSuffix(kind, " on the token") {
			kind += " on the token"
		}
		if c.SHA256 != "" {
			until, print = c.Until.UTC().Format(time.DateOnly), c.SHA256[:2*shortPrint]
		}
		t.add(print, c.Owner, c.Use, kind, until, c.State+flagWords(c.Flags), orDash(c.Issuer), orDash(c.Serial))
	}
	return t.write(w, 0)
}

// flagWords are the flags in brackets.
func flagWords(flags []admind.Flag) string {
	var words []string
	for _, f := range flags {
		words = append(words, f.Text)
	}
	if len(words) == 0 {
		return ""
	}
	return " (" + strings.Join(words, ", ") + ")"
}

// findCertificate finds the one that was named: by its id, its serial number or the beginning of its fingerprint.
func findCertificate(list []admind.Certificate, name string) (found admind.Certificate, err error) {
	digits := strings.ToLower(strings.ReplaceAll(name, ":", ""))
	n := 0
	for _, c := range list {
		if c.ID == name {
			return c, nil
		}
		if c.Serial != "" && c.Serial == strings.TrimLeft(digits, "0") || len(digits) >= shortPrint && c.SHA256 != "" && strings.HasPrefix(c.SHA256, digits) {
			found, n = c, n+1
		}
	}
	switch n {
	case 0:
		return found, usage(errors.New("no certificate has that fingerprint, serial number or id; carepost cert list shows those there are"))
	case 1:
		return found, nil
	}
	return found, usage(errors.New("several certificates are meant: name its id, which carepost cert list --json shows"))
}

// noneLeft says that neither an owner nor its domain has a certificate in use.
func noneLeft(list []admind.Certificate, owner string) bool {
	_, domain, _ := strings.Cut(owner, "@")
	return !slices.ContainsFunc(list, func(c admind.Certificate) bool {
		return c.State == "in use" && (c.Owner == owner || c.Owner == domain)
	})
}

func newCertExpireCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "expire CERTIFICATE",
		Short: "Takes a certificate out of use; its key still decrypts",
		Long: `Takes a certificate out of use at once: nothing is signed with it and it is published no more, but mail that was sealed for it is opened
further. It is named by its fingerprint as "cert list" shows it, its serial number or its id. It is not revoked: partners who have
it may use it until it ends. A request that waits for its certificate is named by its id; its key is deleted.

A pilot authority gives the domain another certificate soon after.`,
		Example: `  carepost cert expire 3f9a04c2`,
		Args:    cobra.ExactArgs(1),
		RunE: asking(func(cmd *cobra.Command, client *admind.Client, args []string) error {
			list, err := client.Certificates(cmd.Context(), "")
			if err != nil {
				return clientError(err)
			}
			c, err := findCertificate(list, args[0])
			if err != nil {
				return err
			}
			if c, err = client.ExpireCertificate(cmd.Context(), c.ID); err != nil {
				return clientError(err)
			}
			if asJSON(cmd) {
				return writeJSON(cmd.OutOrStdout(), c)
			}
			text := "Signs and is published no more: the certificate of %s. Mail that is under way to it is opened further.\n"
			if c.SHA256 == "" {
				text = "The request of %s is given up, and its key is deleted.\n"
			}
			if _, err = fmt.Fprintf(cmd.OutOrStdout(), text, plain(c.Owner)); err != nil || c.SHA256 == "" {
				return err
			}
			if list, err = client.Certificates(cmd.Context(), ""); err == nil && noneLeft(list, c.Owner) {
				fmt.Fprintf(cmd.ErrOrStderr(), "Mind: %s has no other certificate now; its mail waits until there is one:  %s\n",
					plain(c.Owner), again(cmd, "cert list", ""))
			}
			return clientError(err)
		}),
	}
	return ofInstallation(reports(cmd))
}

// certExport holds the flags of `cert export`.
type certExport struct {
	e            admind.Export
	passwordFile string
	output       string
}

func newCertExportCmd() *cobra.Command {
	var f certExport
	cmd := &cobra.Command{
		Use:   "export CERTIFICATE",
		Short: "Writes a certificate to a file, with its private key if asked",
		Long: `Writes a certificate with those above it, in PEM. It is named by its fingerprint as "cert list" shows it, its serial number or its id.

With --key its private key is written as well, encrypted with a password of 12 characters at least: as PKCS #12 (--form p12) or in
PEM. Whoever has that file and the password can sign in the owner's name and read the owner's mail. A key on a token does not
leave it.`,
		Example: `  carepost cert export 3f9a04c2 >clinic.pem
  carepost cert export 3f9a04c2 --key --form p12 --output clinic.p12`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.e.Form, "form", "pem", "`FORM` of the file: pem or p12")
	flags.BoolVar(&f.e.Key, "key", false, "with the private key, encrypted")
	flags.StringVar(&f.passwordFile, "password-file", "", "with --key: the password stands in this `FILE`, one line (default: it is asked for)")
	flags.StringVar(&f.output, "output", "", "write to this new `FILE` (default: standard output)")
	return ofInstallation(cmd)
}

func (f *certExport) run(cmd *cobra.Command, name string) (err error) {
	if !f.e.Key && f.passwordFile != "" {
		return usage(errors.New("--password-file does nothing without --key"))
	}
	if f.e.Key {
		if f.e.Password, err = f.password(cmd); err != nil {
			return err
		}
	}
	client, done, err := connect(cmd)
	if err != nil {
		return err
	}
	defer done()
	list, err := client.Certificates(cmd.Context(), "")
	if err != nil {
		return clientError(err)
	}
	c, err := findCertificate(list, name)
	if err != nil {
		return err
	}
	data, err := client.ExportCertificate(cmd.Context(), c.ID, f.e)
	if err != nil {
		return clientError(err)
	}
	defer clear(data)
	if f.output == "" {
		_, err = cmd.OutOrStdout().Write(data)
		return err
	}
	return writeKept(f.output, data)
}

// writeKept writes a file that was not there, for its owner alone.
func writeKept(path string, data []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return usage(fmt.Errorf("%s is there already", path))
	} else if err != nil {
		return notNow(err)
	}
	_, err = file.Write(data)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		os.Remove(path)
		return notNow(err)
	}
	return nil
}

func (f *certExport) password(cmd *cobra.Command) (string, error) {
	if f.passwordFile == "" {
		return askTwice(cmd, "Password of the file: ")
	}
	data, err := readFile("password-file", f.passwordFile)
	if err != nil {
		return "", err
	}
	password, err := onePassword(strings.NewReader(string(data)))
	if err != nil {
		return "", usage(fmt.Errorf("--password-file: %w", err))
	}
	return password, nil
}
