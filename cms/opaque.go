package cms

import (
	"bytes"
	"crypto"
	"errors"
	"io"
)

// Opaque is a SignedData with its content inside (RFC 5652 §5.2). Its Read gives the content: as it stands, not verified, and not
// known to be whole before io.EOF. The caller keeps it hidden until a signature over it has been checked.
type Opaque struct {
	Digests []crypto.Hash // those announced that are accepted, each once: for one pass over the content

	p       *parser
	content *segments
	digests map[oid]bool
	signed  *SignedData
	err     error // sticky; io.EOF once all was read to the end of the source
}

// ReadOpaque reads a ContentInfo with a SignedData, BER or DER, up to its first octet of content. As strict as ReadSigned: the type
// of the content is id-data, every signer signs attributes, nothing follows the end. Memory does not grow with the content.
//
// Errors, here and of Read: ErrSyntax, ErrLimit, ErrContentType, and those of r; here also ErrDetached where there is no content
// but a signer, and ErrCertificates where there is neither.
func ReadOpaque(r io.Reader, o ReadOptions) (*Opaque, error) {
	s, err := newParser(r, o).readOpaque()
	if err != nil {
		return nil, boundary(err)
	}
	return s, nil
}

func (p *parser) readOpaque() (*Opaque, error) {
	digests, err := p.readSignedHead()
	if err != nil {
		return nil, err
	}
	e, ok, err := p.readEncapsulated()
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, p.withoutContent(digests)
	}
	o := &Opaque{p: p, digests: digests, Digests: p.hashes(digests)}
	if err := p.enter(e); err != nil {
		return nil, err
	}
	if e, err = p.want("eContent"); err != nil {
		return nil, err
	}
	if e.tag&^constructed != tagOctetString {
		return nil, syntax("something else than an eContent")
	}
	o.content, err = newSegments(p, e)
	return o, err
}

// hashes returns those of the digest algorithms listed that are accepted.
func (p *parser) hashes(listed map[oid]bool) (all []crypto.Hash) {
	for _, id := range [...]oid{oidSHA256, oidSHA384, oidSHA512, oidSHA1} {
		if x := digestOf(id); listed[id] && p.algs.accept(x, "digest") == nil {
			all = append(all, x.hash())
		}
	}
	return all
}

// withoutContent reads the rest and says what it is.
func (p *parser) withoutContent(digests map[oid]bool) error {
	s, err := p.readSignedTail(digests)
	switch {
	case err != nil:
		return err
	case len(s.Signers) == 0:
		return ErrCertificates
	}
	return ErrDetached
}

// Read implements io.Reader.
func (o *Opaque) Read(b []byte) (int, error) {
	if len(b) == 0 || o.err != nil {
		return 0, o.err
	}
	n, ended, err := o.content.fill(b)
	switch {
	case err != nil:
		o.err = boundary(err)
	case ended:
		o.end()
	}
	if n > 0 && o.err == io.EOF {
		return n, nil
	}
	return n, o.err
}

// end reads what follows the content.
func (o *Opaque) end() {
	for _, what := range [...]string{"eContent", "encapContentInfo"} {
		if err := o.p.close(what); err != nil {
			o.err = boundary(err)
			return
		}
	}
	s, err := o.p.readSignedTail(o.digests)
	if err != nil {
		o.err = boundary(err)
		return
	}
	o.signed, o.err = s, io.EOF
}

// WriteTo implements io.WriterTo: io.Copy with a buffer that suits the segments.
func (o *Opaque) WriteTo(w io.Writer) (n int64, err error) {
	buf := make([]byte, chunkSize)
	for {
		k, err := o.Read(buf)
		if k > 0 {
			m, err := w.Write(buf[:k])
			n += int64(m)
			if err != nil {
				return n, err
			}
		}
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// Signed returns the signatures, once Read has said io.EOF. SignedData.Verify wants the digest of what Read gave.
func (o *Opaque) Signed() (*SignedData, error) {
	switch {
	case o.signed != nil:
		return o.signed, nil
	case o.err != nil:
		return nil, o.err
	}
	return nil, errors.New("cms: reading: the content was not read to its end")
}

// Content is what a ContentInfo holds (RFC 5652 §3).
type Content uint8

// The contents that this package reads. The zero Content is any other, or no ContentInfo at all.
const (
	OtherContent Content = iota
	SignedContent
	EnvelopedContent
	AuthEnvelopedContent
	CompressedContent
)

// SniffLen is how many octets of a ContentInfo ContentOf needs, if there are as many.
const SniffLen = 2 + 2*(1+maxLengthOctets) + maxOIDBytes

// ContentOf says what a ContentInfo holds by its beginning: for messages that do not say so outside.
func ContentOf(head []byte) Content {
	p := newParser(bytes.NewReader(head), ReadOptions{})
	if p.open(tagSequence, "ContentInfo") != nil {
		return OtherContent
	}
	id, err := p.readOID()
	if err != nil {
		return OtherContent
	}
	switch id {
	case oidSigned:
		return SignedContent
	case oidEnveloped:
		return EnvelopedContent
	case oidAuthEnveloped:
		return AuthEnvelopedContent
	case oidCompressed:
		return CompressedContent
	}
	return OtherContent
}
