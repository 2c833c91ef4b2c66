package cms

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
)

// badKeys are public keys that nobody's certificate should have, though it might.
func badKeys(t testing.TB) map[string]crypto.PublicKey {
	good := people().bob.cert.PublicKey.(*rsa.PublicKey)
	point := elliptic.P256().Params()
	odd := func(bits int) *big.Int {
		n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), uint(bits-1)))
		check(t, err)
		return n.SetBit(n.SetBit(n, bits-1, 1), 0, 1)
	}
	even := new(big.Int).Lsh(good.N, 1)
	return map[string]crypto.PublicKey{
		"RSA of 1024 bits":         &rsa.PublicKey{N: odd(1024), E: 65537},
		"RSA of 2047 bits":         &rsa.PublicKey{N: odd(2047), E: 65537},
		"RSA of 8193 bits":         &rsa.PublicKey{N: odd(8193), E: 65537},
		"RSA of a million bits":    &rsa.PublicKey{N: odd(1 << 20), E: 65537},
		"RSA, even modulus":        &rsa.PublicKey{N: even, E: 65537},
		"RSA, exponent 0":          &rsa.PublicKey{N: good.N, E: 0},
		"RSA, exponent 1":          &rsa.PublicKey{N: good.N, E: 1},
		"RSA, exponent 2":          &rsa.PublicKey{N: good.N, E: 2},
		"RSA, even exponent":       &rsa.PublicKey{N: good.N, E: 65536},
		"RSA, negative exponent":   &rsa.PublicKey{N: good.N, E: -65537},
		"RSA, exponent above 2^31": &rsa.PublicKey{N: good.N, E: 1<<31 + 1},
		"RSA, exponent above 2^33": &rsa.PublicKey{N: good.N, E: 1<<33 + 1},
		"RSA, negative modulus":    &rsa.PublicKey{N: new(big.Int).Neg(good.N), E: 65537},
		"P-224":                    &ecdsa.PublicKey{Curve: elliptic.P224(), X: elliptic.P224().Params().Gx, Y: elliptic.P224().Params().Gy},
		"P-521":                    &ecdsa.PublicKey{Curve: elliptic.P521(), X: elliptic.P521().Params().Gx, Y: elliptic.P521().Params().Gy},
		"P-256, beside the curve":  &ecdsa.PublicKey{Curve: elliptic.P256(), X: point.Gx, Y: new(big.Int).Add(point.Gy, big.NewInt(1))},
		"P-256, coordinates over":  &ecdsa.PublicKey{Curve: elliptic.P256(), X: odd(300), Y: odd(300)},
		"P-256, at infinity":       &ecdsa.PublicKey{Curve: elliptic.P256(), X: new(big.Int), Y: new(big.Int)},
		"a curve of its own":       &ecdsa.PublicKey{Curve: elliptic.P256().Params(), X: point.Gx, Y: point.Gy},
		"Ed25519 too short":        ed25519.PublicKey(make([]byte, 31)),
		"Ed25519 too long":         ed25519.PublicKey(make([]byte, 33)),
		"none":                     nil,
	}
}

// ATT-21: moduli below 2048 and above 8192 bits, even moduli and exponents, exponents of one and of more than 31 bits, other curves and
// points beside the curve: refused before anything is computed with them, on either side. DIR-18, DIR-19.
func TestHostileKeys(t *testing.T) {
	c := people()
	p7s := make(map[string]*SignedData)
	for _, p := range []person{c.alice, c.p256} {
		der, err := SignDetached(sums(someText), nil, p.signer())
		check(t, err)
		s, err := read(der)
		check(t, err)
		p7s[p.cert.Subject.CommonName] = s
	}
	for name, key := range badKeys(t) {
		for _, p := range []person{c.alice, c.p256} {
			cert := *p.cert // its name, another key
			cert.PublicKey = key
			start := time.Now()
			if err := p7s[p.cert.Subject.CommonName].Verify(0, &cert, sum(someText)); !errors.Is(err, ErrAlgorithm) && !errors.Is(err, ErrSignature) {
				t.Errorf("%s verifies: %v", name, err)
			}
			if err := CanEncrypt(&cert); !errors.Is(err, ErrAlgorithm) {
				t.Errorf("%s can be encrypted to: %v", name, err)
			}
			if _, err := NewEnvelopedWriter(io.Discard, Encryption{}, &cert); !errors.Is(err, ErrAlgorithm) {
				t.Errorf("%s is encrypted to: %v", name, err)
			}
			if d := time.Since(start); d > time.Second {
				t.Errorf("%s: %v", name, d)
			}
		}
	}
	// In a message: crypto/x509 reads what it reads, and the rest is passed over.
	huge := rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 400_000, 1), E: 65537}
	f := honest(sum(someText))
	spki, err := x509.MarshalPKIXPublicKey(&huge)
	check(t, err)
	f.certs = append(f.certs, replaced(t, c.alice.cert, spki))
	s, err := read(f.bytes(t))
	check(t, err)
	for _, cert := range s.Candidates(0) {
		if err := s.Verify(0, cert, sum(someText)); (err == nil) != cert.Equal(c.alice.cert) {
			t.Errorf("with an RSA key of %d bits: %v", cert.PublicKey.(*rsa.PublicKey).N.BitLen(), err)
		}
	}
}

// replaced is a certificate with another key, and with a signature that has nothing to do with it.
func replaced(t testing.TB, cert *x509.Certificate, spki []byte) []byte {
	root := apart(t, cert.Raw)
	root.kids[0].kids[6] = apart(t, spki)
	return root.bytes()
}

func read(der []byte) (*SignedData, error) { return ReadSigned(bytes.NewReader(der), ReadOptions{}) }

// ATT-17: MD5 never and nowhere; SHA-1 only where a profile accepts it; RC2, 3DES and other content ciphers by no profile. DIR-18, DIR-19.
func TestWeakAlgorithms(t *testing.T) {
	const md5, sha1 oid = "\x2a\x86\x48\x86\xf7\x0d\x02\x05", "\x2b\x0e\x03\x02\x1a"
	for _, p := range []Profile{V12, V13, Lenient} {
		o := ReadOptions{Algorithms: p.Algorithms()}
		for name, change := range map[string]func(f *forgery){
			"MD5":               func(f *forgery) { f.digest, f.announced = md5, []oid{md5} },
			"MD5 and SHA-256":   func(f *forgery) { f.digest, f.announced = md5, []oid{md5, oidSHA256} },
			"MD5 with RSA":      func(f *forgery) { f.algorithm = named(pkcs1 + "\x04") },
			"MD2 with RSA":      func(f *forgery) { f.algorithm = named(pkcs1 + "\x02") },
			"DSA":               func(f *forgery) { f.algorithm = named("\x2a\x86\x48\xce\x38\x04\x03") },
			"SHA-1":             func(f *forgery) { f.digest, f.announced = sha1, []oid{sha1} },
			"SHA-1 with RSA":    func(f *forgery) { f.algorithm = named(pkcs1 + "\x05") },
			"ECDSA with SHA-1":  func(f *forgery) { f.algorithm = named(ansiX962 + "\x04\x01") },
			"no algorithm":      func(f *forgery) { f.algorithm = named("\x2a") },
			"a digest for that": func(f *forgery) { f.algorithm = named(oidSHA256) },
		} {
			f := honest(sum(someText))
			change(f)
			s, err := ReadSigned(bytes.NewReader(f.bytes(t)), o)
			check(t, err)
			if err := s.Verify(0, f.who.cert, sum(someText)); err == nil {
				t.Errorf("%v, %s: verified", p, name)
			} else if !errors.Is(err, ErrAlgorithm) && !(p == Lenient && f.digest == sha1) {
				t.Errorf("%v, %s: %v", p, name, err)
			}
		}
		for name, id := range map[string]oid{
			"3DES": "\x2a\x86\x48\x86\xf7\x0d\x03\x07", "RC2": "\x2a\x86\x48\x86\xf7\x0d\x03\x02", "RC4": "\x2a\x86\x48\x86\xf7\x0d\x03\x04", "DES": "\x2b\x0e\x03\x02\x07",
			"AES-128-ECB": nistAlgs + "\x01\x01", "AES-128-OFB": nistAlgs + "\x01\x03", "Camellia": "\x2a\x83\x08\x8c\x9a\x4b\x3d\x01\x01\x01\x02", "none": "\x2a",
		} {
			e := sealed(t, someText)
			e.alg = id
			if _, _, err := ReadEnveloped(bytes.NewReader(e.bytes()), []Recipient{people().bob.recipient()}, o); !errors.Is(err, ErrAlgorithm) {
				t.Errorf("%v, %s: %v", p, name, err)
			}
		}
	}
}

func named(id oid) func(*cryptobyte.Builder) {
	return func(b *cryptobyte.Builder) { addAlgorithm(b, id, nil) }
}

// ATT-22: passwords and key-encryption keys open nothing, and cost nothing: RecipientInfos of these kinds are passed over unread, with
// ten million iterations of PBKDF2 in them.
func TestPasswordRecipients(t *testing.T) {
	const pwri = "\xa3\x80\x02\x01\x00\xa0\x1b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0c\x30\x0e\x04\x08saltsalt\x02\x02\x7f\xff\x30\x00\x04\x08wrapped!\x00\x00"
	e := sealed(t, someText)
	e.infos = append([][]byte{[]byte(pwri)}, e.infos...)
	k := &counting{Decrypter: people().bob.key.(crypto.Decrypter)}
	if _, err := unseal(e.bytes(), Recipient{people().bob.cert, k}); err != nil || k.n != 1 {
		t.Errorf("beside key transport: %v after %d private operations", err, k.n)
	}
	e.infos = e.infos[:1]
	if _, err := unseal(e.bytes(), Recipient{people().bob.cert, k}); !errors.Is(err, ErrNoKey) || k.n != 1 {
		t.Errorf("alone: %v after %d private operations", err, k.n)
	}
}
