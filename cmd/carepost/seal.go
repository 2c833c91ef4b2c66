package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"carepost/addr"
	"carepost/cms"
	"carepost/message"
	"carepost/smime"
	"carepost/trust"
)

// sealing holds the flags of `seal`.
type sealing struct {
	from, key, cert, cipher string
	to, rcptCerts           []string
	unwrapped               bool
}

func newSealCmd() *cobra.Command {
	var f sealing
	cmd := &cobra.Command{
		Use:   "seal --from A --to B --key K --cert C --rcpt-cert R  <in.eml >out.eml",
		Short: "Signs and encrypts one message, as a filter",
		Long: `Reads an RFC 5322 message on standard input and writes it signed and encrypted to standard output, as Direct 2.4 asks: wrapped
whole, signed with a detached signature, encrypted with AES-256. It works on messages of any size, in the same memory.

Outside remain the addresses of --from and --to, the date, the Message-ID and the references. There is no Subject, but the
phrase DICOM-ZIP where the message's own Subject contains it. Bcc fields are taken out, inside too.

Each certificate must belong to its address (Direct 4.1) and be in its dates: --cert to --from, every --rcpt-cert to one of the
--to, and every --to needs one. Whether they are to be trusted is not looked at; "carepost cert find" does that. Certificates
after the first in the file of --cert (the intermediate ones) go along in the signature.

On an error what was written is to be thrown away. Exit codes: 0 sealed; 1 not now (reading or writing failed); 2 wrong usage,
or a file that is not what it should be; 3 refused: a certificate, a key or the message breaks a rule, which is named.`,
		Example: `  carepost seal --from lab@clinic.example --to dr.lee@practice.example \
      --key lab.key --cert lab.pem --rcpt-cert practice.pem <letter.eml >sealed.eml`,
		DisableFlagsInUseLine: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage(errors.New("seal: the message comes on standard input, not as an argument"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd, time.Now()) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.from, "from", "", "the sender's `address`")
	flags.StringSliceVar(&f.to, "to", nil, "a recipient's `address`; may be repeated")
	flags.StringVar(&f.key, "key", "", "the sender's private key, `file` in PEM: PKCS #8, PKCS #1 or EC, not encrypted")
	flags.StringVar(&f.cert, "cert", "", "the sender's certificate, `file` in PEM, intermediate certificates after it")
	flags.StringSliceVar(&f.rcptCerts, "rcpt-cert", nil, "a recipient's certificate, `file` in PEM or DER; may be repeated")
	flags.StringVar(&f.cipher, "cipher", "aes256", "content encryption: aes128, aes192 or aes256")
	flags.BoolVar(&f.unwrapped, "unwrapped", false, "for partners that read no wrapped messages: all header fields, the Subject too, stay readable outside")
	return cmd
}

func (f *sealing) run(cmd *cobra.Command, now time.Time) error {
	o, err := f.options(cmd.ErrOrStderr(), now)
	if err != nil {
		return err
	}
	in, done := watched(cmd.InOrStdin())
	defer done()
	err = smime.Seal(cmd.OutOrStdout(), in, o)
	switch {
	case errors.Is(err, message.ErrSyntax), errors.Is(err, message.ErrAmbiguous), errors.Is(err, message.ErrLimit):
		return refused(fmt.Errorf("seal: Direct 2.1: %w", err))
	case errors.Is(err, cms.ErrAlgorithm):
		return refused(fmt.Errorf("seal: a key that is not accepted (RSA from 2048 bits; to sign also P-256 and P-384): %w", err))
	case err != nil:
		return notNow(fmt.Errorf("seal: %w", err))
	}
	return nil
}

var sealCiphers = map[string]cms.Cipher{"aes128": cms.AES128CBC, "aes192": cms.AES192CBC, "aes256": cms.AES256CBC}

// options checks the flags and the files that they name.
func (f *sealing) options(warnings io.Writer, now time.Time) (o smime.SealOptions, err error) {
	for _, missing := range []struct {
		flag string
		is   bool
	}{
		{"--from", f.from == ""}, {"--to", len(f.to) == 0}, {"--key", f.key == ""}, {"--cert", f.cert == ""},
		{"--rcpt-cert", len(f.rcptCerts) == 0},
	} {
		if missing.is {
			return o, usage(fmt.Errorf("seal: %s is missing", missing.flag))
		}
	}
	o.Unwrapped = f.unwrapped
	if o.Cipher = sealCiphers[f.cipher]; o.Cipher == 0 {
		return o, usage(fmt.Errorf("seal: --cipher: %q is none of aes128, aes192, aes256", f.cipher))
	}
	from, err := addr.Parse(f.from)
	if err != nil {
		return o, usage(fmt.Errorf("seal: --from: %w", err))
	}
	var to []addr.Address
	for _, s := range f.to {
		a, err := addr.Parse(s)
		if err != nil {
			return o, usage(fmt.Errorf("seal: --to: %w", err))
		}
		to = append(to, a)
	}
	signer, err := f.signer(from, now)
	if err != nil {
		return o, err
	}
	o.Signers = []cms.Signer{signer}
	if o.Recipients, err = f.recipients(to, now); err != nil {
		return o, err
	}
	outer := smime.OuterFor(from, to...)
	o.Outer = func(h message.Header) ([]message.Field, error) {
		warn(warnings, h, from)
		if f.unwrapped {
			return nil, nil // the message's own
		}
		return outer(h)
	}
	return o, nil
}

// signer reads --key and --cert and checks that they belong together and to the sender.
func (f *sealing) signer(from addr.Address, now time.Time) (cms.Signer, error) {
	key, err := readKey(f.key)
	if err != nil {
		return cms.Signer{}, usage(fmt.Errorf("seal: --key: %w", err))
	}
	certs, err := certFiles([]string{f.cert})
	if err != nil {
		return cms.Signer{}, err
	}
	if !fits(key, certs[0]) {
		return cms.Signer{}, usage(errors.New("seal: the key in --key does not belong to the first certificate in --cert"))
	}
	if binding, why := trust.Bind(certs[0], from); binding == trust.Unbound {
		return cms.Signer{}, refused(fmt.Errorf("seal: Direct 4.1: --cert does not belong to --from: %s", why))
	}
	if err := inDates("--cert", certs[0], now); err != nil {
		return cms.Signer{}, err
	}
	return cms.Signer{Key: key, Certificate: certs[0], Chain: certs[1:], Time: now}, nil
}

// recipients reads --rcpt-cert, each for one or more of to, and wants one for each of to: nobody else is to read the message,
// and nobody is to get what cannot be read.
func (f *sealing) recipients(to []addr.Address, now time.Time) ([]*x509.Certificate, error) {
	var found []*x509.Certificate
	served := make([]bool, len(to))
	for _, file := range f.rcptCerts {
		certs, err := certFiles([]string{file})
		if err != nil {
			return nil, err
		}
		cert, bound, last := certs[0], false, "" // what follows the first is its chain
		for i, a := range to {
			binding, why := trust.Bind(cert, a)
			if binding != trust.Unbound {
				served[i], bound = true, true
			}
			last = why
		}
		if !bound {
			return nil, refused(fmt.Errorf("seal: Direct 4.1: %s belongs to none of the recipients: %s", file, last))
		}
		if err := inDates(file, cert, now); err != nil {
			return nil, err
		}
		found = append(found, cert)
	}
	for i, a := range to {
		if !served[i] {
			return nil, refused(fmt.Errorf("seal: Direct 2.3: no --rcpt-cert belongs to the recipient at %s (the %d. --to)", a.Domain, i+1))
		}
	}
	return found, nil
}

func inDates(what string, cert *x509.Certificate, now time.Time) error {
	switch {
	case now.Before(cert.NotBefore):
		return refused(fmt.Errorf("seal: Direct 4.0: the certificate in %s is not valid before %s", what, cert.NotBefore.UTC().Format(time.RFC3339)))
	case now.After(cert.NotAfter):
		return refused(fmt.Errorf("seal: Direct 4.0: the certificate in %s expired at %s", what, cert.NotAfter.UTC().Format(time.RFC3339)))
	}
	return nil
}

// warn says what the receiver will stumble over (Direct 2.2). It refuses nothing: a filter does not know the envelope.
func warn(w io.Writer, h message.Header, from addr.Address) {
	for _, name := range []string{"From", "Date", "Message-ID"} {
		if !h.Has(name) {
			fmt.Fprintf(w, "carepost: warning: the message has no %s (Direct 2.2)\n", name)
		}
	}
	if !h.Has("To") && !h.Has("Cc") {
		fmt.Fprintln(w, "carepost: warning: the message has neither To nor Cc (Direct 2.2)")
	}
	if boxes, err := h.Mailboxes("From"); err == nil && len(boxes) > 0 && (len(boxes) > 1 || !boxes[0].Address.Equal(from)) {
		fmt.Fprintln(w, "carepost: warning: the message is From somebody else than --from; receivers may refuse it (Direct 2.2)")
	}
}

// watched shows progress on a terminal for input that takes its time.
func watched(in io.Reader) (r io.Reader, done func()) {
	file, ok := in.(*os.File)
	if !ok || !isTerminal(os.Stderr) {
		return in, func() {}
	}
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() < 100<<20 {
		return in, func() {}
	}
	p := mpb.New(mpb.WithOutput(os.Stderr), mpb.WithWidth(40))
	bar := p.AddBar(info.Size(), mpb.BarRemoveOnComplete(), mpb.PrependDecorators(decor.Name("sealing ")),
		mpb.AppendDecorators(decor.CountersKibiByte("% .1f / % .1f")))
	return bar.ProxyReader(file), func() { bar.Abort(true); p.Wait() }
}
