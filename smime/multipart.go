package smime

import (
	"bufio"
	"bytes"

	"carepost/cms"
	"carepost/message"
)

// multipart opens a multipart/signed (RFC 1847 §2.1): its content is the first part.
func (x *opening) multipart(e *entity) (*counted, error) {
	if err := signable(e); err != nil {
		return nil, err
	}
	s := newSplitter(e.body.br, e.ct.Params["boundary"])
	drop := s.next
	if x.plain != nil {
		drop = s.preamble
	}
	switch closed, err := drop(); {
	case err != nil:
		return nil, err
	case closed:
		return nil, structure("multipart/signed without parts")
	}
	d := announcedDigester(e.ct.Params["micalg"], x.lim.Algorithms)
	d.holding = x.lim.Forms.Has(Epilogue)
	l := &signature{d: d, outer: e.at == outside}
	x.sig = l
	return x.push(&hashed{s, d}, func() error { return x.closeMultipart(s, l) }), nil
}

// signable wants the multipart/signed that Direct 2.5.1 knows.
func signable(e *entity) error {
	boundary := e.ct.Params["boundary"]
	switch {
	case !pkcs7Signature(e.ct.Params["protocol"]):
		return structure("multipart/signed by another protocol")
	case !validBoundary(boundary):
		return structure("multipart/signed without a proper boundary")
	case !bytes.Contains(field(e.header, "Content-Type").Raw, []byte(boundary)):
		return structure("a boundary that is folded or escaped") // one reader would drop the fold, another would not
	}
	// RFC 1847 §2.1: multipart/signed is never encoded itself.
	switch enc, err := e.header.Encoding(); {
	case err != nil:
		return classify(err, e.whose())
	case enc != "7bit" && enc != "8bit" && enc != "binary":
		return structure("multipart/signed with a transfer encoding")
	}
	return nil
}

// closeMultipart reads what follows the signed part: the signature, and nothing else that counts.
func (x *opening) closeMultipart(s *splitter, l *signature) error {
	switch closed, err := s.next(); {
	case err != nil:
		return err
	case closed:
		return structure("multipart/signed with one part")
	}
	sd, sigErr := x.signaturePart(s)
	// The end is looked at first: where the message is cut, a faulty signature is no news.
	closed, err := s.next()
	if err == nil && closed {
		if err := s.epilogue(); err != nil {
			return err
		}
	}
	switch {
	case err != nil:
		return err
	case !closed:
		return structure("multipart/signed with more than two parts")
	case sigErr != nil:
		return sigErr
	}
	return x.judge(sd, l)
}

// signaturePart reads the second part.
func (x *opening) signaturePart(s *splitter) (*cms.SignedData, error) {
	br := bufio.NewReader(s)
	h, err := message.ReadHeader(br, x.lim.Message)
	if err != nil {
		return nil, classify(err, "the header of the signature")
	}
	if x.plain != nil && !plainText(h.Bytes()) {
		return nil, ErrDecrypt
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
	sd, err := cms.ReadSigned(r, x.lim.cms())
	if err != nil {
		return nil, classify(err, "the signature")
	}
	return sd, nil
}
