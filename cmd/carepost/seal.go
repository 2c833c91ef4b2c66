package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"carepost/addr"
	"carepost/cms"
	"carepost/message"
	"carepost/smime"
)

// sealing holds the flags of `seal`.
type sealing struct {
	from, cipher, hash         string
	to, keys, certs, rcptCerts []string
	unwrapped, pss, oaep       bool
}

func newSealCmd() *cobra.Command {
	var f sealing
	cmd := &cobra.Command{
		Use:   "seal --from A --to B --key K --cert C --rcpt-cert R  <in.eml >out.eml",
		Short: "Signs and encrypts one message, as a filter",
		Long: `Reads an RFC 5322 message on standard input and writes it signed and encrypted to standard output, as Direct 2.4 asks: wrapped
whole, signed with a detached signature, encrypted with AES-256. It works on messages of any size, in the same memory.

What every partner reads is the default. --cipher with -gcm, --pss, --oaep, keys on curves and Ed25519 are for partners who are known to
read them. --key and --cert may be repeated for several signatures, each --cert after the --key that it belongs to.

Outside remain the addresses of --from and --to, the date, the Message-ID and the references. There is no Subject, but the
phrase DICOM-ZIP where the message's own Subject contains it. Bcc fields are taken out, inside too.

Each certificate must belong to its address (Direct 4.1) and be in its dates: every --cert to --from, every --rcpt-cert to one of the
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
	flags.StringArrayVar(&f.keys, "key", nil, "the sender's private key, `FILE` in PEM or DER: RSA, P-256, P-384 or Ed25519, not encrypted; may be repeated")
	flags.StringArrayVar(&f.certs, "cert", nil, "the certificate of --key, `FILE` in PEM or DER, intermediate certificates after it; may be repeated")
	flags.StringArrayVar(&f.rcptCerts, "rcpt-cert", nil, "a recipient's certificate (RSA, P-256, P-384 or X25519), `FILE` in PEM or DER; may be repeated")
	flags.StringVar(&f.cipher, "cipher", "aes-256", "content encryption, `NAME`: aes-128, aes-192, aes-256 (CBC), aes-128-gcm, aes-256-gcm")
	flags.StringVar(&f.hash, "hash", "", "digest that is signed, `NAME`: sha-256, sha-384, sha-512 (default sha-256; sha-512 with Ed25519)")
	flags.BoolVar(&f.pss, "pss", false, "sign with RSASSA-PSS where the key is RSA")
	flags.BoolVar(&f.oaep, "oaep", false, "encrypt the key with RSAES-OAEP (SHA-256) where the certificate is RSA")
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

// sealCipher reads --cipher: CBC where no mode is named, and the old way to write it.
func sealCipher(name string) cms.Algorithm {
	if digits, old := strings.CutPrefix(name, "aes"); old && !strings.HasPrefix(digits, "-") {
		name = "aes-" + digits
	}
	if !strings.HasSuffix(name, "-gcm") {
		name += "-cbc"
	}
	x, err := cms.ParseAlgorithm(name)
	if err != nil || !slices.Contains([]cms.Algorithm{cms.AES128CBC, cms.AES192CBC, cms.AES256CBC, cms.AES128GCM, cms.AES256GCM}, x) {
		return 0
	}
	return x
}

// options checks the flags and the files that they name.
func (f *sealing) options(warnings io.Writer, now time.Time) (o smime.SealOptions, err error) {
	if err := missing(needed{"--from", f.from != ""}, needed{"--to", len(f.to) > 0}, needed{"--key", len(f.keys) > 0},
		needed{"--cert", len(f.certs) > 0}, needed{"--rcpt-cert", len(f.rcptCerts) > 0}); err != nil {
		return o, err
	}
	o.Unwrapped = f.unwrapped
	if o.Cipher = sealCipher(f.cipher); o.Cipher == 0 {
		return o, usage(fmt.Errorf("--cipher: %q is none of aes-128, aes-192, aes-256, aes-128-gcm, aes-256-gcm", f.cipher))
	}
	if f.oaep {
		o.Transport = cms.RSAESOAEPSHA256
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
	if o.Signers, err = f.signers(from, now); err != nil {
		return o, err
	}
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
	for _, room := range []string{"smime: ", "the message: ", "sealing: ", "message: ", "cms: ", "zipmail: ", "fileset: ", "directcontext: ", "xdm: "} {
		text = strings.TrimPrefix(text, room)
	}
	return text
}
