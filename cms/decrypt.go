package cms

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	crand "crypto/rand"
	"crypto/rsa"
	"errors"
	"io"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
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
	env, found, err := p.readRecipients(keys)
	if err != nil {
		return nil, nil, boundary(err)
	}
	iv, content, err := p.readEncryptedContentInfo(env)
	if err != nil {
		return nil, nil, boundary(err)
	}
	// Everything that can be refused without the key has been refused. Now the private operation, one.
	cek, err := found.unwrap(env, keys)
	if err != nil {
		return nil, nil, boundary(err)
	}
	defer clear(cek)
	block, err := aes.NewCipher(cek)
	if err != nil {
		return nil, nil, boundary(err)
	}
	seg, err := newSegments(p, content)
	if err != nil {
		return nil, nil, boundary(err)
	}
	return env, &plaintextReader{
		seg: seg,
		dec: cipher.NewCBCDecrypter(block, iv),
		buf: make([]byte, aes.BlockSize+firstChunk),
	}, nil
}

// transport is a KeyTransRecipientInfo that names a certificate of ours (RFC 5652 §6.2.1).
type transport struct {
	algorithm algorithmIdentifier
	encrypted []byte
}

// transports holds them by the index of the key.
type transports map[int]transport

// take keeps t for each key whose certificate it names.
func (found transports) take(rid identifier, t transport, own []identifier) error {
	for i, id := range own {
		if !rid.names(id) {
			continue
		}
		// A second one would be a second guess at the key (as in CVE-2026-42768): refused before the first is tried.
		if _, again := found[i]; again {
			return syntax("two RecipientInfos name one certificate")
		}
		found[i] = t
	}
	return nil
}

// readRecipients reads up to and with recipientInfos (RFC 5652 §6.1).
func (p *parser) readRecipients(keys []Recipient) (*Enveloped, transports, error) {
	if err := p.readContentInfo(oidEnveloped); err != nil {
		return nil, nil, err
	}
	if err := p.readVersion(); err != nil {
		return nil, nil, err
	}
	e, err := p.want("recipientInfos")
	if err == nil && e.tag == tagContext0|constructed { // originatorInfo: of no use to key transport
		if err = p.skip(e); err != nil {
			return nil, nil, err
		}
		e, err = p.want("recipientInfos")
	}
	if err != nil {
		return nil, nil, err
	}
	if e.tag != tagSet {
		return nil, nil, syntax("something else than recipientInfos")
	}
	if err := p.enter(e); err != nil {
		return nil, nil, err
	}
	own := make([]identifier, len(keys))
	for i, k := range keys {
		own[i] = identifierOf(k.Certificate)
	}
	env, found := new(Enveloped), make(transports)
	for {
		e, ok, err := p.next()
		switch {
		case err != nil:
			return nil, nil, err
		case !ok && env.Recipients == 0:
			return nil, nil, syntax("no RecipientInfo")
		case !ok:
			return env, found, nil
		case env.Recipients == p.lim.Recipients:
			return nil, nil, limit("recipientInfos")
		}
		env.Recipients++
		if e.tag >= tagContext1|constructed && e.tag <= tagContext4|constructed {
			if err := p.skip(e); err != nil { // kari, kekri, pwri, ori
				return nil, nil, err
			}
			continue
		}
		rid, t, err := p.readTransport(e)
		if err == nil {
			err = found.take(rid, t, own)
		}
		if err != nil {
			return nil, nil, err
		}
	}
}

// readTransport reads the KeyTransRecipientInfo of which e is the header (RFC 5652 §6.2.1).
func (p *parser) readTransport(e element) (rid identifier, t transport, err error) {
	if e.tag != tagSequence {
		return rid, t, syntax("unknown kind of RecipientInfo")
	}
	if err = p.enter(e); err != nil {
		return rid, t, err
	}
	if err = p.readVersion(); err != nil {
		return rid, t, err
	}
	if e, err = p.want("rid"); err != nil {
		return rid, t, err
	}
	if rid, err = p.readIdentifier(e); err != nil {
		return rid, t, err
	}
	if e, err = p.want("keyEncryptionAlgorithm"); err != nil {
		return rid, t, err
	}
	if t.algorithm, err = p.readAlgorithm(e); err != nil {
		return rid, t, err
	}
	if e, err = p.want("encryptedKey"); err != nil {
		return rid, t, err
	}
	if e.tag&^constructed != tagOctetString {
		return rid, t, syntax("something else than an encryptedKey")
	}
	if t.encrypted, err = p.octets(e); err != nil {
		return rid, t, err
	}
	return rid, t, p.close("encryptedKey")
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

// unwrap chooses the key and returns the content-encryption key, or a random one without saying so (RFC 3218 §2.3.2).
func (found transports) unwrap(env *Enveloped, keys []Recipient) ([]byte, error) {
	for i, k := range keys {
		t, ok := found[i]
		if !ok {
			continue
		}
		env.Own, env.Key = k.Certificate, RSAESPKCS1v15
		pub, ok := k.Certificate.PublicKey.(*rsa.PublicKey)
		if !ok || t.algorithm.oid != oidRSA || !t.algorithm.noParams() {
			return nil, algorithm("key transport")
		}
		if err := checkRSA(pub); err != nil {
			return nil, err
		}
		key, ok := k.Key.(crypto.Decrypter)
		if !ok || !pub.Equal(key.Public()) {
			return nil, errors.New("a key does not belong to its certificate")
		}
		n := env.Cipher.keyLen()
		instead := make([]byte, n)
		crand.Read(instead) // never fails
		//lint:ignore SA1019 what Direct partners send; fixed length, random key instead of an error
		opts := &rsa.PKCS1v15DecryptOptions{SessionKeyLen: n}
		cek, err := key.Decrypt(crand.Reader, t.encrypted, opts)
		if errors.Is(err, ErrUnavailable) {
			return nil, err
		}
		if err != nil || len(cek) != n {
			return instead, nil
		}
		return cek, nil
	}
	return nil, ErrNoKey
}
