package keyring

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"math/big"
	"testing"
)

// bare is the RSA operation without any padding, as a token does it.
func bare(k *rsa.PrivateKey, sealed []byte) []byte {
	return new(big.Int).Exp(new(big.Int).SetBytes(sealed), k.D, k.N).FillBytes(make([]byte, k.Size()))
}

// Both paddings are taken off as crypto/rsa does it, and every octet that is wrong leaves the random key, or the one error. ATT-04.
func TestPadding(t *testing.T) {
	made, err := NewKey(RSA2048)
	if err != nil {
		t.Fatal(err)
	}
	k, secret := made.(*rsa.PrivateKey), []byte("0123456789abcdef")
	//lint:ignore SA1019 what partners send
	sealed, err := rsa.EncryptPKCS1v15(rand.Reader, &k.PublicKey, secret)
	if err != nil {
		t.Fatal(err)
	}
	em := bare(k, sealed)
	key := make([]byte, len(secret))
	if unpad(key, em); !bytes.Equal(key, secret) {
		t.Errorf("%x", key)
	}
	for at := range len(em) - len(secret) {
		bad := bytes.Clone(em)
		if bad[at] = bad[at] ^ 7; at > 1 && at < len(em)-len(secret)-1 {
			bad[at] = 0 // within the padding all else is right
		}
		key := make([]byte, len(secret))
		if unpad(key, bad); !bytes.Equal(key, make([]byte, len(secret))) {
			t.Errorf("octet %d is wrong, and the key is taken", at)
		}
	}
	for _, n := range []int{0, 15, 17, 32, 256} {
		key := make([]byte, n)
		if unpad(key, em); !bytes.Equal(key, make([]byte, n)) {
			t.Errorf("a key of %d octets was taken", n)
		}
	}
	for _, mgf := range []hashMaker{sha256.New, sha1.New} {
		var sealed []byte
		if mgf().Size() == sha256.Size {
			sealed, err = rsa.EncryptOAEP(sha256.New(), rand.Reader, &k.PublicKey, secret, nil)
		} else {
			sealed, err = rsa.EncryptOAEP(sha1.New(), rand.Reader, &k.PublicKey, secret, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		em := bare(k, sealed)
		if m, err := unmask(bytes.Clone(em), mgf(), mgf()); err != nil || !bytes.Equal(m, secret) {
			t.Errorf("OAEP: %x, %v", m, err)
		}
		for at := range em {
			bad := bytes.Clone(em)
			bad[at] ^= 1
			if _, err := unmask(bad, mgf(), mgf()); err != rsa.ErrDecryption {
				t.Fatalf("octet %d is wrong: %v", at, err)
			}
		}
	}
}
