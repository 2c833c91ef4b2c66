package cms

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"slices"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// forgery is a SignedData by somebody with a good key and bad intentions: its signature is right over what it holds.
type forgery struct {
	who       person
	attrs     [][]byte // in this order; nil is none
	unsigned  [][]byte
	announced []oid // digestAlgorithms
	digest    oid
	algorithm func(b *cryptobyte.Builder)
	eContent  oid
	embedded  []byte   // the content of [0] eContent
	certs     [][]byte // entries of certificates
	over      []byte   // what is signed, if not attrs
}

var rsaNull = func(b *cryptobyte.Builder) {
	addAlgorithm(b, oidRSA, func(b *cryptobyte.Builder) { b.AddASN1NULL() })
}

// honest is a forgery that is none.
func honest(digest []byte) *forgery {
	alice := people().alice
	s := alice.signer()
	s.Hash = crypto.SHA256
	attrs := s.attributes(digest, encode(rsaNull))
	slices.SortFunc(attrs, bytes.Compare)
	return &forgery{
		who: alice, attrs: attrs, announced: []oid{oidSHA256}, digest: oidSHA256, algorithm: rsaNull, eContent: oidData,
		certs: [][]byte{alice.cert.Raw},
	}
}

// drop removes the attributes of that type.
func (f *forgery) drop(id oid) {
	f.attrs = slices.DeleteFunc(f.attrs, func(a []byte) bool { return bytes.Contains(a[:16], []byte(id)) })
}

// add puts attributes where DER wants them.
func (f *forgery) add(attrs ...[]byte) {
	f.attrs = append(f.attrs, attrs...)
	slices.SortFunc(f.attrs, bytes.Compare)
}

func addRaw(b *cryptobyte.Builder, tag byte, elements [][]byte) {
	b.AddASN1(asn1.Tag(tag), func(b *cryptobyte.Builder) {
		for _, e := range elements {
			b.AddBytes(e)
		}
	})
}

func (f *forgery) bytes(t testing.TB) []byte {
	t.Helper()
	over := f.over
	if over == nil {
		over = encode(func(b *cryptobyte.Builder) { addRaw(b, tagSet, f.attrs) })
	}
	signature, err := f.who.key.Sign(rand.Reader, sum(over), crypto.SHA256)
	check(t, err)
	info := encode(func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1Int64(1)
			addIssuerAndSerial(b, f.who.cert)
			addAlgorithm(b, f.digest, nil)
			if f.attrs != nil {
				addRaw(b, tagContext0|constructed, f.attrs)
			}
			f.algorithm(b)
			b.AddASN1OctetString(signature)
			if f.unsigned != nil {
				addRaw(b, tagContext1|constructed, f.unsigned)
			}
		})
	})
	return encode(func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			addOID(b, oidSigned)
			b.AddASN1(asn1.Tag(tagContext0|constructed), func(b *cryptobyte.Builder) {
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1Int64(1)
					b.AddASN1(asn1.SET, func(b *cryptobyte.Builder) {
						for _, o := range f.announced {
							addAlgorithm(b, o, nil)
						}
					})
					b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
						addOID(b, f.eContent)
						if f.embedded != nil {
							addRaw(b, tagContext0|constructed, [][]byte{f.embedded})
						}
					})
					addRaw(b, tagContext0|constructed, f.certs)
					addRaw(b, tagSet, [][]byte{info})
				})
			})
		})
	})
}

var someText = []byte("Content-Type: text/plain\r\n\r\nthe patient is well\r\n")

func octetString(v []byte) func(b *cryptobyte.Builder) {
	return func(b *cryptobyte.Builder) { b.AddASN1OctetString(v) }
}

func typeOf(id oid) func(b *cryptobyte.Builder) { return func(b *cryptobyte.Builder) { addOID(b, id) } }

// ATT-09, row "signedAttrs stripped / attrs-as-content": the attributes of an honest signature are signed content without attributes.
func TestAttrsAsContent(t *testing.T) {
	f := honest(sum(someText))
	check(t, verify(f.bytes(t), sum(someText)))
	set := encode(func(b *cryptobyte.Builder) { addRaw(b, tagSet, f.attrs) })
	f.attrs, f.over = nil, set
	if err := verify(f.bytes(t), sum(set)); !errors.Is(err, ErrAttributes) {
		t.Errorf("the replay: %v", err)
	}
	f.attrs, f.over = [][]byte{}, nil
	if err := verify(f.bytes(t), sum(someText)); !errors.Is(err, ErrAttributes) {
		t.Errorf("an empty set of attributes: %v", err)
	}
}

// ATT-10, row "attribute confusion" (RFC 5652 §5.3, §11), and the probes of facts §1.
func TestAttributeConfusion(t *testing.T) {
	digest, other := sum(someText), sum(nil)
	tests := map[string]struct {
		change func(f *forgery)
		want   error
	}{
		"nothing changed":           {func(f *forgery) {}, nil},
		"without smimeCapabilities": {func(f *forgery) { f.drop(oidCapabilities) }, nil},
		"without signingTime":       {func(f *forgery) { f.drop(oidSigningTime) }, nil},
		"without protection":        {func(f *forgery) { f.drop(oidProtection) }, nil},
		"contentType missing":       {func(f *forgery) { f.drop(oidContentType) }, ErrAttributes},
		"messageDigest missing":     {func(f *forgery) { f.drop(oidMessageDigest) }, ErrAttributes},
		"contentType differs":       {func(f *forgery) { f.drop(oidContentType); f.add(attribute(oidContentType, typeOf(oidSigned))) }, ErrAttributes},
		"two contentTypes":          {func(f *forgery) { f.add(attribute(oidContentType, typeOf(oidSigned))) }, ErrAttributes},
		"two messageDigests":        {func(f *forgery) { f.add(attribute(oidMessageDigest, octetString(other))) }, ErrAttributes},
		"the same digest twice":     {func(f *forgery) { f.add(attribute(oidMessageDigest, octetString(digest))) }, ErrAttributes},
		"messageDigest of two values": {func(f *forgery) {
			f.drop(oidMessageDigest)
			f.add(attribute(oidMessageDigest, func(b *cryptobyte.Builder) {
				v := [][]byte{encode(octetString(digest)), encode(octetString(other))}
				slices.SortFunc(v, bytes.Compare)
				b.AddBytes(v[0])
				b.AddBytes(v[1])
			}))
		}, ErrAttributes},
		"contentType of no value": {func(f *forgery) {
			f.drop(oidContentType)
			f.add(attribute(oidContentType, func(*cryptobyte.Builder) {}))
		}, ErrAttributes},
		"messageDigest no octets":  {func(f *forgery) { f.drop(oidMessageDigest); f.add(attribute(oidMessageDigest, typeOf(oidData))) }, ErrAttributes},
		"signingTime no time":      {func(f *forgery) { f.drop(oidSigningTime); f.add(attribute(oidSigningTime, typeOf(oidData))) }, ErrAttributes},
		"two signingTimes":         {func(f *forgery) { f.add(attribute(oidSigningTime, typeOf(oidData))) }, ErrAttributes},
		"unsorted":                 {func(f *forgery) { slices.Reverse(f.attrs) }, ErrAttributes},
		"BER inside":               {func(f *forgery) { f.add([]byte("\x30\x81\x05\x06\x01\x2a\x31\x00")) }, ErrAttributes},
		"contentType unsigned":     {func(f *forgery) { f.unsigned = [][]byte{attribute(oidContentType, typeOf(oidData))} }, ErrAttributes},
		"messageDigest unsigned":   {func(f *forgery) { f.unsigned = [][]byte{attribute(oidMessageDigest, octetString(digest))} }, ErrAttributes},
		"signingTime unsigned":     {func(f *forgery) { f.unsigned = [][]byte{attribute(oidSigningTime, typeOf(oidData))} }, ErrAttributes},
		"something unsigned":       {func(f *forgery) { f.unsigned = [][]byte{attribute(pkcs9+"\x06", octetString(nil))} }, nil},
		"digest not announced":     {func(f *forgery) { f.announced = []oid{oidSHA512} }, ErrAlgorithm},
		"digest of the attributes": {func(f *forgery) { f.digest, f.announced = oidSHA384, []oid{oidSHA384} }, ErrAttributes}, // cmsAlgorithmProtection says SHA-256
		"two digests":              {func(f *forgery) { f.algorithm = func(b *cryptobyte.Builder) { addAlgorithm(b, oidRSASHA512, nil) } }, ErrAlgorithm},
		"eContentType differs":     {func(f *forgery) { f.eContent = oidEnveloped }, ErrContentType},
		"message changed":          {func(f *forgery) { f.drop(oidMessageDigest); f.add(attribute(oidMessageDigest, octetString(other))) }, ErrDigest},
		"over something else":      {func(f *forgery) { f.over = someText }, ErrSignature},
		"made by another":          {func(f *forgery) { f.who.key = people().bob.key }, ErrSignature},
		"too many attributes":      {func(f *forgery) { f.add(slices.Repeat([][]byte{attribute(pkcs9+"\x06", octetString(nil))}, 33)...) }, ErrAttributes},
	}
	for name, tt := range tests {
		f := honest(digest)
		tt.change(f)
		if err := verify(f.bytes(t), digest); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}

// ATT-18, row "cmsAlgorithmProtection / algorithm substitution" (RFC 6211).
func TestAlgorithmProtection(t *testing.T) {
	protection := func(digest oid, tag byte, more ...byte) []byte {
		return attribute(oidProtection, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				addAlgorithm(b, digest, func(b *cryptobyte.Builder) { b.AddASN1NULL() })
				b.AddASN1(asn1.Tag(tag), func(b *cryptobyte.Builder) { addOID(b, oidRSA) })
				b.AddBytes(more)
			})
		})
	}
	tests := map[string]struct {
		attr []byte
		want error
	}{
		"agrees, NULL or absent":  {protection(oidSHA256, 0xa1), nil},
		"another digest":          {protection(oidSHA512, 0xa1), ErrAttributes},
		"for a MAC":               {protection(oidSHA256, 0xa2), ErrAttributes},
		"for both":                {protection(oidSHA256, 0xa1, 0xa2, 0x03, 0x06, 0x01, 0x2a), ErrAttributes},
		"two, of which one false": {append(protection(oidSHA256, 0xa1), protection(oidSHA512, 0xa1)...), ErrAttributes},
	}
	for name, tt := range tests {
		f := honest(sum(someText))
		f.drop(oidProtection)
		f.add(tt.attr)
		if err := verify(f.bytes(t), sum(someText)); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}

// ATT-14, row "MIME wrapping … p7s must be detached": embedded content, also an empty one, is refused (DIR-15).
func TestEmbeddedContent(t *testing.T) {
	for _, embedded := range [][]byte{encode(octetString(someText)), encode(octetString(nil)), {}} {
		f := honest(sum(someText))
		f.embedded = embedded
		if err := verify(f.bytes(t), sum(someText)); !errors.Is(err, ErrEmbedded) {
			t.Errorf("%d octets embedded: %v", len(embedded), err)
		}
	}
}

// ATT-15, row "duplicate issuer+serial in the bag": all are candidates, and the signature decides (facts: openssl takes the first).
func TestDuplicateIssuerAndSerial(t *testing.T) {
	c := people()
	twin := certify("alice", rsaKey(), &c.ca)
	f := honest(sum(someText))
	f.certs = [][]byte{twin.cert.Raw, c.bob.cert.Raw, c.alice.cert.Raw}
	s, err := ReadSigned(bytes.NewReader(f.bytes(t)), ReadOptions{})
	check(t, err)
	all := s.Candidates(0)
	if len(all) != 2 || !all[0].Equal(twin.cert) || !all[1].Equal(c.alice.cert) {
		t.Fatalf("%d candidates", len(all))
	}
	if err := s.Verify(0, all[0], sum(someText)); !errors.Is(err, ErrSignature) {
		t.Errorf("the twin: %v", err)
	}
	if err := s.Verify(0, all[1], sum(someText)); err != nil {
		t.Errorf("the signer: %v", err)
	}
	if err := s.Verify(0, c.bob.cert, sum(someText)); !errors.Is(err, ErrSignature) {
		t.Errorf("a certificate that is not named: %v", err)
	}
}

// ATT-12, row "multiple signers": each is judged alone, at most 16 (DIR-16).
func TestMultipleSigners(t *testing.T) {
	c := people()
	p7s, err := SignDetached(sums(someText), nil, c.alice.signer(), c.p256.signer(), c.p384.signer())
	check(t, err)
	// The signature over the attributes of one of them is spoilt.
	s, err := ReadSigned(bytes.NewReader(p7s), ReadOptions{})
	check(t, err)
	s.Signers[1].signature[8] ^= 1
	for i, want := range []error{nil, ErrSignature, nil} {
		certs := s.Candidates(i)
		if len(certs) != 1 {
			t.Fatalf("signer %d: %d candidates", i, len(certs))
		}
		if err := s.Verify(i, certs[0], sum(someText)); !errors.Is(err, want) {
			t.Errorf("signer %d: %v, want %v", i, err, want)
		}
		if !s.Signers[i].SigningTime.Equal(now) || s.Signers[i].Serial.Cmp(certs[0].SerialNumber) != 0 {
			t.Errorf("signer %d: %v, serial %x", i, s.Signers[i].SigningTime, s.Signers[i].Serial)
		}
	}
	var many []Signer
	for range 17 {
		many = append(many, c.p256.signer())
	}
	if p7s, err = SignDetached(sums(someText), nil, many...); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadSigned(bytes.NewReader(p7s), ReadOptions{}); !errors.Is(err, ErrLimit) {
		t.Errorf("17 signers: %v", err)
	}
}

// Entries of certificates that are no X.509 certificate are counted, and harm nobody.
func TestUnknownCertificates(t *testing.T) {
	f := honest(sum(someText))
	attributeCert, _ := hex.DecodeString("a180300304010030030401000000")
	f.certs = [][]byte{{0x30, 0x03, 0x02, 0x01, 0x05}, attributeCert, f.who.cert.Raw, {0xa3, 0x02, 0x06, 0x00}}
	s, err := ReadSigned(bytes.NewReader(f.bytes(t)), ReadOptions{})
	check(t, err)
	if len(s.Certificates) != 1 || len(s.Unparsed) != 3 || !bytes.Equal(s.Unparsed[1], attributeCert) {
		t.Errorf("%d certificates, unparsed %x", len(s.Certificates), s.Unparsed)
	}
	check(t, s.Verify(0, s.Certificates[0], sum(someText)))
	f.certs = slices.Repeat([][]byte{f.who.cert.Raw}, 65)
	if _, err := ReadSigned(bytes.NewReader(f.bytes(t)), ReadOptions{}); !errors.Is(err, ErrLimit) {
		t.Errorf("65 certificates: %v", err)
	}
}

// A signer is refused before it signs what nobody would accept.
func TestSignerRefused(t *testing.T) {
	c := people()
	bad := map[string]func(s *Signer){
		"no time":           func(s *Signer) { s.Time = Signer{}.Time },
		"another's key":     func(s *Signer) { s.Key = c.bob.key },
		"hash of the wrong": func(s *Signer) { s.Hash = crypto.SHA512 },
		"SHA-1":             func(s *Signer) { s.Hash = crypto.SHA1 },
		"no certificate":    func(s *Signer) { s.Certificate = (*x509.Certificate)(nil) },
	}
	for name, change := range bad {
		s := c.alice.signer()
		change(&s)
		if _, err := SignDetached(map[crypto.Hash][]byte{crypto.SHA256: sum(someText)}, nil, s); err == nil {
			t.Errorf("%s: signed", name)
		}
	}
	if _, err := SignDetached(sums(someText), nil); err == nil {
		t.Error("nobody signed")
	}
}
