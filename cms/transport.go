package cms

import (
	"crypto"
	crand "crypto/rand"
	"crypto/rsa"
	"fmt"
	"io"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// transport is a KeyTransRecipientInfo for a certificate of ours (RFC 5652 §6.2.1).
type transport struct {
	algorithm algorithmIdentifier // keyEncryptionAlgorithm
	encrypted []byte              // encryptedKey
}

// readTransport reads the KeyTransRecipientInfo of which e is the header.
func (p *parser) readTransport(e element, r *recipients) error {
	if err := p.enter(e); err != nil {
		return err
	}
	if err := p.readVersion(); err != nil {
		return err
	}
	e, err := p.want("rid")
	if err != nil {
		return err
	}
	rid, err := p.readIdentifier(e)
	if err != nil {
		return err
	}
	var t transport
	if e, err = p.want("keyEncryptionAlgorithm"); err != nil {
		return err
	}
	if t.algorithm, err = p.readAlgorithm(e); err != nil {
		return err
	}
	if t.encrypted, err = p.readEncryptedKey(); err != nil {
		return err
	}
	return r.add(rid, t)
}

// readEncryptedKey reads encryptedKey, the last field of the encoding that it is in.
func (p *parser) readEncryptedKey() ([]byte, error) {
	e, err := p.want("encryptedKey")
	if err != nil {
		return nil, err
	}
	if e.tag&^constructed != tagOctetString {
		return nil, syntax("something else than an encryptedKey")
	}
	b, err := p.octets(e)
	if err != nil {
		return nil, err
	}
	return b, p.close("encryptedKey")
}

// prepare implements carrier.
func (t transport) prepare(to Recipient, algs Algorithms) (Algorithm, opener, error) {
	pub, ok := to.Certificate.PublicKey.(*rsa.PublicKey)
	if !ok {
		return 0, nil, algorithm("key transport to another kind of key")
	}
	how, mask := transportOf(t.algorithm)
	if err := algs.accept(how, "key transport"); err != nil {
		return 0, nil, err
	}
	if err := algs.accept(mask, "mask of RSAES-OAEP"); err != nil {
		return 0, nil, err
	}
	if err := checkRSA(pub); err != nil {
		return 0, nil, err
	}
	key, ok := to.Key.(crypto.Decrypter)
	if !ok || !pub.Equal(key.Public()) {
		return 0, nil, errForeignKey()
	}
	return how, func(n int) ([]byte, error) {
		var o crypto.DecrypterOpts = &rsa.OAEPOptions{Hash: oaepHash(how), MGFHash: oaepHash(mask)}
		if how == RSAESPKCS1v15 {
			//lint:ignore SA1019 what Direct partners send; fixed length, random key instead of an error
			o = &rsa.PKCS1v15DecryptOptions{SessionKeyLen: n}
		}
		return key.Decrypt(crand.Reader, t.encrypted, o)
	}, nil
}

// transportOf reads a keyEncryptionAlgorithm of key transport, 0 for what is not read. The mask is RSAES-OAEP with the digest of the
// mask: mostly the same, and SHA-1 in what Java makes of a digest alone. RSAES-PKCS1-v1_5 is its own.
func transportOf(a algorithmIdentifier) (how, mask Algorithm) {
	switch {
	case a.oid == oidRSA && a.noParams(): // RFC 3370 §4.2.1: NULL; absent is tolerated
		return RSAESPKCS1v15, RSAESPKCS1v15
	case a.oid == oidOAEP: // RFC 3560 §2. Absent parameters are not the same as three defaults
		if digest, mask, ok := parseOAEP(a.params); ok {
			return oaepWith(digest), oaepWith(mask)
		}
	}
	return 0, 0
}

// oaepHash is the hash of RSAES-OAEP and of its mask, 0 for other algorithms.
func oaepHash(x Algorithm) crypto.Hash {
	switch x {
	case RSAESOAEPSHA1:
		return crypto.SHA1
	case RSAESOAEPSHA256:
		return crypto.SHA256
	case RSAESOAEPSHA384:
		return crypto.SHA384
	case RSAESOAEPSHA512:
		return crypto.SHA512
	}
	return 0
}

// oaepWith is RSAES-OAEP with that digest.
func oaepWith(digest Algorithm) Algorithm {
	for x := RSAESOAEPSHA1; x <= RSAESOAEPSHA512; x++ {
		if oaepHash(x) == digest.hash() {
			return x
		}
	}
	return 0
}

// newTransport makes a KeyTransRecipientInfo (RFC 5652 §6.2.1).
func newTransport(rand io.Reader, how Algorithm, cek, rid []byte, pub *rsa.PublicKey) ([]byte, error) {
	var encrypted []byte
	var err error
	if how == RSAESPKCS1v15 {
		//lint:ignore SA1019 what Direct partners read (RFC 3370 §4.2.1); the reader's side is the fragile one
		encrypted, err = rsa.EncryptPKCS1v15(rand, pub, cek)
	} else {
		encrypted, err = rsa.EncryptOAEP(oaepHash(how).New(), rand, pub, cek, nil)
	}
	if err != nil {
		return nil, fmt.Errorf("cms: encrypting: %w", err)
	}
	return encode(func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1Int64(0)
			b.AddBytes(rid)
			addTransport(b, how)
			b.AddASN1OctetString(encrypted)
		})
	}), nil
}

// addTransport adds a keyEncryptionAlgorithm. The label is empty, so it is left out (RFC 3560 §2).
func addTransport(b *cryptobyte.Builder, how Algorithm) {
	if how == RSAESPKCS1v15 {
		addAlgorithm(b, oidRSA, func(b *cryptobyte.Builder) { b.AddASN1NULL() }) // RFC 3370 §4.2.1
		return
	}
	addAlgorithm(b, oidOAEP, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { addDigestAndMask(b, hashOID(oaepHash(how))) })
	})
}
