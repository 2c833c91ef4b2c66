package smime

import (
	"bufio"
	"errors"
	"io"

	"carepost/message"
)

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
	x.opened.Signatures, err = verify(sd, d)
	return err
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
