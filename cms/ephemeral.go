package cms

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"carepost/cms/internal/keywrap"
)

// Key agreement of an ephemeral key of the originator with the static key of the recipient, from both sides.

// prepare implements carrier.
func (a agreement) prepare(to Recipient, algs Algorithms) (Algorithm, opener, error) {
	c, own, err := curveOf(to.Certificate)
	if err != nil {
		return 0, nil, err
	}
	if err := algs.accept(c.how, "key agreement"); err != nil {
		return 0, nil, err
	}
	kdf, bits := c.derivation(a.scheme.oid), wrapBits(a.scheme.params)
	if kdf.hash == crypto.SHA1 {
		if err := algs.accept(ECDHSHA1KDF, "key derivation"); err != nil {
			return 0, nil, err
		}
	}
	if kdf.hash == 0 || bits == 0 {
		return 0, nil, algorithm("key derivation or key wrap")
	}
	their, err := c.ephemeral(a.algorithm, a.point)
	if err != nil {
		return 0, nil, err
	}
	key := exchanger(to.Key)
	if key == nil || !own.Equal(key.PublicKey()) {
		return 0, nil, errForeignKey()
	}
	return c.how, func(int) ([]byte, error) {
		z, err := key.ECDH(their)
		if err != nil {
			return nil, err
		}
		defer clear(z)
		// RFC 7748 §6.1: all zero is what points of low order give. crypto/ecdh looks by itself, another KeyExchanger may not.
		if len(z) != c.octets || subtle.ConstantTimeCompare(z, make([]byte, c.octets)) == 1 {
			return nil, errors.New("no shared secret")
		}
		return a.unwrap(kdf, z, bits)
	}, nil
}

// unwrap opens encryptedKey with what kdf makes of z.
func (a agreement) unwrap(kdf derivation, z []byte, bits int) ([]byte, error) {
	kek, err := kdf.derive(z, a.ukm, a.scheme.params, bits)
	if err != nil {
		return nil, err
	}
	defer clear(kek)
	return keywrap.Unwrap(kek, a.encrypted)
}

// exchanger returns the private key of a Recipient for key agreement, nil if it is none.
func exchanger(key any) ecdh.KeyExchanger {
	switch k := key.(type) {
	case ecdh.KeyExchanger:
		if k.PublicKey() != nil {
			return k
		}
	case *ecdsa.PrivateKey:
		if x, err := k.ECDH(); err == nil {
			return x
		}
	}
	return nil
}

// ephemeral reads an originatorKey (RFC 5753 §3.1.1, RFC 8418 §3.2): a point of the recipient's curve, uncompressed. Parameters are
// those of the recipient if they are left out.
func (c curve) ephemeral(a algorithmIdentifier, point []byte) (*ecdh.PublicKey, error) {
	if a.oid != c.algorithm {
		return nil, algorithm("originatorKey of another kind than the recipient's")
	}
	named := encode(func(b *cryptobyte.Builder) { addOID(b, c.named) })
	if !a.noParams() && (c.named == "" || string(a.params) != string(named)) {
		return nil, algorithm("originatorKey of another curve than the recipient's")
	}
	key, err := c.NewPublicKey(point)
	if err != nil {
		return nil, algorithm("originatorKey that is no point of the curve")
	}
	return key, nil
}

// newAgreement makes a KeyAgreeRecipientInfo for one recipient (RFC 5652 §6.2.2), with an ephemeral key of its own.
func newAgreement(rand io.Reader, cek, rid []byte, c curve, to *ecdh.PublicKey) ([]byte, error) {
	bits := c.wrapBits
	if len(cek) > bits/8 { // RFC 5753 §8: the wrap is at least as strong as what it wraps
		bits = 256
	}
	key, err := c.GenerateKey(rand)
	if err != nil {
		return nil, fmt.Errorf("cms: encrypting: %w", err)
	}
	z, err := key.ECDH(to) // an error for points of low order
	if err != nil {
		return nil, algorithm("public key")
	}
	defer clear(z)
	wrap := encode(func(b *cryptobyte.Builder) { addAlgorithm(b, wrapOID(bits), nil) })
	kek, err := c.derivation(c.scheme).derive(z, nil, wrap, bits)
	if err != nil {
		return nil, fmt.Errorf("cms: encrypting: %w", err)
	}
	defer clear(kek)
	encrypted, err := keywrap.Wrap(kek, cek)
	if err != nil {
		return nil, fmt.Errorf("cms: encrypting: %w", err)
	}
	return encode(func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.Tag(tagContext1|constructed), func(b *cryptobyte.Builder) {
			b.AddASN1Int64(3)
			b.AddASN1(asn1.Tag(tagContext0|constructed), func(b *cryptobyte.Builder) { // originator
				b.AddASN1(asn1.Tag(tagContext1|constructed), func(b *cryptobyte.Builder) { // originatorKey
					addAlgorithm(b, c.algorithm, nil) // RFC 5753 §3.1.1: as the recipient's
					b.AddASN1BitString(key.PublicKey().Bytes())
				})
			})
			addAlgorithm(b, c.scheme, func(b *cryptobyte.Builder) { b.AddBytes(wrap) })
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { // recipientEncryptedKeys
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddBytes(rid)
					b.AddASN1OctetString(encrypted)
				})
			})
		})
	}), nil
}
