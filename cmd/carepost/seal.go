package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

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

On an error what was written is to be thrown away.

Exit codes:
  0  sealed
  1  reading or writing failed
  2  wrong usage, or a file that is not what it should be
  3  refused: a certificate, a key or the message breaks a rule, which is named`,
		Example: `  carepost seal --from lab@clinic.example --to dr.lee@practice.example \
      --key lab.key --cert lab.pem --rcpt-cert practice.pem \
      <letter.eml >sealed.eml`,
		DisableFlagsInUseLine: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage(errors.New("the message comes on standard input, not as an argument: carepost seal … <in.eml >out.eml"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd, time.Now()) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.from, "from", "", "the sender's `ADDRESS`")
	flags.StringArrayVar(&f.to, "to", nil, "a recipient's `ADDRESS`; may be repeated")
	flags.StringVar(&f.key, "key", "", "the sender's private key, `FILE` in PEM or DER: RSA, EC P-256 or P-384, not encrypted")
	flags.StringVar(&f.cert, "cert", "", "the sender's certificate, `FILE` in PEM or DER, intermediate certificates after it")
	flags.StringArrayVar(&f.rcptCerts, "rcpt-cert", nil, "a recipient's certificate (RSA), `FILE` in PEM or DER; may be repeated")
	flags.StringVar(&f.cipher, "cipher", "aes256", "content encryption, `NAME`: aes128, aes192 or aes256")
	flags.BoolVar(&f.unwrapped, "unwrapped", false, "for partners that read no wrapped messages: all header fields, the Subject too, stay readable outside")
	return cmd
}

func (f *sealing) run(cmd *cobra.Command, now time.Time) error {
	o, err := f.options(cmd.ErrOrStderr(), now)
	if err != nil {
		return err
	}
	in := newInput(cmd, "sealing")
	defer in.close()
	err = smime.Seal(cmd.OutOrStdout(), in, o)
	switch {
	case err != nil && in.empty():
		return refusedBy("Direct 2.1", "nothing came on standard input: carepost seal … <in.eml >out.eml")
	case errors.Is(err, message.ErrSyntax), errors.Is(err, message.ErrAmbiguous), errors.Is(err, message.ErrLimit):
		return refusedBy("Direct 2.1", "%s", bare(err))
	case errors.Is(err, cms.ErrAlgorithm):
		return refusedBy("Direct 2.7", "%s", bare(err))
	case err != nil:
		return notNow(errors.New(bare(err)))
	}
	return nil
}

var sealCiphers = map[string]cms.Algorithm{"aes128": cms.AES128CBC, "aes192": cms.AES192CBC, "aes256": cms.AES256CBC}

// options checks the flags and the files that they name.
func (f *sealing) options(warnings io.Writer, now time.Time) (o smime.SealOptions, err error) {
	if err := missing(needed{"--from", f.from != ""}, needed{"--to", len(f.to) > 0}, needed{"--key", f.key != ""},
		needed{"--cert", f.cert != ""}, needed{"--rcpt-cert", len(f.rcptCerts) > 0}); err != nil {
		return o, err
	}
	o.Unwrapped = f.unwrapped
	if o.Cipher = sealCiphers[f.cipher]; o.Cipher == 0 {
		return o, usage(fmt.Errorf("--cipher: %q is none of aes128, aes192, aes256", f.cipher))
	}
	from, err := parseAddress("--from: ", f.from)
	if err != nil {
		return o, err
	}
	var to []addr.Address
	for _, s := range f.to {
		a, err := parseAddress("--to: ", s)
		if err != nil {
			return o, err
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
		return cms.Signer{}, err
	}
	certs, err := certFiles("cert", f.cert)
	if err != nil {
		return cms.Signer{}, err
	}
	if !fits(key, certs[0]) {
		return cms.Signer{}, usage(errors.New("the key in --key does not belong to the first certificate in --cert"))
	}
	if binding, why := trust.Bind(certs[0], from); binding == trust.Unbound {
		return cms.Signer{}, refusedBy("Direct 4.1", "--cert does not belong to --from: %s", why)
	}
	if err := inDates("--cert: "+f.cert, certs[0], now); err != nil {
		return cms.Signer{}, err
	}
	if !signs(certs[0]) {
		return cms.Signer{}, refusedBy("RFC 8550 §4.3", "the key is not accepted: --cert: %s: %s; what signs is RSA of 2048 to 8192 bits, P-256 or P-384", f.cert, keyText(certs[0]))
	}
	return cms.Signer{Key: key, Certificate: certs[0], Chain: certs[1:], Time: now}, nil
}

// recipients reads --rcpt-cert, each for one or more of to, and wants one for each of to: nobody else is to read the message,
// and nobody is to get what cannot be read.
func (f *sealing) recipients(to []addr.Address, now time.Time) ([]*x509.Certificate, error) {
	var found []*x509.Certificate
	served := make([]bool, len(to))
	for _, file := range f.rcptCerts {
		certs, err := certFiles("rcpt-cert", file)
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
			return nil, refusedBy("Direct 4.1", "--rcpt-cert: %s belongs to none of the recipients: %s", file, last)
		}
		if err := inDates("--rcpt-cert: "+file, cert, now); err != nil {
			return nil, err
		}
		if !takesRSA(cert) {
			return nil, refusedBy("RFC 8550 §4.3", "the key is not accepted: --rcpt-cert: %s: %s; what is encrypted to is RSA of 2048 to 8192 bits", file, keyText(cert))
		}
		found = append(found, cert)
	}
	for i, a := range to {
		if !served[i] {
			return nil, refusedBy("Direct 2.3", "no --rcpt-cert belongs to the recipient at %s (the %d. --to)", a.Domain, i+1)
		}
	}
	return found, nil
}

// takesRSA says whether messages can be encrypted to a certificate's key (RFC 8551 §2.3; RFC 8550 §4.3 for the size).
func takesRSA(cert *x509.Certificate) bool {
	key, ok := cert.PublicKey.(*rsa.PublicKey)
	return ok && key.N.BitLen() >= 2048 && key.N.BitLen() <= 8192
}

// signs says whether a certificate's key is of a kind that signs messages (RFC 8551 §2.2).
func signs(cert *x509.Certificate) bool {
	key, ok := cert.PublicKey.(*ecdsa.PublicKey)
	return takesRSA(cert) || ok && (key.Curve == elliptic.P256() || key.Curve == elliptic.P384())
}

func inDates(what string, cert *x509.Certificate, now time.Time) error {
	switch {
	case now.Before(cert.NotBefore):
		return refusedBy("Direct 4.0", "%s: the certificate is not valid before %s", what, cert.NotBefore.UTC().Format(time.RFC3339))
	case now.After(cert.NotAfter):
		return refusedBy("Direct 4.0", "%s: the certificate expired at %s", what, cert.NotAfter.UTC().Format(time.RFC3339))
	}
	return nil
}

// warn says what the receiver will stumble over (Direct 2.2). It refuses nothing: a filter does not know the envelope.
func warn(w io.Writer, h message.Header, from addr.Address) {
	for _, name := range []string{"From", "Date", "Message-ID"} {
		if !h.Has(name) {
			fmt.Fprintf(w, "carepost seal: warning: the message has no %s (Direct 2.2)\n", name)
		}
	}
	if !h.Has("To") && !h.Has("Cc") {
		fmt.Fprintln(w, "carepost seal: warning: the message has neither To nor Cc (Direct 2.2)")
	}
	if ct, err := h.ContentType(); err == nil && (ct.Is("application", "pkcs7-mime") || ct.Is("application", "x-pkcs7-mime")) {
		fmt.Fprintln(w, "carepost seal: warning: the message is sealed already; it is sealed once more")
	}
	if boxes, err := h.Mailboxes("From"); err == nil && len(boxes) > 0 && (len(boxes) > 1 || !boxes[0].Address.Equal(from)) {
		fmt.Fprintln(w, "carepost seal: warning: the message is From somebody else than --from; receivers may refuse it (Direct 2.2)")
	}
}

// bare drops the names of the rooms that an error has come through: people read what is left.
func bare(err error) string {
	text := err.Error()
	for _, room := range []string{"smime: ", "the message: ", "sealing: ", "message: ", "cms: ", "zipmail: ", "fileset: "} {
		text = strings.TrimPrefix(text, room)
	}
	return text
}
