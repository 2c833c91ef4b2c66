package smime

import (
	"bytes"
	"errors"
	"io"

	"carepost/cms"
	"carepost/message"
)

// entity is what stands at a place: its header was read, its body was not.
type entity struct {
	at     place
	header message.Header
	blank  string // the blank line after the header, as it stands
	ct     message.ContentType
	body   *counted
}

// whose names the header of an entity for errors.
func (e *entity) whose() string {
	switch e.at {
	case outside:
		return "the outer header"
	case decrypted, inflated:
		return "the encrypted entity"
	}
	return "the header of the signed part"
}

// kindOf finds out what e is to S/MIME, and refuses a header that can be read in two ways. Nothing of the body is taken.
func (x *opening) kindOf(e *entity) (kind, error) {
	var err error
	e.ct, err = e.header.ContentType()
	// DIR-12: the old name as well.
	ours := e.ct.Is("application", "pkcs7-mime") || e.ct.Is("application", "x-pkcs7-mime")
	if errors.Is(err, message.ErrAmbiguous) || err != nil && (ours || e.at != outside) {
		return ordinary, classify(err, e.whose())
	}
	if e.at != outside {
		if err := single(e.header); err != nil {
			return ordinary, err
		}
	}
	switch {
	case ours:
		return x.pkcs7Kind(e), nil
	case err == nil && e.ct.Is("multipart", "signed") && (e.at != outside || pkcs7Signature(e.ct.Params["protocol"])):
		return clearSigned, nil
	}
	return ordinary, nil
}

// pkcs7Kind finds out what an application/pkcs7-mime is: by its smime-type, in any case of letters (RFC 8551 §3.2.2), or without
// one by what it begins with.
func (x *opening) pkcs7Kind(e *entity) kind {
	t, named := e.ct.Params["smime-type"]
	switch {
	case equalFold(t, "enveloped-data"), equalFold(t, "authEnveloped-data"):
		return enveloped
	case equalFold(t, "signed-data"):
		return opaqueSigned
	case equalFold(t, "compressed-data"):
		return compressed
	case named:
		return otherSMIME
	case x.lim.Forms == 0 && e.at == outside: // nothing else is read here, and what it is comes out
		return enveloped
	}
	switch e.sniff() {
	case cms.EnvelopedContent, cms.AuthEnvelopedContent:
		return enveloped
	case cms.SignedContent:
		return opaqueSigned
	case cms.CompressedContent:
		return compressed
	}
	return otherSMIME
}

// sniffText is enough of a body, in any transfer encoding, for cms.SniffLen octets.
const sniffText = 512

// sniff looks at the beginning of the body. What cannot be read there is found when it is opened.
func (e *entity) sniff() cms.Content {
	text, _ := e.body.br.Peek(sniffText)
	r, err := decoded(e.header, bytes.NewReader(text))
	if err != nil {
		return cms.OtherContent
	}
	head := make([]byte, cms.SniffLen)
	n, _ := io.ReadFull(r, head)
	return cms.ContentOf(head[:n])
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
	r, err := message.Decode(enc, body)
	if err != nil {
		return nil, structure("unknown transfer encoding")
	}
	return r, nil
}

// pkcs7Signature knows both names of the type (Direct 2.5.1).
func pkcs7Signature(mediaType string) bool {
	return equalFold(mediaType, "application/pkcs7-signature") || equalFold(mediaType, "application/x-pkcs7-signature")
}
