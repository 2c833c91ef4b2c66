package smime

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"

	"carepost/addr"
	"carepost/cms"
	"carepost/message"
)

// SealOptions says who signs and who may read.
type SealOptions struct {
	Signers    []cms.Signer        // at least one
	Recipients []*x509.Certificate // at least one; each learns of the others' certificates
	Cipher     cms.Algorithm       // zero is AES-256-CBC
	Transport  cms.Algorithm       // to RSA certificates; zero is RSAES-PKCS1-v1_5

	// Outer chooses the outer header fields by the header of the message. Content-, MIME-Version and Bcc fields in its answer
	// are passed over. Nil is OuterHeader. With Unwrapped, the message's own fields go outside; nil changes none of them, and
	// otherwise the fields that Outer returns replace all that have the same name.
	Outer func(message.Header) ([]message.Field, error)

	// Unwrapped is for partners of DICOM PS3.15 B.8 that read no wrapped messages: the message's Content- fields and body are
	// signed and encrypted, all its other fields, the Subject too, stay outside for everyone to see (DIR-49).
	Unwrapped bool
	Alone     bool // with Unwrapped: of the message's own fields none stands outside but those that Outer returns

	// Blind is the one reader, where the message is a blind copy for it: a Bcc field inside names it and nobody else (RFC 5322 §3.6.3). Not with
	// Unwrapped, where fields stand outside. Zero: no Bcc field at all.
	Blind addr.Address

	Limits message.Limits // of the message's header
	Rand   io.Reader      // nil is crypto/rand
}

// Seal signs and encrypts the RFC 5322 message in src and writes the sealed message to dst (Direct 2.4, 2.5). It reads src once,
// and needs no more memory for a longer message. Line ends become CRLF (RFC 8551 §3.1.1); Bcc fields are left out, inside as
// well, since every recipient of this message would read them, but for SealOptions.Blind; nothing else of the message is changed. A message of more than a
// megabyte is encrypted and written in a goroutine of its own, while src is read; it has ended when Seal returns.
//
// Errors that wrap message.ErrSyntax, ErrAmbiguous or ErrLimit speak of the message in src, cms.ErrAlgorithm of a key, and all
// others of src, dst or a key that could not be used. What was written to dst before an error is to be thrown away.
func Seal(dst io.Writer, src io.Reader, o SealOptions) error {
	if err := o.complete(); err != nil {
		return err
	}
	br := bufio.NewReader(src) // small: for the header; the body is read past it
	h, err := message.ReadHeader(br, o.Limits)
	if err != nil {
		return fmt.Errorf("smime: the message: %w", err)
	}
	encoding, err := sealable(h)
	if err != nil {
		return err
	}
	outer, err := o.outer(h)
	if err != nil {
		return err
	}
	text := message.NewBase64Writer(dst)
	env, err := cms.NewEnvelopedWriter(text, cms.Encryption{Cipher: o.Cipher, Transport: o.Transport, Rand: o.Rand}, o.Recipients...) // writes nothing yet
	if err != nil {
		return fmt.Errorf("smime: sealing: %w", err)
	}
	if _, err := outer.WriteTo(dst); err != nil {
		return fmt.Errorf("smime: sealing: %w", err)
	}
	row := &behind{w: env}
	if err := o.signBehind(row, encoding, o.partHeader(h, encoding), br); err != nil {
		return fmt.Errorf("smime: sealing: %w", err)
	}
	if err := errors.Join(env.Close(), text.Close()); err != nil {
		return fmt.Errorf("smime: sealing: %w", err)
	}
	return nil
}

// complete checks o and fills in its defaults.
func (o *SealOptions) complete() error {
	if len(o.Signers) == 0 || len(o.Recipients) == 0 {
		return errors.New("smime: sealing takes a signer and a recipient")
	}
	for _, s := range o.Signers {
		if err := cms.CanSign(s); err != nil { // before a long content is read in vain
			return fmt.Errorf("smime: sealing: %w", err)
		}
	}
	for _, cert := range o.Recipients {
		if err := cms.CanEncrypt(cert); err != nil {
			return fmt.Errorf("smime: sealing: %w", err)
		}
	}
	if o.Cipher == 0 {
		o.Cipher = cms.AES256CBC
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	return nil
}

// hashes returns those that the signers use, each once.
func (o *SealOptions) hashes() (all []crypto.Hash) {
	for _, s := range o.Signers {
		if h := s.Digest(); !slices.Contains(all, h) {
			all = append(all, h)
		}
	}
	return all
}

// Sealable says whether a message with this header can be sealed wrapped, without touching its body: nil, or an error that wraps
// message.ErrSyntax, ErrAmbiguous or ErrLimit. Asked when a message is taken, it spares the sender a late refusal.
func Sealable(h message.Header) error {
	if _, err := sealable(h); err != nil {
		return err
	}
	_, err := OuterHeader(h)
	return err
}

// sealable refuses what is no message, or would not survive, and returns its transfer encoding.
func sealable(h message.Header) (encoding string, err error) {
	if len(h.Fields()) == 0 {
		return "", fmt.Errorf("smime: the message: %w: no header", message.ErrSyntax) // Direct 2.1
	}
	for _, name := range structuralFields {
		if h.Count(name) > 1 {
			return "", fmt.Errorf("smime: the message: %w: two fields %s", message.ErrAmbiguous, name)
		}
	}
	if _, err := h.ContentType(); err != nil {
		return "", fmt.Errorf("smime: the message: %w", err)
	}
	encoding, err = h.Encoding()
	if err != nil {
		return "", fmt.Errorf("smime: the message: %w", err)
	}
	if encoding == "binary" { // RFC 8551 §3.1.1: its line ends are data, and must not be made canonical
		return "", fmt.Errorf("smime: the message: %w: binary content; encode it as base64", message.ErrSyntax)
	}
	return encoding, nil
}

// A message is read by small pieces until it is seen not to be small.
const (
	copyBytes  = 32 << 10
	firstBytes = 8 << 10
	smallBytes = 64 << 10 // in all
)

// partHeader begins the signed part: a wrapper around the whole message (RFC 8551 §3.1, DIR-14), or the message's own fields
// that describe its content.
func (o *SealOptions) partHeader(h message.Header, encoding string) []byte {
	var b bytes.Buffer
	if !o.Unwrapped {
		b.WriteString("Content-Type: message/rfc822\r\n")
		if encoding == "8bit" { // RFC 2045 §6.4: a composite type says so when it holds such lines
			b.WriteString("Content-Transfer-Encoding: 8bit\r\n")
		}
		b.WriteString("\r\n")
	}
	for _, f := range h.Fields() {
		if !blind(f.Name) && (!o.Unwrapped || contentField(f.Name)) {
			b.Write(f.Raw)
		}
	}
	if o.Unwrapped && b.Len() == 0 {
		b.WriteString("Content-Type: text/plain; charset=us-ascii\r\n") // what its absence means (RFC 2045 §5.2)
	}
	if !bytes.HasSuffix(b.Bytes(), []byte("\n")) {
		b.WriteString("\r\n") // the header ended with the message
	}
	if !o.Blind.IsZero() && !o.Unwrapped {
		b.WriteString("Bcc: " + o.Blind.String() + "\r\n")
	}
	b.WriteString("\r\n")
	return b.Bytes()
}

// signBehind is sign by way of a row, which is closed also where a key or a reader panics.
func (o *SealOptions) signBehind(row *behind, encoding string, head []byte, body io.Reader) (err error) {
	defer func() {
		if earlier := row.close(); earlier != nil {
			err = earlier
		}
	}()
	return o.sign(row, encoding, head, body)
}

// sign writes the multipart/signed around the part of which head and body are given (RFC 8551 §3.5.3; DIR-15).
func (o *SealOptions) sign(w io.Writer, encoding string, head []byte, body io.Reader) error {
	boundary, err := message.NewBoundary(o.Rand)
	if err != nil {
		return err
	}
	d := newDigester(o.hashes())
	var b bytes.Buffer
	b.WriteString("Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\";\r\n" +
		"\tmicalg=" + micalgOf(d.hashes) + "; boundary=\"" + boundary + "\"\r\n")
	if encoding == "8bit" {
		b.WriteString("Content-Transfer-Encoding: 8bit\r\n")
	}
	b.WriteString("\r\n--" + boundary + "\r\n")
	if _, err := w.Write(b.Bytes()); err != nil {
		return err
	}

	part := message.NewCRLFWriter(io.MultiWriter(d.raw, w))
	if _, err := part.Write(head); err != nil {
		return err
	}
	// Without the methods of bufio.Reader, which would copy by its small buffer.
	n, err := io.CopyBuffer(part, io.LimitReader(body, smallBytes), make([]byte, firstBytes))
	if err == nil && n == smallBytes {
		_, err = io.CopyBuffer(part, struct{ io.Reader }{body}, make([]byte, copyBytes))
	}
	if err != nil {
		return err
	}
	digests := make(map[crypto.Hash][]byte)
	for i, h := range d.hashes {
		digests[h] = d.states[i].Sum(nil)
	}
	sig, err := cms.SignDetached(digests, o.Rand, o.Signers...)
	if err != nil {
		return err
	}

	b.Reset()
	b.WriteString("\r\n--" + boundary + "\r\n" +
		"Content-Type: application/pkcs7-signature; name=\"smime.p7s\"\r\n" +
		"Content-Transfer-Encoding: base64\r\n" +
		"Content-Disposition: attachment; filename=\"smime.p7s\"\r\n\r\n")
	text := message.NewBase64Writer(&b)
	_, err = text.Write(sig)
	if err := errors.Join(err, text.Close()); err != nil {
		return err
	}
	b.WriteString("\r\n--" + boundary + "--\r\n")
	_, err = w.Write(b.Bytes())
	return err
}
