package cms

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"carepost/cms/internal/gcm"
)

// gcmContent decrypts the content of an AuthEnvelopedData chunk by chunk, after a first pass that only checks the tag where there is
// a rewinder. The last chunk never comes before the tag has been found good.
type gcmContent struct {
	p      *parser
	c      encryptedContent
	block  cipher.Block
	twice  *rewinder
	seg    *segments
	opener *gcm.Opener
	buf    []byte
}

// newGCM makes the plaintext of c. Without a rewinder it is read once.
func newGCM(p *parser, c encryptedContent, cek []byte, twice *rewinder) (*gcmContent, error) {
	block, err := aes.NewCipher(cek)
	if err != nil {
		return nil, err
	}
	g := &gcmContent{p: p, c: c, block: block, twice: twice, buf: make([]byte, firstChunk)}
	return g, g.begin()
}

// begin starts a pass.
func (g *gcmContent) begin() (err error) {
	if g.seg, err = newSegments(g.p, g.c.header); err != nil {
		return err
	}
	g.opener, err = gcm.NewOpener(g.block, g.c.iv)
	return err
}

// next implements plaintext.
func (g *gcmContent) next() ([]byte, error) {
	if g.twice != nil {
		if err := g.authenticate(); err != nil {
			return nil, constant(err)
		}
		g.twice = nil
	}
	chunk, ended, err := g.chunk(g.opener.Open)
	if err == nil && ended {
		err = g.verify()
	}
	switch {
	case err != nil:
		return nil, constant(err)
	case ended:
		return chunk, io.EOF
	}
	return chunk, nil
}

// authenticate is the first pass, to the end of the stream, and goes back to where it began.
func (g *gcmContent) authenticate() error {
	for ended := false; !ended; {
		var err error
		if _, ended, err = g.chunk(g.opener.Authenticate); err != nil {
			return err
		}
	}
	if err := g.verify(); err != nil {
		return err
	}
	if err := g.twice.rewind(g.p); err != nil {
		return err
	}
	return g.begin()
}

// chunk reads a chunk and has it taken.
func (g *gcmContent) chunk(take func([]byte) error) (b []byte, ended bool, err error) {
	if g.opener.Size() > 0 && len(g.buf) < chunkSize {
		g.buf = make([]byte, chunkSize)
	}
	n, ended, err := g.seg.fill(g.buf)
	if err != nil {
		return nil, false, err
	}
	if take(g.buf[:n]) != nil {
		return nil, false, ErrDecrypt // over 64 GiB
	}
	return g.buf[:n], ended, nil
}

// verify reads what follows the content and checks the tag.
func (g *gcmContent) verify() error {
	attrs, mac, err := g.p.readAuthTrailer()
	if err != nil {
		return err
	}
	data, err := authenticatedData(attrs, g.p.lim)
	if err != nil || len(mac) != g.c.tagLen || !g.opener.Verify(mac, data) {
		return ErrDecrypt
	}
	return nil
}

// readAuthTrailer reads what follows encryptedContent, up to the end of the stream (RFC 5083 §2.1): authAttrs as they stand, or nil,
// and the mac.
func (p *parser) readAuthTrailer() (attrs, mac []byte, err error) {
	if err = p.close("encryptedContent"); err != nil {
		return nil, nil, err
	}
	e, err := p.want("mac")
	if err != nil {
		return nil, nil, err
	}
	if e.tag == tagContext1|constructed {
		if attrs, err = p.raw(e); err != nil {
			return nil, nil, err
		}
		if e, err = p.want("mac"); err != nil {
			return nil, nil, err
		}
	}
	if e.tag&^constructed != tagOctetString {
		return nil, nil, syntax("something else than a mac")
	}
	if mac, err = p.octets(e); err != nil {
		return nil, nil, err
	}
	return attrs, mac, p.endEnveloped(tagContext2 | constructed)
}

// authenticatedData is the additional data of authAttrs: their DER with the tag of SET OF, which they must stand in already (RFC 5083
// §2.1, §2.2). A contentType is wanted as in signed attributes.
func authenticatedData(raw []byte, lim Limits) ([]byte, error) {
	if raw == nil {
		return nil, nil
	}
	s := cryptobyte.String(raw)
	var content cryptobyte.String
	if err := wellFormedDER(raw, lim.Depth); err != nil {
		return nil, err
	}
	if !s.ReadASN1(&content, asn1.Tag(tagContext1|constructed)) || !s.Empty() {
		return nil, attributes("no DER")
	}
	all, ok := setOf(content, lim.Attributes)
	found := false
	for _, one := range all {
		id, values, attribute := parseAttribute(one, lim.Attributes)
		if ok = ok && attribute; ok && id == oidContentType {
			ok = !found && len(values) == 1 && string(values[0]) == "\x06\x09"+string(oidData)
			found = true
		}
	}
	if !ok || !found {
		return nil, attributes("authAttrs")
	}
	return append([]byte{tagSet}, raw[1:]...), nil
}

// rewinder takes a parser back to where it was.
type rewinder struct {
	src   io.ReadSeeker
	at    int64 // in src
	state parser
}

// newRewinder remembers where p is in r.
func (p *parser) newRewinder(r io.Reader) (*rewinder, error) {
	src, ok := r.(io.ReadSeeker)
	if !ok {
		return nil, errors.New("AuthEnvelopedData is read twice: the source must be an io.ReadSeeker, unless ReadOptions.Draft is set")
	}
	at, err := src.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, fmt.Errorf("AuthEnvelopedData is read twice: %w", err)
	}
	w := &rewinder{src: src, at: at - int64(p.r.Buffered()), state: *p}
	w.state.stack = slices.Clone(p.stack)
	return w, nil
}

// rewind is for once.
func (w *rewinder) rewind(p *parser) error {
	if _, err := w.src.Seek(w.at, io.SeekStart); err != nil {
		return err
	}
	*p = w.state
	p.r.Reset(w.src)
	return nil
}
