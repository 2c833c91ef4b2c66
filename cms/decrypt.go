package cms

import (
	"crypto/aes"
	"io"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"carepost/cms/internal/cbc"
)

// ReadEnveloped reads a ContentInfo with an EnvelopedData, BER or DER, up to its first octet of ciphertext; the reader that it
// returns yields the plaintext as it comes and wants the end of r after the last octet of the ContentInfo (RFC 5652 §6). The
// caller keeps the plaintext hidden until the reader has said io.EOF and a signature has been verified: with a wrong key it is
// noise (which one time in 256 ends like good padding, so without an error), and it can be forged by anybody in any case.
//
// Of several keys that the message names, the first in keys is used, once. Errors: ErrSyntax, ErrLimit, ErrContentType,
// ErrAlgorithm, ErrNoKey, ErrUnavailable, and those of r; of the reader: ErrDecrypt, and those of r.
func ReadEnveloped(r io.Reader, keys []Recipient, o ReadOptions) (*Enveloped, io.Reader, error) {
	p := newParser(r, o)
	found, err := p.readEnvelopedData(keys)
	if err != nil {
		return nil, nil, boundary(err)
	}
	env := &Enveloped{Recipients: found.n}
	iv, content, err := p.readEncryptedContentInfo(env)
	if err != nil {
		return nil, nil, boundary(err)
	}
	// Everything that can be refused without the key has been refused. Now the private operation, one.
	cek, err := found.contentKey(env, keys, o.Algorithms)
	if err != nil {
		return nil, nil, boundary(err)
	}
	defer clear(cek)
	dec, err := cbc.NewDecrypter(cek, iv)
	if err != nil {
		return nil, nil, boundary(err)
	}
	seg, err := newSegments(p, content)
	if err != nil {
		return nil, nil, boundary(err)
	}
	return env, &plaintextReader{
		seg: seg,
		dec: dec,
		buf: make([]byte, aes.BlockSize+firstChunk),
	}, nil
}

// readEnvelopedData reads up to and with recipientInfos (RFC 5652 §6.1).
func (p *parser) readEnvelopedData(keys []Recipient) (*recipients, error) {
	if err := p.readContentInfo(oidEnveloped); err != nil {
		return nil, err
	}
	if err := p.readVersion(); err != nil {
		return nil, err
	}
	return p.readRecipientInfos(keys)
}

// readEncryptedContentInfo reads up to the header of encryptedContent (RFC 5652 §6.1).
func (p *parser) readEncryptedContentInfo(env *Enveloped) (iv []byte, content element, err error) {
	if err = p.open(tagSequence, "encryptedContentInfo"); err != nil {
		return nil, content, err
	}
	if err = p.readType(oidData); err != nil {
		return nil, content, err
	}
	e, err := p.want("contentEncryptionAlgorithm")
	if err != nil {
		return nil, content, err
	}
	a, err := p.readAlgorithm(e)
	if err != nil {
		return nil, content, err
	}
	env.Cipher = cipherOf(a.oid)
	if err := p.algs.accept(env.Cipher, "content encryption"); err != nil {
		return nil, content, err
	}
	params := cryptobyte.String(a.params)
	var octets cryptobyte.String
	if !params.ReadASN1(&octets, asn1.OCTET_STRING) || len(octets) != aes.BlockSize { // RFC 3565 §4.1
		return nil, content, algorithm("initialization vector")
	}
	if content, err = p.want("encryptedContent"); err != nil {
		return nil, content, err
	}
	if content.tag&^constructed != tagContext0 {
		return nil, content, syntax("something else than encryptedContent")
	}
	return octets, content, nil
}
