package cms

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"math/big"
	"sync"
	"testing"
)

// sampleKey is an RSA key that everybody knows.
type sampleKey struct {
	rsa.PublicKey
	d *big.Int
}

// sampleKeys lie on both sides of bigRSABits; the last has a modulus that ends inside an octet. Their primes are the nearest to
// 2^n and 3·2^n that an exponent of 65537 allows: the same in every process, and found at once.
var sampleKeys = sync.OnceValue(func() (keys []sampleKey) {
	one := big.NewInt(1)
	for _, k := range []struct {
		n, c, m, d uint
	}{{1024, 105, 1022, 1037}, {1536, 3453, 1534, 1837}, {1536, 3453, 1539, 1007}} {
		p := new(big.Int).Sub(new(big.Int).Lsh(one, k.n), big.NewInt(int64(k.c)))
		q := new(big.Int).Add(new(big.Int).Lsh(big.NewInt(3), k.m), big.NewInt(int64(k.d)))
		phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
		keys = append(keys, sampleKey{rsa.PublicKey{N: p.Mul(p, q), E: 65537}, new(big.Int).ModInverse(big.NewInt(65537), phi)})
	}
	return keys
})

// sign makes the signature that leads to the encoded message em.
func (k sampleKey) sign(em []byte) []byte {
	m := new(big.Int).SetBytes(em)
	return m.Exp(m.Mod(m, k.N), k.d, k.N).FillBytes(make([]byte, k.Size()))
}

// agree asks the two verifiers, which must agree.
func agree(t testing.TB, k *rsa.PublicKey, h crypto.Hash, hashed, signature []byte) bool {
	t.Helper()
	got, want := verifyPKCS1v15(k, h, hashed, signature), rsa.VerifyPKCS1v15(k, h, hashed, signature) == nil
	if got != want {
		t.Errorf("%d bits, %v: %v, crypto/rsa %v", k.N.BitLen(), h, got, want)
	}
	return got
}

// DIR-18: what crypto/rsa takes, and nothing else, is taken from larger keys as well.
func TestPKCS1v15(t *testing.T) {
	for _, k := range sampleKeys() {
		for _, x := range []Algorithm{SHA1, SHA256, SHA384, SHA512} {
			h := x.hash()
			hashed := bytes.Repeat([]byte{7}, h.Size())
			em := encodePKCS1v15(x, hashed, k.Size())
			good := k.sign(em)
			if !agree(t, &k.PublicKey, h, hashed, good) {
				t.Fatalf("%d bits, %v: refused", k.N.BitLen(), h)
			}
			s := new(big.Int).SetBytes(good)
			for name, bad := range map[string][]byte{
				"short": good[1:], "long": append([]byte{0}, good...), "none": nil,
				"zero": make([]byte, k.Size()), "one": big.NewInt(1).FillBytes(make([]byte, k.Size())),
				"the modulus": k.N.FillBytes(make([]byte, k.Size())),
				"negative":    new(big.Int).Sub(k.N, s).FillBytes(make([]byte, k.Size())),
			} {
				if agree(t, &k.PublicKey, h, hashed, bad) {
					t.Errorf("%d bits, %v: %s", k.N.BitLen(), h, name)
				}
			}
			if more := new(big.Int).Add(s, k.N); more.BitLen() <= 8*k.Size() && agree(t, &k.PublicKey, h, hashed, more.FillBytes(make([]byte, k.Size()))) {
				t.Error("signature above the modulus")
			}
			agree(t, &k.PublicKey, crypto.MD5, hashed[:16], good)
			agree(t, &k.PublicKey, h, hashed[1:], good)
			if x != SHA256 {
				continue
			}
			// Padding that is too short, other digests and parameters, octets behind: nothing in the encoding is free.
			for i := 0; i < len(em); {
				em[i] ^= 1
				if agree(t, &k.PublicKey, h, hashed, k.sign(em)) {
					t.Errorf("octet %d of the encoding is not looked at", i)
				}
				em[i] ^= 1
				if i += 64; i > len(em)-64 {
					i -= 59
				}
			}
		}
	}
}

// A good signature, and a good encoded message, each with some octets changed: small input, so that minimizing is quick.
func FuzzPKCS1v15(f *testing.F) {
	f.Add(byte(0), uint16(0), []byte{})
	f.Add(byte(65), uint16(300), []byte{1, 0, 1})
	f.Add(byte(130), uint16(0), []byte{0, 1, 0xff})
	f.Fuzz(func(t *testing.T, which byte, at uint16, change []byte) {
		if len(change) > 64 {
			return
		}
		k := sampleKeys()[int(which)%3]
		x := []Algorithm{SHA256, SHA1, SHA384, SHA512}[which>>6]
		hashed := bytes.Repeat([]byte{7}, x.hash().Size())
		alter := func(b []byte) []byte {
			for i, c := range change {
				b[(int(at)+i)%len(b)] ^= c
			}
			return b
		}
		em := encodePKCS1v15(x, hashed, k.Size())
		good := len(bytes.Trim(change, "\x00")) == 0
		if agree(t, &k.PublicKey, x.hash(), hashed, alter(k.sign(em))) != good || agree(t, &k.PublicKey, x.hash(), hashed, k.sign(alter(em))) != good {
			t.Fatal("a forgery, or a good one refused")
		}
	})
}

func BenchmarkVerifyRSA3072(b *testing.B) {
	k := sampleKeys()[1]
	hashed := make([]byte, 32)
	good := k.sign(encodePKCS1v15(SHA256, hashed, k.Size()))
	b.Run("ours", func(b *testing.B) {
		for b.Loop() {
			verifyPKCS1v15(&k.PublicKey, crypto.SHA256, hashed, good)
		}
	})
	b.Run("crypto/rsa", func(b *testing.B) {
		for b.Loop() {
			rsa.VerifyPKCS1v15(&k.PublicKey, crypto.SHA256, hashed, good)
		}
	})
}
