package cms

import (
	"crypto"
	"crypto/ed25519"
	crand "crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Signer is one signer of SignDetached.
type Signer struct {
	Key         crypto.Signer       // RSA (2048 to 8192 bits), ECDSA (P-256, P-384) or Ed25519
	Certificate *x509.Certificate   // of Key
	Chain       []*x509.Certificate // intermediates to send along, in any order; the anchor is better left out
	Time        time.Time           // signingTime; must be set
	Hash        crypto.Hash         // SHA256, SHA384 or SHA512; 0 is SHA256, and SHA512 for Ed25519, which takes no other

	// PSS: an RSA key signs by RSASSA-PSS, with a salt as long as the hash (RFC 4056), instead of PKCS #1 v1.5.
	PSS bool

	// Capabilities are announced to whoever answers, the preferred ones first: content ciphers, key transports and ZLIB.
	// Nil is AES256CBC, AES128CBC; an empty list announces nothing.
	Capabilities []Algorithm
}

// Digest returns the hash of the content that SignDetached needs for s.
func (s Signer) Digest() crypto.Hash {
	if s.Hash != 0 {
		return s.Hash
	}
	if s.Certificate != nil {
		if _, ok := s.Certificate.PublicKey.(ed25519.PublicKey); ok {
			return crypto.SHA512 // RFC 8419 §3.1
		}
	}
	return crypto.SHA256 // Direct 2.6
}

// CanSign says whether SignDetached would take s: nil, ErrAlgorithm with the reason, or what else is missing. It spares the work
// on a long content.
func CanSign(s Signer) error {
	_, err := s.check()
	return err
}

// CanSign says whether SignDetached would take s, and a has both its digest and its signature made.
func (a Algorithms) CanSign(s Signer) error {
	x, err := s.check()
	if err != nil {
		return err
	}
	for _, x := range [...]Algorithm{digestBy(s.Digest()), x} {
		if a.Use(x) < Send {
			return algorithm(x.String() + " is not made")
		}
	}
	return nil
}

// SignDetached returns a DER ContentInfo with a SignedData over content whose digests are given by hash, one for each that
// Signer.Digest returns (RFC 5652 §5). Each signer signs contentType, signingTime, messageDigest, smimeCapabilities and
// cmsAlgorithmProtection; the certificates of signers and chains are included (DIR-16). A nil rand is crypto/rand.
// ErrAlgorithm is returned for keys and hashes that are not accepted.
func SignDetached(digests map[crypto.Hash][]byte, rand io.Reader, s ...Signer) ([]byte, error) {
	if len(s) == 0 {
		return nil, errors.New("cms: signing: no signer")
	}
	if rand == nil {
		rand = crand.Reader
	}
	var infos, certs, listed [][]byte
	for _, one := range s {
		one.Hash = one.Digest()
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

// sign makes one SignerInfo (RFC 5652 §5.3, §5.4). Hash is set.
func (s Signer) sign(digest []byte, rand io.Reader) ([]byte, error) {
	x, err := s.check()
	if err != nil {
		return nil, err
	}
	if s.Hash.Size() != len(digest) {
		return nil, algorithm("digest")
	}
	id := signatureIdentifier(x, s.Hash)
	attrs := s.attributes(digest, id)
	signature, err := s.signature(x, encode(func(b *cryptobyte.Builder) { addSetOf(b, asn1.SET, attrs) }), rand)
	if err != nil {
		return nil, fmt.Errorf("cms: signing: %w", err)
	}
	return encode(func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1Int64(1)
			addIssuerAndSerial(b, s.Certificate)
			addAlgorithm(b, hashOID(s.Hash), nil) // RFC 5754 §2: parameters are omitted
			addSetOf(b, asn1.Tag(tagContext0|constructed), attrs)
			b.AddBytes(id)
			b.AddASN1OctetString(signature)
		})
	}), nil
}

// signature signs the encoded attributes by x.
func (s Signer) signature(x Algorithm, attrs []byte, rand io.Reader) ([]byte, error) {
	if x == Ed25519 { // RFC 8419 §3.1: PureEdDSA, the attributes themselves
		return s.Key.Sign(rand, attrs, crypto.Hash(0))
	}
	var opts crypto.SignerOpts = s.Hash
	if x == RSAPSS {
		opts = &rsa.PSSOptions{SaltLength: s.Hash.Size(), Hash: s.Hash}
	}
	h := s.Hash.New()
	h.Write(attrs)
	return s.Key.Sign(rand, h.Sum(nil), opts)
}

// check refuses what no receiver should accept, and says how s signs.
func (s Signer) check() (Algorithm, error) {
	if s.Certificate == nil || s.Key == nil || s.Time.IsZero() {
		return 0, errors.New("cms: signing: key, certificate or time is missing")
	}
	if hashOID(s.Digest()) == "" {
		return 0, algorithm("digest")
	}
	own, ok := s.Certificate.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !own.Equal(s.Key.Public()) {
		return 0, errors.New("cms: signing: the certificate is not the key's")
	}
	for _, x := range s.Capabilities {
		if capabilityOf(x) == nil {
			return 0, algorithm("capability that cannot be announced")
		}
	}
	x, err := keyFor(s.Certificate.PublicKey, s.PSS)
	if err == nil && x == Ed25519 && s.Digest() != crypto.SHA512 {
		err = algorithm("digest beside Ed25519")
	}
	return x, err
}

// attributes returns the signed attributes, each encoded.
func (s Signer) attributes(digest, signatureAlgorithm []byte) [][]byte {
	attrs := [][]byte{
		attribute(oidContentType, func(b *cryptobyte.Builder) { addOID(b, oidData) }),
		attribute(oidSigningTime, func(b *cryptobyte.Builder) { addTime(b, s.Time) }),
		attribute(oidMessageDigest, func(b *cryptobyte.Builder) { b.AddASN1OctetString(digest) }),
		attribute(oidProtection, func(b *cryptobyte.Builder) { // RFC 6211 §2
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				addAlgorithm(b, hashOID(s.Hash), nil)
				alg := cryptobyte.String(signatureAlgorithm)
				var content cryptobyte.String
				alg.ReadASN1(&content, asn1.SEQUENCE)
				b.AddASN1(asn1.Tag(tagContext1|constructed), func(b *cryptobyte.Builder) { b.AddBytes(content) })
			})
		}),
	}
	announced := s.Capabilities
	if announced == nil {
		announced = []Algorithm{AES256CBC, AES128CBC}
	}
	if len(announced) > 0 {
		attrs = append(attrs, attribute(oidCapabilities, func(b *cryptobyte.Builder) { addCapabilities(b, announced) }))
	}
	return attrs
}
