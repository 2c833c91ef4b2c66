package smime

import (
	"errors"
	"io"

	"carepost/cms"
)

// place is where among the layers an entity stands.
type place uint8

const (
	outside   place = iota // the message as it was transmitted
	around                 // the content of a signature around everything
	decrypted              // what was encrypted
	inflated               // the same without its compression
	signed                 // the content of the signature inside
	innermost              // the same without its compression
)

// kind is what an entity is to S/MIME.
type kind uint8

const (
	ordinary kind = iota // of no interest
	clearSigned
	opaqueSigned
	enveloped
	compressed
	otherSMIME // certificates alone, receipts, what nobody knows
)

// moves has every layer that there is: what may be opened where, and where one is then. So there is one decryption, one
// decompression (see refuse) and at most two signatures, and no way around in a circle.
var moves = map[place]map[kind]place{
	outside:   {enveloped: decrypted, clearSigned: around, opaqueSigned: around},
	around:    {enveloped: decrypted},
	decrypted: {compressed: inflated, clearSigned: signed, opaqueSigned: signed},
	inflated:  {clearSigned: signed, opaqueSigned: signed},
	signed:    {compressed: innermost},
}

// opening is one Open.
type opening struct {
	dst    io.Writer
	keys   []cms.Recipient
	lim    OpenOptions
	opened Opened

	ahead  ahead      // decrypts
	plain  io.Reader  // once there is any: to be read to its end, whatever happens
	layers []layer    // open, the outermost first
	sig    *signature // opened last
	outer  bool       // there is a signature around everything
	inner  bool       // there is one inside the encryption
	checks int        // public-key operations, or what may become one
}

// layer is an open layer. Before it is closed what is left of its content is read.
type layer struct {
	content *counted
	close   func() error // judges what follows the content; nil where nothing does
}

// run opens layer by layer, writes the message inside, and closes them from the inside out, for what vouches for a content comes
// behind it.
func (x *opening) run(src io.Reader) error {
	e := &entity{at: outside, body: newCounted(src)}
	for {
		if err := x.header(e); err != nil {
			return err
		}
		k, err := x.kindOf(e)
		if err != nil {
			return err
		}
		to, ok := moves[e.at][k]
		if !ok || !x.allowed(e.at, k) {
			if err := x.refuse(e.at, k); err != nil {
				return err
			}
			if err := x.write(e); err != nil {
				return err
			}
			return x.close()
		}
		body, err := x.open(e, k)
		if err != nil {
			return err
		}
		e = &entity{at: to, body: body}
	}
}

// close closes all layers.
func (x *opening) close() error {
	for i := len(x.layers) - 1; i >= 0; i-- {
		l := x.layers[i]
		if _, err := l.content.br.WriteTo(io.Discard); err != nil { // what a decoder left over belongs to it as well
			return classify(err, "the end of a layer")
		}
		if l.close == nil {
			continue
		}
		if err := l.close(); err != nil {
			return err
		}
	}
	return nil
}

// push opens a layer with this content.
func (x *opening) push(content io.Reader, close func() error) *counted {
	c := newCounted(content)
	x.layers = append(x.layers, layer{c, close})
	return c
}

// allowed says whether the options have what moves has.
func (x *opening) allowed(at place, k kind) bool {
	f := x.lim.Forms
	if k == opaqueSigned && !f.Has(Opaque) {
		return false
	}
	switch {
	case at == outside && k != enveloped:
		return f&(EncryptedThenSigned|TripleWrapped) != 0
	case k == compressed:
		return f.Has(Compressed) && !x.opened.Form.Has(Compressed)
	case k == clearSigned || k == opaqueSigned:
		return !x.outer || f.Has(TripleWrapped)
	}
	return true
}

// refuse says why an entity of kind k, which is not opened, may not be the message either; nil where it may.
func (x *opening) refuse(at place, k kind) error {
	switch at {
	case outside:
		if k == ordinary || k == clearSigned {
			return ErrPlain
		}
		return structure("the outermost body is not enveloped-data")
	case around:
		return ErrPlain
	case decrypted, inflated:
		switch {
		case k == ordinary && x.outer && x.lim.Forms.Has(EncryptedThenSigned):
			return nil
		case k == ordinary && !x.outer:
			return ErrUnsigned
		case k == ordinary, k == clearSigned:
			return structure("a layer of signatures that is not asked for")
		}
		return structure("S/MIME inside that is not multipart/signed")
	}
	if k == compressed && x.opened.Form.Has(Compressed) {
		return structure("compressed twice")
	}
	return nil
}

// header reads the header of e.
func (x *opening) header(e *entity) (err error) {
	e.header, e.blank, err = e.body.header(x.lim.Message)
	if e.at == outside {
		x.opened.Outer = e.header
	}
	if e.at == decrypted {
		if err != nil || !e.header.Has("Content-Type") {
			return ErrDecrypt // noise: what a wrong key makes
		}
		if _, err := e.body.br.Peek(1); err != nil {
			return ErrDecrypt // cut within the header
		}
	}
	if err != nil {
		return classify(err, e.whose())
	}
	return nil
}

// verdict makes one error of all that would tell of the plaintext, or of where a message was cut.
func verdict(err error) error {
	if errors.Is(err, ErrDecrypt) || errors.Is(err, errCut) {
		return ErrDecrypt
	}
	return err
}
