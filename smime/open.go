package smime

import (
	"bufio"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime/quotedprintable"
	"time"

	"carepost/cms"
	"carepost/message"
)

// OpenOptions bounds what Open reads; the zero value has the defaults of both rooms. How long a message may be is the caller's
// to say, by a limited reader or writer: Open needs no more memory for a longer one.
type OpenOptions struct {
	Message message.Limits // of each header that is read
	CMS     cms.Limits     // of the EnvelopedData and of the SignedData
}

// Opened is what a message was found to be.
type Opened struct {
	Outer        message.Header // as it was transmitted; nothing of it is protected
	Header       message.Header // of the message that was written to dst
	Wrapped      bool           // that message came as message/rfc822: all of Header was signed, else only its Content- fields
	Cipher       cms.Cipher
	Recipients   int               // RecipientInfos of the EnvelopedData
	Own          *x509.Certificate // the recipient certificate that opened it
	Signatures   []Signature       // all there are, good and bad, in the order of the message
	Certificates []*x509.Certificate
	Size         int64 // octets written to dst
}

// Signature is one SignerInfo, checked against one certificate of the message that its identifier names. Where several
// certificates share that name there is one Signature for each; where none is included, one without a certificate (DIR-16).
type Signature struct {
	Signer        int               // index of the SignerInfo
	Certificate   *x509.Certificate // nil: not included
	Hash          crypto.Hash
	SigningTime   time.Time // what the signer claims: for the log, never the time of validation
	Canonicalised bool      // the digest is that of the canonical form, not of the bytes as received
	Err           error     // nil: this certificate's key signed this content. Says nothing of trust
}

// Good returns the signatures that hold. Whether their certificates are trusted is for the caller to find out.
func (o *Opened) Good() []Signature {
	var good []Signature
	for _, s := range o.Signatures {
		if s.Err == nil {
			good = append(good, s)
		}
	}
	return good
}

// errNoCertificate and errNotHashed are the faults of a signature that package cms is not asked about.
var (
	errNoCertificate = errors.New("smime: the signing certificate is not included")     // Direct 2.5.2
	errNotHashed     = errors.New("smime: a digest algorithm that micalg did not name") // RFC 8551 §3.5.3.2
)

// Open decrypts the message in src with one of keys, checks every signature and writes the message inside to dst: as it was
// wrapped, or made of the outer header and the signed entity. It reads src once and needs no more memory for a longer message.
//
// dst is a draft that nobody can read: what is written there is neither verified nor whole before Open returns. With an error
// the caller throws it away. Without one it is whole; the caller shows it once a signature of Good is trusted and bound to the
// sender, and throws it away otherwise. No error and no bad signature is ever answered to the sender (RFC 3218 §2.3.2; Direct
// 3): ErrUnsigned and ErrStructure tell something of the plaintext.
//
// Errors: ErrPlain, ErrNoKey, ErrDecrypt, ErrUnsigned, ErrStructure, ErrLimit; anything else means that src, dst or a key could
// not be used.
func Open(dst io.Writer, src io.Reader, keys []cms.Recipient, o OpenOptions) (*Opened, error) {
	in := &watched{r: src}
	out := &draft{w: dst}
	opened, err := open(out, in, keys, o)
	switch {
	case in.err != nil:
		return nil, fmt.Errorf("smime: reading the message: %w", in.err)
	case out.err != nil:
		return nil, fmt.Errorf("smime: writing the draft: %w", out.err)
	case err != nil:
		return nil, err
	}
	opened.Size = out.n
	return opened, nil
}

func open(dst *draft, src io.Reader, keys []cms.Recipient, o OpenOptions) (*Opened, error) {
	br := bufio.NewReader(src) // small: for the header; bodies are read past it
	outer, err := message.ReadHeader(br, o.Message)
	if err != nil {
		return nil, classify(err, "the outer header")
	}
	body, err := envelopedBody(outer, br)
	if err != nil {
		return nil, err
	}
	env, plain, err := cms.ReadEnveloped(body, keys, o.CMS)
	switch {
	case errors.Is(err, cms.ErrNoKey):
		return nil, ErrNoKey
	case errors.Is(err, cms.ErrDecrypt):
		return nil, ErrDecrypt
	case err != nil:
		return nil, classify(err, "the enveloped data")
	}
	x := &opening{
		dst: dst, lim: o,
		opened: Opened{Outer: outer, Cipher: env.Cipher, Recipients: env.Recipients, Own: env.Own},
	}
	if err := x.plaintext(plain); err != nil {
		if dst.err == nil { // whatever is wrong with the message takes as long as nothing being wrong
			_, _ = io.Copy(io.Discard, plain)
		}
		return nil, err
	}
	return &x.opened, nil
}

// envelopedBody returns the decoded CMS when it is all that the message is (EFAIL: nothing decrypted ever stands beside
// something plain; RFC 8551 §3.3).
func envelopedBody(outer message.Header, body io.Reader) (io.Reader, error) {
	ct, err := outer.ContentType()
	if errors.Is(err, message.ErrAmbiguous) {
		return nil, classify(err, "the outer header")
	}
	// DIR-12: the old name as well.
	if err != nil || !ct.Is("application", "pkcs7-mime") && !ct.Is("application", "x-pkcs7-mime") {
		return nil, ErrPlain
	}
	if t, ok := ct.Params["smime-type"]; ok && !equalFold(t, "enveloped-data") {
		return nil, structure("the outermost body is not enveloped-data")
	}
	if err := single(outer); err != nil {
		return nil, err
	}
	r, err := decoded(outer, body)
	if err != nil {
		return nil, classify(err, "the outer header")
	}
	return r, nil
}

// structuralFields shape an entity and may stand once.
var structuralFields = [...]string{"MIME-Version", "Content-Type", "Content-Transfer-Encoding", "Content-Disposition"}

// single refuses a header with two fields that shape the entity.
func single(h message.Header) error {
	for _, name := range structuralFields {
		if h.Count(name) > 1 {
			return structure("two fields " + name)
		}
	}
	return nil
}

// decoded undoes the transfer encoding of an entity that is no multipart.
func decoded(h message.Header, body io.Reader) (io.Reader, error) {
	enc, err := h.Encoding()
	if err != nil {
		return nil, err
	}
	switch enc {
	case "7bit", "8bit", "binary":
		return body, nil
	case "base64":
		return message.NewBase64Reader(body), nil
	case "quoted-printable":
		return quoted{quotedprintable.NewReader(body)}, nil
	}
	return nil, structure("unknown transfer encoding")
}

// quoted tells what is wrong with quoted-printable text in our words.
type quoted struct{ r io.Reader }

func (q quoted) Read(p []byte) (int, error) {
	n, err := q.r.Read(p)
	if err != nil && err != io.EOF {
		err = structure("bad quoted-printable")
	}
	return n, err
}

// opening is one Open after the decryption has begun.
type opening struct {
	dst    io.Writer
	lim    OpenOptions
	opened Opened
}

// plaintext reads the decrypted entity. Errors come in the order of the stream, so that one found early does not depend on
// what the end is like (padding, a cut).
func (x *opening) plaintext(plain io.Reader) error {
	br := bufio.NewReader(plain)
	h, err := message.ReadHeader(br, x.lim.Message)
	if err != nil || !h.Has("Content-Type") {
		return ErrDecrypt // noise: what a wrong key makes
	}
	if _, err := br.Peek(1); err != nil {
		return ErrDecrypt // cut within the header
	}
	ct, err := signedType(h)
	if err != nil {
		return err
	}
	s := newSplitter(br, ct.Params["boundary"])
	err = x.sections(s, ct)
	if s.err != nil && !errors.Is(s.err, ErrStructure) {
		return ErrDecrypt // the body was cut, or went wrong while it was read: that is all there is to say
	}
	return err
}

// signedType returns the type of h when it is multipart/signed as Direct 2.5.1 wants it.
func signedType(h message.Header) (message.ContentType, error) {
	ct, err := h.ContentType()
	if err != nil {
		return ct, classify(err, "the encrypted entity")
	}
	if err := single(h); err != nil {
		return ct, err
	}
	switch {
	case ct.Is("application", "pkcs7-mime"), ct.Is("application", "x-pkcs7-mime"):
		return ct, structure("S/MIME inside that is not multipart/signed") // opaque SignedData, triple wrapping
	case !ct.Is("multipart", "signed"):
		return ct, ErrUnsigned
	case !pkcs7Signature(ct.Params["protocol"]):
		return ct, structure("multipart/signed by another protocol")
	case !validBoundary(ct.Params["boundary"]):
		return ct, structure("multipart/signed without a proper boundary")
	}
	// RFC 1847 §2.1: multipart/signed is never encoded itself.
	switch enc, err := h.Encoding(); {
	case err != nil:
		return ct, classify(err, "the encrypted entity")
	case enc != "7bit" && enc != "8bit" && enc != "binary":
		return ct, structure("multipart/signed with a transfer encoding")
	}
	return ct, nil
}

// pkcs7Signature knows both names of the type (Direct 2.5.1).
func pkcs7Signature(mediaType string) bool {
	return equalFold(mediaType, "application/pkcs7-signature") || equalFold(mediaType, "application/x-pkcs7-signature")
}

// sections reads the multipart: two parts, and nothing else that counts.
func (x *opening) sections(s *splitter, ct message.ContentType) error {
	switch closed, err := s.next(); { // the preamble is dropped
	case err != nil:
		return err
	case closed:
		return structure("multipart/signed without parts")
	}
	d := newDigester(ct.Params["micalg"])
	if err := x.content(&hashed{s: s, d: d}); err != nil {
		return err
	}
	switch closed, err := s.next(); {
	case err != nil:
		return err
	case closed:
		return structure("multipart/signed with one part")
	}
	sd, sigErr := x.signature(s)
	// The end is looked at first: where the message is cut, a faulty signature is no news.
	closed, err := s.next()
	if err == nil && closed {
		if err := s.epilogue(); err != nil {
			return ErrDecrypt
		}
	}
	switch {
	case err != nil:
		return err
	case !closed:
		return structure("multipart/signed with more than two parts")
	case sigErr != nil:
		return sigErr
	case len(sd.Signers) == 0:
		return ErrUnsigned
	}
	x.opened.Certificates = sd.Certificates
	x.opened.Signatures = verify(sd, d)
	return nil
}

// content reads the signed part to its end and writes the message in it to dst.
func (x *opening) content(part *hashed) error {
	body := newCounted(part)
	h, blank, err := body.header(x.lim.Message)
	if err != nil {
		return classify(err, "the header of the signed part")
	}
	ct, err := h.ContentType()
	if err != nil {
		return classify(err, "the header of the signed part")
	}
	if err := single(h); err != nil {
		return err
	}
	if ct.Is("message", "rfc822") || ct.Is("message", "global") {
		err = x.wrapped(h, body)
	} else {
		err = x.unwrapped(h, blank, body)
	}
	if err != nil {
		return err
	}
	_, err = body.br.WriteTo(io.Discard) // what a decoder left over is signed as well
	return err
}

// wrapped writes the message that the signed part h consists of (RFC 8551 §3.1; DIR-14).
func (x *opening) wrapped(h message.Header, body *counted) error {
	r, err := decoded(h, body.br)
	if err != nil {
		return classify(err, "the header of the signed part")
	}
	br := body
	if r != io.Reader(body.br) {
		br = newCounted(r)
	}
	x.opened.Wrapped = true
	var blank string
	x.opened.Header, blank, err = br.header(x.lim.Message)
	if err != nil {
		return classify(err, "the header of the wrapped message")
	}
	if err := x.writeHeader(blank); err != nil {
		return err
	}
	if _, err := br.br.WriteTo(x.dst); err != nil {
		return classify(err, "the wrapped message")
	}
	return nil
}

// unwrapped writes one message of the outer fields and the signed entity.
func (x *opening) unwrapped(entity message.Header, blank string, body *counted) error {
	var err error
	if x.opened.Header, err = joined(x.opened.Outer, entity, x.lim.Message); err != nil {
		return classify(err, "the joined header")
	}
	if err := x.writeHeader(blank); err != nil {
		return err
	}
	_, err = body.br.WriteTo(x.dst)
	return err
}

// writeHeader writes the header of the message inside with its blank line, and refuses one that can be read in two ways.
func (x *opening) writeHeader(blank string) error {
	h := x.opened.Header
	if _, err := h.ContentType(); errors.Is(err, message.ErrAmbiguous) {
		return classify(err, "the message")
	}
	if err := single(h); err != nil {
		return err
	}
	if _, err := x.dst.Write(h.Bytes()); err != nil {
		return err
	}
	_, err := io.WriteString(x.dst, blank)
	return err
}

// signature reads the second part.
func (x *opening) signature(s *splitter) (*cms.SignedData, error) {
	br := bufio.NewReader(s)
	h, err := message.ReadHeader(br, x.lim.Message)
	if err != nil {
		return nil, classify(err, "the header of the signature")
	}
	ct, err := h.ContentType()
	if err != nil {
		return nil, classify(err, "the header of the signature")
	}
	if err := single(h); err != nil {
		return nil, err
	}
	if !pkcs7Signature(ct.Type + "/" + ct.Subtype) {
		return nil, structure("the second part is not the signature that was announced") // RFC 1847 §2.1
	}
	r, err := decoded(h, br)
	if err != nil {
		return nil, classify(err, "the header of the signature")
	}
	sd, err := cms.ReadSigned(r, x.lim.CMS)
	if err != nil {
		return nil, classify(err, "the signature")
	}
	return sd, nil
}

// verify tries every SignerInfo with every certificate that it may mean, and both forms of the content.
func verify(sd *cms.SignedData, d *digester) []Signature {
	var all []Signature
	for i, info := range sd.Signers {
		base := Signature{Signer: i, Hash: info.Hash, SigningTime: info.SigningTime}
		candidates := sd.Candidates(i)
		if len(candidates) == 0 {
			base.Err = errNoCertificate
			all = append(all, base)
		}
		received, canonical := d.sums(info.Hash)
		for _, cert := range candidates {
			s := base
			s.Certificate = cert
			switch {
			case received == nil && info.Hash != 0:
				s.Err = errNotHashed
			default:
				s.Err = sd.Verify(i, cert, received)
			}
			if canonical != nil && errors.Is(s.Err, cms.ErrDigest) {
				if err := sd.Verify(i, cert, canonical); err == nil || !errors.Is(err, cms.ErrDigest) {
					s.Err, s.Canonicalised = err, true
				}
			}
			all = append(all, s)
		}
	}
	return all
}
