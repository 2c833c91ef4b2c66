package cms

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
)

// edith signs with Ed25519.
var edith = sync.OnceValue(func() person {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return certify("edith", key, &people().ca)
})

// everySum has the digests of content by every hash that is read.
func everySum(content []byte) map[crypto.Hash][]byte {
	all := sums(content)
	old := crypto.SHA1.New()
	old.Write(content)
	all[crypto.SHA1] = old.Sum(nil)
	return all
}

// signers are one for every combination of algorithms that is made.
func signers() (all []Signer) {
	c := people()
	for _, h := range []crypto.Hash{0, crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		for _, p := range []person{c.alice, c.p256, c.p384} {
			s := p.signer()
			s.Hash = h
			all = append(all, s)
		}
		s := c.bob.signer()
		s.Hash, s.PSS = h, true
		all = append(all, s)
	}
	s := edith().signer()
	all = append(all, s)
	s.Hash = crypto.SHA512
	return append(all, s)
}

// judged reads a signature and verifies signer i with the first candidate.
func judged(p7s []byte, i int, a Algorithms, digests map[crypto.Hash][]byte) (SignerInfo, error) {
	s, err := ReadSigned(bytes.NewReader(p7s), ReadOptions{Algorithms: a})
	if err != nil {
		return SignerInfo{}, err
	}
	return s.Signers[i], s.Verify(i, s.Candidates(i)[0], digests[s.Signers[i].Hash])
}

// DIR-18: every algorithm that is made is read, refused over other content, and refused where configuration does.
func TestSignatureAlgorithms(t *testing.T) {
	digests, other := everySum(someText), everySum(nil)
	for _, s := range signers() {
		x, err := s.check()
		check(t, err)
		h := s.Digest()
		p7s, err := SignDetached(digests, nil, s)
		check(t, err)
		for p := V12; p <= Lenient; p++ {
			info, err := judged(p7s, 0, p.Algorithms(), digests)
			if err != nil || info.Algorithm != x || info.Hash != h || !slices.Equal(info.Capabilities, []Algorithm{AES256CBC, AES128CBC}) {
				t.Errorf("%v with %v, profile %d: %+v, %v", x, h, p, info, err)
			}
			if _, err := judged(p7s, 0, p.Algorithms(), other); !errors.Is(err, ErrDigest) {
				t.Errorf("%v with %v, over other content: %v", x, h, err)
			}
		}
		a, err := V12.Algorithms().With(x, Refuse)
		check(t, err)
		if info, err := judged(p7s, 0, a, digests); !errors.Is(err, ErrAlgorithm) || info.Algorithm != 0 {
			t.Errorf("%v refused by configuration: %v, %v", x, info.Algorithm, err)
		}
		if err := a.CanSign(s); !errors.Is(err, ErrAlgorithm) {
			t.Errorf("%v refused by configuration would be made: %v", x, err)
		}
		check(t, Lenient.Algorithms().CanSign(s))
		// Each octet of the signature counts.
		r, err := ReadSigned(bytes.NewReader(p7s), ReadOptions{})
		check(t, err)
		for i := 0; i < len(r.Signers[0].signature); i += 7 {
			r.Signers[0].signature[i] ^= 0x10
			if err := r.Verify(0, r.Candidates(0)[0], digests[h]); !errors.Is(err, ErrSignature) {
				t.Errorf("%v with %v, octet %d of the signature: %v", x, h, i, err)
			}
			r.Signers[0].signature[i] ^= 0x10
		}
	}
	if err := V12.Algorithms().CanSign(edith().signer()); !errors.Is(err, ErrAlgorithm) {
		t.Errorf("Ed25519 would be made for Direct: %v", err)
	}
}

// DIR-16: signers of one message may use different hashes and algorithms; each is judged by its own.
func TestDifferentHashes(t *testing.T) {
	digests := everySum(someText)
	all := signers()[:17]
	for part := range slices.Chunk(all, 6) {
		p7s, err := SignDetached(digests, nil, part...)
		check(t, err)
		s, err := ReadSigned(bytes.NewReader(p7s), ReadOptions{})
		check(t, err)
		for i, info := range s.Signers {
			if err := s.Verify(i, s.Candidates(i)[0], digests[info.Hash]); err != nil {
				t.Errorf("%v with %v: %v", info.Algorithm, info.Hash, err)
			}
		}
	}
	if _, err := SignDetached(map[crypto.Hash][]byte{crypto.SHA256: sum(someText)}, nil, all[0], edith().signer()); !errors.Is(err, ErrAlgorithm) {
		t.Errorf("a digest is missing: %v", err)
	}
}

// A signer is refused before it signs what nobody would read.
func TestSignerAlgorithmsRefused(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err == nil {
		err = CanSign(Signer{Key: weak, Certificate: &x509.Certificate{PublicKey: weak.Public()}, Time: now})
	}
	if !errors.Is(err, ErrAlgorithm) {
		t.Errorf("RSA of 1024 bits: %v", err)
	}
	for name, change := range map[string]func(s *Signer){
		"Ed25519 with SHA-256": func(s *Signer) { *s = edith().signer(); s.Hash = crypto.SHA256 },
		"MD5":                  func(s *Signer) { s.Hash = crypto.MD5 },
		"SHA-1":                func(s *Signer) { s.Hash = crypto.SHA1 },
		"announces SHA-1":      func(s *Signer) { s.Capabilities = []Algorithm{AES128CBC, SHA1} },
		"announces nothing":    func(s *Signer) { s.Capabilities = []Algorithm{0} },
		"announces a curve":    func(s *Signer) { s.Capabilities = []Algorithm{ECDHP256} },
	} {
		s := people().alice.signer()
		change(&s)
		if err := CanSign(s); !errors.Is(err, ErrAlgorithm) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := SignDetached(everySum(someText), nil, s); !errors.Is(err, ErrAlgorithm) {
			t.Errorf("%s: signed: %v", name, err)
		}
	}
}

// Capabilities survive, in order; unknown ones, double ones and odd ones do not disturb the others (RFC 8551 §2.5.2).
func TestCapabilities(t *testing.T) {
	every := []Algorithm{AES256GCM, AES128GCM, AES192GCM, AES256CBC, AES192CBC, AES128CBC, RSAESOAEPSHA512, RSAESOAEPSHA384,
		RSAESOAEPSHA256, RSAESOAEPSHA1, RSAESPKCS1v15, ZLIB}
	for _, want := range [][]Algorithm{every, every[3:4], {}} {
		s := people().alice.signer()
		s.Capabilities = want
		p7s, err := SignDetached(sums(someText), nil, s)
		check(t, err)
		info, err := judged(p7s, 0, Algorithms{}, sums(someText))
		if err != nil || !slices.Equal(info.Capabilities, want) {
			t.Errorf("%v, announced %v: %v", info.Capabilities, want, err)
		}
	}
	odd := func(b *cryptobyte.Builder) {
		b.AddBytes([]byte("\x30\x03\x06\x01\x2a" + "\x30\x00" + "\x30\x03\x02\x01\x05"))            // unknown, empty, no identifier
		b.AddBytes([]byte("\x30\x0d\x06\x09" + string(oidOAEP) + "\x05\x00"))                       // OAEP with odd parameters
		b.AddBytes([]byte("\x30\x0e\x06\x09" + string(oidAES128GCM) + "\x04\x01\x07"))              // a cipher with parameters
		b.AddBytes([]byte("\x30\x0d\x06\x09" + string(oidAES256CBC) + "\x05\x00"))                  // NULL, as some write
		b.AddBytes(bytes.Repeat([]byte("\x30\x0b\x06\x09"+string(oidAES256GCM)), 2))                // twice
		b.AddBytes([]byte("\x30\x19\x06\x09" + string(pkcs1 + "\x09\x10\x0b")[:9] + "\x30\x0c"))    // preferences
		b.AddBytes([]byte("\x06\x0a*\x86H\x86\xf7\x0d\x01\x09\x10\x0b"))                            // of certificates
		b.AddBytes(append(bytes.Repeat([]byte("\x30\x03\x06\x01\x2a"), 80), capabilityOf(ZLIB)...)) // too late
	}
	value := encode(func(b *cryptobyte.Builder) { b.AddASN1(0x30, odd) })
	f := honest(sum(someText))
	f.drop(oidCapabilities)
	f.add(attribute(oidCapabilities, func(b *cryptobyte.Builder) { b.AddBytes(value) }))
	info, err := judged(f.bytes(t), 0, Algorithms{}, sums(someText))
	if want := []Algorithm{AES256CBC, AES256GCM}; err != nil || !slices.Equal(info.Capabilities, want) {
		t.Errorf("%v, want %v: %v", info.Capabilities, want, err)
	}

	cert := &x509.Certificate{Extensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}},
		{Id: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 15}, Value: encode(func(b *cryptobyte.Builder) { addCapabilities(b, every) })}}}
	if got := CertificateCapabilities(cert); !slices.Equal(got, every) {
		t.Errorf("certificate: %v", got)
	}
	for _, bad := range []string{"", "\x30", "\x31\x00", "\x30\x00\x00", "\x30\x80\x00\x00"} {
		cert.Extensions[1].Value = []byte(bad)
		if got := CertificateCapabilities(cert); got != nil {
			t.Errorf("certificate with %x: %v", bad, got)
		}
	}
	if CertificateCapabilities(people().alice.cert) != nil {
		t.Error("a certificate that announces nothing")
	}
}

// ATT-11: signingTime is a claim, kept as it stands, of any year; whoever judges compares it with the clock.
func TestSigningTime(t *testing.T) {
	for _, want := range []time.Time{time.Unix(0, 0), now, now.AddDate(20, 0, 0), time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 1, 2, 3, 4, 5, 0, time.UTC)} {
		s := people().alice.signer()
		s.Time = want
		p7s, err := SignDetached(sums(someText), nil, s)
		check(t, err)
		if info, err := judged(p7s, 0, Algorithms{}, sums(someText)); err != nil || !info.SigningTime.Equal(want) {
			t.Errorf("%v became %v: %v", want, info.SigningTime, err)
		}
	}
}
