package cms

import (
	"bytes"
	"crypto"
	crand "crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Signer is one signer of SignDetached.
type Signer struct {
	Key         crypto.Signer       // RSA (2048 to 8192 bits) or ECDSA (P-256, P-384); signs with PKCS #1 v1.5 or ECDSA
	Certificate *x509.Certificate   // of Key
	Chain       []*x509.Certificate // intermediates to send along, in any order; the anchor is better left out
	Time        time.Time           // signingTime; must be set
	Hash        crypto.Hash         // SHA256, SHA384 or SHA512; 0 is SHA256

	PSS          bool        // an RSA key signs by RSASSA-PSS, with a salt as long as the hash
	Capabilities []Algorithm // announced; nil is AES256CBC, AES128CBC
}

// SignDetached returns a DER ContentInfo with a SignedData over content whose digests are given by hash, one for each that
// a signer uses (RFC 5652 §5). Each signs contentType, signingTime, messageDigest, smimeCapabilities (AES-256-CBC,
// AES-128-CBC) and cmsAlgorithmProtection; the certificates of signers and chains are included (DIR-16). A nil rand is
// crypto/rand. ErrAlgorithm is returned for keys and hashes that are not accepted.
func SignDetached(digests map[crypto.Hash][]byte, rand io.Reader, s ...Signer) ([]byte, error) {
	if len(s) == 0 {
		return nil, errors.New("cms: signing: no signer")
	}
	if rand == nil {
		rand = crand.Reader
	}
	var infos, certs, listed [][]byte
	for _, one := range s {
		if one.Hash == 0 {
			one.Hash = crypto.SHA256
		}
		info, err := one.sign(digests[one.Hash], rand)
		if err != nil {
			return nil, err
		}
		infos = append(infos, info)
		listed = append(listed, encode(func(b *cryptobyte.Builder) { addAlgorithm(b, hashOID(one.Hash), nil) }))
		for _, c := range append([]*x509.Certificate{one.Certificate}, one.Chain...) {
			certs = append(certs, c.Raw)
		}
	}
	return encode(func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { // ContentInfo
			addOID(b, oidSigned)
			b.AddASN1(asn1.Tag(tagContext0|constructed), func(b *cryptobyte.Builder) {
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { // SignedData
					b.AddASN1Int64(1) // RFC 5652 §5.1: id-data, X.509 certificates, signers by issuer and serial
					addSetOf(b, asn1.SET, listed)
					b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { addOID(b, oidData) })
					addSetOf(b, asn1.Tag(tagContext0|constructed), certs)
					addSetOf(b, asn1.SET, infos)
				})
			})
		})
	}), nil
}

// sign makes one SignerInfo (RFC 5652 §5.3, §5.4).
func (s Signer) sign(digest []byte, rand io.Reader) ([]byte, error) {
	f, err := s.check()
	if err != nil {
		return nil, err
	}
	if s.Hash.Size() != len(digest) {
		return nil, algorithm("digest")
	}
	alg := s.algorithm(f)
	attrs := s.attributes(digest, alg)
	h := s.Hash.New()
	h.Write(encode(func(b *cryptobyte.Builder) { addSetOf(b, asn1.SET, attrs) }))
	signature, err := s.Key.Sign(rand, h.Sum(nil), s.Hash)
	if err != nil {
		return nil, fmt.Errorf("cms: signing: %w", err)
	}
	return encode(func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1Int64(1)
			addIssuerAndSerial(b, s.Certificate)
			addAlgorithm(b, hashOID(s.Hash), nil) // RFC 5754 §2: parameters are omitted
			addSetOf(b, asn1.Tag(tagContext0|constructed), attrs)
			b.AddBytes(alg)
			b.AddASN1OctetString(signature)
		})
	}), nil
}

// CanSign says whether SignDetached would take s for a digest by its hash: nil, ErrAlgorithm with the reason, or what else is
// missing. It spares the work on a long content.
func CanSign(s Signer) error {
	_, err := s.check()
	return err
}

// check refuses what no receiver should accept.
func (s Signer) check() (family, error) {
	if s.Certificate == nil || s.Key == nil || s.Time.IsZero() {
		return familyNone, errors.New("cms: signing: key, certificate or time is missing")
	}
	if s.Hash != 0 && hashOID(s.Hash) == "" {
		return familyNone, algorithm("digest")
	}
	own, ok := s.Certificate.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !own.Equal(s.Key.Public()) {
		return familyNone, errors.New("cms: signing: the certificate is not the key's")
	}
	return familyOf(s.Certificate.PublicKey)
}

// algorithm is the signatureAlgorithm for a key of family f.
func (s Signer) algorithm(f family) []byte {
	return encode(func(b *cryptobyte.Builder) {
		if f == familyRSA {
			addAlgorithm(b, oidRSA, func(b *cryptobyte.Builder) { b.AddASN1NULL() }) // RFC 3370 §3.2
			return
		}
		addAlgorithm(b, map[crypto.Hash]oid{
			crypto.SHA256: oidECDSASHA256, crypto.SHA384: oidECDSASHA384, crypto.SHA512: oidECDSASHA512}[s.Hash], nil)
	})
}

// attributes returns the signed attributes, each encoded.
func (s Signer) attributes(digest, signatureAlgorithm []byte) [][]byte {
	return [][]byte{
		attribute(oidContentType, func(b *cryptobyte.Builder) { addOID(b, oidData) }),
		attribute(oidSigningTime, func(b *cryptobyte.Builder) { addTime(b, s.Time) }),
		attribute(oidMessageDigest, func(b *cryptobyte.Builder) { b.AddASN1OctetString(digest) }),
		attribute(oidCapabilities, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { // in order of preference, RFC 8551 §2.5.2
				addAlgorithm(b, oidAES256CBC, nil)
				addAlgorithm(b, oidAES128CBC, nil)
			})
		}),
		attribute(oidProtection, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				addAlgorithm(b, hashOID(s.Hash), nil)
				alg := cryptobyte.String(signatureAlgorithm)
				var content cryptobyte.String
				alg.ReadASN1(&content, asn1.SEQUENCE)
				b.AddASN1(asn1.Tag(tagContext1|constructed), func(b *cryptobyte.Builder) { b.AddBytes(content) })
			})
		}),
	}
}

// addTime writes a Time (RFC 5652 §11.3): UTCTime through 2049, GeneralizedTime after.
func addTime(b *cryptobyte.Builder, t time.Time) {
	if t = t.UTC(); t.Year() >= 1950 && t.Year() < 2050 {
		b.AddASN1UTCTime(t)
	} else {
		b.AddASN1GeneralizedTime(t)
	}
}

// encode returns what add builds. It fails on our own bugs alone.
func encode(add func(b *cryptobyte.Builder)) []byte {
	var b cryptobyte.Builder
	add(&b)
	return b.BytesOrPanic()
}

func attribute(id oid, value func(b *cryptobyte.Builder)) []byte {
	return encode(func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			addOID(b, id)
			b.AddASN1(asn1.SET, value)
		})
	})
}

func addOID(b *cryptobyte.Builder, id oid) {
	b.AddASN1(asn1.OBJECT_IDENTIFIER, func(b *cryptobyte.Builder) { b.AddBytes([]byte(id)) })
}

func addAlgorithm(b *cryptobyte.Builder, id oid, params func(b *cryptobyte.Builder)) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		addOID(b, id)
		if params != nil {
			params(b)
		}
	})
}

func addIssuerAndSerial(b *cryptobyte.Builder, c *x509.Certificate) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(c.RawIssuer)
		b.AddASN1BigInt(c.SerialNumber)
	})
}

// addSetOf writes a SET OF in DER: sorted (X.690 §11.6), and without the same element twice.
func addSetOf(b *cryptobyte.Builder, tag asn1.Tag, elements [][]byte) {
	sorted := slices.Clone(elements)
	slices.SortFunc(sorted, bytes.Compare)
	b.AddASN1(tag, func(b *cryptobyte.Builder) {
		for _, e := range slices.CompactFunc(sorted, bytes.Equal) {
			b.AddBytes(e)
		}
	})
}
