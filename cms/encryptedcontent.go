package cms

import (
	"crypto/aes"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"carepost/cms/internal/gcm"
)

// encryptedContent is an EncryptedContentInfo up to its ciphertext (RFC 5652 §6.1).
type encryptedContent struct {
	iv     []byte  // or nonce
	tagLen int     // octets of an AuthEnvelopedData's mac
	header element // of the ciphertext
}

// readEncryptedContentInfo reads up to the header of encryptedContent. The container decides what kind of cipher may stand in it.
func (p *parser) readEncryptedContentInfo(env *Enveloped) (c encryptedContent, err error) {
	if err = p.open(tagSequence, "encryptedContentInfo"); err != nil {
		return c, err
	}
	if _, err = p.readType(oidData); err != nil {
		return c, err
	}
	e, err := p.want("contentEncryptionAlgorithm")
	if err != nil {
		return c, err
	}
	a, err := p.readAlgorithm(e)
	if err != nil {
		return c, err
	}
	env.Cipher = cipherOf(a.oid)
	if err = p.algs.accept(env.Cipher, "content encryption"); err != nil {
		return c, err
	}
	// RFC 5083 §2.1, RFC 5084 §1: CBC proves nothing to whoever is told that the content is authenticated, and GCM without its tag
	// is a stream of bits that can be turned one by one.
	if env.Cipher.Authenticated() != env.Authenticated {
		return c, algorithm("content encryption in this kind of content")
	}
	ok := false
	if env.Authenticated {
		c.iv, c.tagLen, ok = gcmParameters(a.params)
	} else {
		c.iv, ok = cbcParameters(a.params)
	}
	if !ok {
		return c, algorithm("parameters of the content encryption")
	}
	if c.header, err = p.want("encryptedContent"); err != nil {
		return c, err
	}
	if c.header.tag&^constructed != tagContext0 {
		return c, syntax("something else than encryptedContent")
	}
	return c, nil
}

// cbcParameters reads an AES-IV (RFC 3565 §4.1).
func cbcParameters(params []byte) (iv []byte, ok bool) {
	s := cryptobyte.String(params)
	ok = s.ReadASN1((*cryptobyte.String)(&iv), asn1.OCTET_STRING) && len(iv) == aes.BlockSize
	return iv, ok
}

// gcmParameters reads GCMParameters (RFC 5084 §3.2): a nonce of 12 octets, for which alone GCM's counter is the nonce's, and a tag
// of 12 to 16.
func gcmParameters(params []byte) (nonce []byte, tagLen int, ok bool) {
	s := cryptobyte.String(params)
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, asn1.SEQUENCE) || !seq.ReadASN1((*cryptobyte.String)(&nonce), asn1.OCTET_STRING) {
		return nil, 0, false
	}
	tagLen = minTag // the DEFAULT of aes-ICVlen
	if !seq.Empty() && !seq.ReadASN1Integer(&tagLen) {
		return nil, 0, false
	}
	return nonce, tagLen, seq.Empty() && len(nonce) == gcm.NonceSize && tagLen >= minTag && tagLen <= gcm.TagSize
}
