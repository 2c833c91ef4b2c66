package keyring

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"carepost/internal/store"
	"carepost/internal/store/storetest"
)

func generate(t *testing.T, s *store.Store, k *Keyring, spec Spec) (id string) {
	t.Helper()
	if err := s.Tx(t.Context(), func(tx *store.Tx) (err error) { id, err = k.Generate(t.Context(), tx, spec); return err }); err != nil {
		t.Fatal(err)
	}
	return id
}

func TestSignAndDecrypt(t *testing.T) {
	s := storetest.SQLite(t)
	first := New(s)
	digest := sha256.Sum256([]byte("letter"))
	for name, spec := range map[string]Spec{"RSA-2048": RSA2048, "RSA-3072": RSA3072, "RSA-4096": RSA4096, "P-256": P256, "P-384": P384} {
		id := generate(t, s, first, spec)
		for _, k := range []*Keyring{first, New(s)} { // from memory, and from the row
			key, err := k.Signer(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			sig, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
			if err != nil {
				t.Fatal(err)
			}
			if pub, ok := key.Public().(*rsa.PublicKey); ok {
				if err := rsa.VerifyPKCS1v15(pub, crypto.SHA256, digest[:], sig); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				decrypts(t, k, id, pub)
			} else {
				if !ecdsa.VerifyASN1(key.Public().(*ecdsa.PublicKey), digest[:], sig) {
					t.Errorf("%s: bad signature", name)
				}
				if _, err := k.Decrypter(t.Context(), id); !errors.Is(err, ErrKind) {
					t.Errorf("%s decrypts: %v", name, err)
				}
				agrees(t, k, id, key.Public().(*ecdsa.PublicKey))
			}
		}
	}
}

// agrees wants the same secret on both sides.
func agrees(t *testing.T, k *Keyring, id string, pub *ecdsa.PublicKey) {
	t.Helper()
	key, err := k.Opener(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	own, ok := key.(ecdh.KeyExchanger)
	if _, whole := key.(*ecdh.PrivateKey); whole || !ok {
		t.Fatalf("%T", key)
	}
	other, err := own.Curve().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	remote, err := pub.ECDH()
	if err != nil {
		t.Fatal(err)
	}
	a, err := own.ECDH(other.PublicKey())
	b, err2 := other.ECDH(remote)
	if err != nil || err2 != nil || !bytes.Equal(a, b) || !own.PublicKey().Equal(remote) {
		t.Errorf("%x and %x: %v, %v", a, b, err, err2)
	}
}

// An Ed25519 key signs, and opens nothing.
func TestEd25519(t *testing.T) {
	s := storetest.SQLite(t)
	k := New(s)
	pub, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var id string
	if err := s.Tx(t.Context(), func(tx *store.Tx) (err error) { id, err = k.Import(t.Context(), tx, private); return err }); err != nil {
		t.Fatal(err)
	}
	for _, k := range []*Keyring{k, New(s)} {
		key, err := k.Signer(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		sig, err := key.Sign(rand.Reader, []byte("letter"), crypto.Hash(0))
		if err != nil || !ed25519.Verify(pub, []byte("letter"), sig) {
			t.Errorf("signed: %v", err)
		}
		if _, err := k.Opener(t.Context(), id); !errors.Is(err, ErrKind) {
			t.Errorf("opens: %v", err)
		}
	}
}

func decrypts(t *testing.T, k *Keyring, id string, pub *rsa.PublicKey) {
	t.Helper()
	secret := []byte("0123456789abcdef")
	//lint:ignore SA1019 RFC 3370 4.2.1 is what senders use
	sealed, err := rsa.EncryptPKCS1v15(rand.Reader, pub, secret)
	if err != nil {
		t.Fatal(err)
	}
	d, err := k.Decrypter(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	//lint:ignore SA1019 with the random fall-back of SessionKeyLen
	got, err := d.Decrypt(rand.Reader, sealed, &rsa.PKCS1v15DecryptOptions{SessionKeyLen: len(secret)})
	if err != nil || !bytes.Equal(got, secret) {
		t.Errorf("decrypted %x, %v", got, err)
	}
}

func TestHandlesHideTheKey(t *testing.T) {
	s := storetest.SQLite(t)
	k := New(s)
	id := generate(t, s, k, RSA2048)
	sign, _ := k.Signer(t.Context(), id)
	dec, _ := k.Decrypter(t.Context(), id)
	for _, h := range []any{sign, dec} {
		switch h.(type) {
		case *rsa.PrivateKey, interface{ Precompute() }:
			t.Errorf("%T is the key itself", h)
		}
	}
	if _, ok := sign.(crypto.Decrypter); ok {
		t.Error("a signer decrypts")
	}
}

func TestExportAndRest(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Open(t.Context(), store.Options{Dir: dir, KEK: storetest.Keeper(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	k := New(s)
	id := generate(t, s, k, RSA2048)
	text, err := k.Export(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "PRIVATE KEY" || len(rest) > 0 {
		t.Fatalf("no PEM: %v", block)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	sign, _ := k.Signer(t.Context(), id)
	if !key.(*rsa.PrivateKey).PublicKey.Equal(sign.Public()) {
		t.Error("another key")
	}
	primes := key.(*rsa.PrivateKey).Primes
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, f := range files {
		data, _ := os.ReadFile(f)
		if bytes.Contains(data, primes[0].Bytes()) || bytes.Contains(data, primes[1].Bytes()) {
			t.Errorf("%s holds the key in clear", filepath.Base(f))
		}
	}
}

// Private keys outlive a rotation of the store keys: those in memory, and those in a process that comes after.
func TestStoreKeysRotated(t *testing.T) {
	dir, kek := t.TempDir(), storetest.Keeper(t)
	open := func() (*store.Store, *Keyring) {
		s, err := store.Open(t.Context(), store.Options{Dir: dir, KEK: kek})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s, New(s)
	}
	s, k := open()
	before := generate(t, s, k, P256)
	text, err := k.Export(t.Context(), before)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.RotateSealing(t.Context(), kek, nil); err != nil {
		t.Fatal(err)
	}
	between := generate(t, s, k, P256)
	if err := s.Reseal(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got, err := k.Export(t.Context(), before); err != nil || !bytes.Equal(got, text) {
			t.Errorf("another key, or none: %v", err)
		}
		if _, err := k.Signer(t.Context(), between); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s, k = open()
	}
}

func TestRefusals(t *testing.T) {
	s := storetest.SQLite(t)
	k := New(s)
	if _, err := k.Signer(t.Context(), "none"); !errors.Is(err, ErrNoKey) {
		t.Errorf("no key: %v", err)
	}
	if _, err := k.Export(t.Context(), "none"); !errors.Is(err, ErrNoKey) {
		t.Errorf("no key: %v", err)
	}
	for _, spec := range []Spec{0, 99} {
		if err := s.Tx(t.Context(), func(tx *store.Tx) error { _, err := k.Generate(t.Context(), tx, spec); return err }); err == nil {
			t.Errorf("spec %d generates", spec)
		}
	}
	id := generate(t, s, k, P256) // its row under another name
	var row store.PrivateKey
	if err := s.Tx(t.Context(), func(tx *store.Tx) (err error) {
		if row, err = tx.PrivateKey(id); err != nil {
			return err
		}
		row.ID = "moved"
		return tx.InsertPrivateKey(row)
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Signer(t.Context(), "moved"); err == nil {
		t.Error("a key under another handle")
	}
}

func TestCacheIsBounded(t *testing.T) {
	k := New(storetest.SQLite(t))
	for i := range 3 * cacheSize {
		k.remember(fmt.Sprint(i), signer{})
	}
	if len(k.cached) > cacheSize {
		t.Errorf("%d keys kept", len(k.cached))
	}
}
