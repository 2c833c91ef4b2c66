//go:build pkcs11

package keyring

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/pkcs11"

	"carepost/internal/store"
	"carepost/internal/store/storetest"
)

// softhsm makes a token in the test's directory, and names it.
func softhsm(t *testing.T) TokenOptions {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/*/softhsm/libsofthsm2.so")
	plain, _ := filepath.Glob("/usr/lib*/softhsm/libsofthsm2.so")
	found = append(found, plain...)
	if len(found) == 0 {
		t.Fatal("no SoftHSM: scripts/peers installs it")
	}
	dir := t.TempDir()
	conf := filepath.Join(dir, "softhsm2.conf")
	if err := os.WriteFile(conf, []byte("directories.tokendir = "+dir+"\nobjectstore.backend = file\nlog.level = ERROR\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SOFTHSM2_CONF", conf)
	if out, err := exec.Command("softhsm2-util", "--init-token", "--free", "--label", "clinic", "--pin", "1234", "--so-pin", "5678").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return TokenOptions{Module: found[0], URI: "pkcs11:token=clinic", PIN: func() (string, error) { return "1234", nil }}
}

// tokenFallsBack wants that a key which does no bare RSA operation opens with the paddings that the token knows itself, and that nothing shows
// what is wrong with one: a random key instead. What a token was not asked is an error. ATT-04.
func tokenFallsBack(t *testing.T, k *Keyring, lib *p11) {
	t.Helper()
	var allowed []byte
	for _, m := range []uint64{pkcs11.CKM_RSA_PKCS, pkcs11.CKM_RSA_PKCS_OAEP} {
		allowed = binary.NativeEndian.AppendUint64(allowed, m)
	}
	_, kind, err := generating(RSA2048)
	if err != nil {
		t.Fatal(err)
	}
	attr := pkcs11.NewAttribute
	if err := lib.with(func(c *pkcs11.Ctx, s *session) error {
		_, _, err := c.GenerateKeyPair(s.h, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS_KEY_PAIR_GEN, nil)}, kind, []*pkcs11.Attribute{
			attr(pkcs11.CKA_TOKEN, true), attr(pkcs11.CKA_DECRYPT, true), attr(pkcs11.CKA_LABEL, "padded"), attr(pkcs11.CKA_ALLOWED_MECHANISMS, allowed)})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	key, err := k.find("pkcs11:object=padded")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lib.raw(key.at, make([]byte, 256)); !cannot(err) {
		t.Fatalf("the bare operation: %v", err)
	}
	tokenOpensWith(t, key, crypto.SHA1) // SoftHSM knows no other for OAEP
	away := errors.New("the token is busy")
	for err, want := range map[error]bool{
		away: true, &judged{pkcs11.Error(pkcs11.CKR_SESSION_CLOSED)}: true, pkcs11.Error(pkcs11.CKR_HOST_MEMORY): true,
		&judged{pkcs11.Error(pkcs11.CKR_ENCRYPTED_DATA_INVALID)}: false, &judged{pkcs11.Error(pkcs11.CKR_GENERAL_ERROR)}: false,
	} {
		if unjudged(err) != want {
			t.Errorf("%v: unjudged is %v", err, !want)
		}
	}
}

// Keys on a token sign, decrypt and agree as those in the database do, in this process and after it, also when sessions are lost. The wrong PIN
// is tried once.
func TestToken(t *testing.T) {
	o := softhsm(t)
	token, err := OpenToken(o)
	if err != nil {
		t.Fatal(err)
	}
	defer token.Close()
	s := storetest.SQLite(t)
	k := NewWith(s, token)
	lib := token.lib.(*p11)
	for _, spec := range []Spec{RSA2048, P256, P384} {
		uri, err := k.GenerateOnToken(t.Context(), spec, "made here")
		if err != nil {
			t.Fatal(err)
		}
		var id string
		if err := s.Tx(t.Context(), func(tx *store.Tx) (err error) { id, err = k.TakeFromToken(t.Context(), tx, uri); return err }); err != nil {
			t.Fatal(err)
		}
		if on, err := k.OnToken(t.Context(), id); err != nil || !on {
			t.Errorf("%v: %v, %v", spec, on, err)
		}
		if _, err := k.Export(t.Context(), id); !errors.Is(err, ErrKind) {
			t.Errorf("%v is exported: %v", spec, err)
		}
		if _, err := New(s).Signer(t.Context(), id); !errors.Is(err, ErrNoToken) {
			t.Errorf("%v without a token: %v", spec, err)
		}
		for i, k := range []*Keyring{k, NewWith(s, token)} { // from memory, and from the row
			tokenSigns(t, k, id)
			opener, err := k.Opener(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			if spec == RSA2048 {
				tokenOpens(t, opener.(crypto.Decrypter))
			} else {
				tokenAgrees(t, opener.(ecdh.KeyExchanger))
			}
			if i == 0 { // everybody is logged out under our feet
				lib.mu.Lock()
				for _, x := range lib.idle {
					lib.lib.CloseSession(x.h)
				}
				lib.mu.Unlock()
			}
		}
	}
	tokenFallsBack(t, k, lib)
	for _, uri := range []string{"pkcs11:object=nothing", "pkcs11:object=made%20here"} {
		if _, err := k.FindOnToken(t.Context(), uri); !errors.Is(err, ErrTokenKey) {
			t.Errorf("%s: %v", uri, err)
		}
	}
	tried := 0
	o.PIN = func() (string, error) { tried++; return "4321", nil }
	token.Close() // else the process is logged in
	wrong, err := OpenToken(o)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if _, err := NewWith(s, wrong).FindOnToken(t.Context(), "pkcs11:object=x"); err == nil || !strings.Contains(err.Error(), "PIN is refused") {
			t.Errorf("a wrong PIN: %v", err)
		}
	}
	if tried != 1 {
		t.Errorf("tried %d times", tried)
	}
}

func tokenSigns(t *testing.T, k *Keyring, id string) {
	t.Helper()
	key, err := k.Signer(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	d256, d384 := sha256.Sum256([]byte("letter")), sha512.Sum384([]byte("letter"))
	var all sync.WaitGroup
	for range 2 * maxSessions {
		for h, digest := range map[crypto.Hash][]byte{crypto.SHA256: d256[:], crypto.SHA384: d384[:]} {
			all.Go(func() {
				sig, err := key.Sign(rand.Reader, digest, h)
				switch pub := key.Public().(type) {
				case *rsa.PublicKey:
					if err == nil {
						err = rsa.VerifyPKCS1v15(pub, h, digest, sig)
					}
					pss := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: h}
					sig, e := key.Sign(rand.Reader, digest, pss)
					if err = errors.Join(err, e); err == nil {
						err = rsa.VerifyPSS(pub, h, digest, sig, pss)
					}
				case *ecdsa.PublicKey:
					if err == nil && !ecdsa.VerifyASN1(pub, digest, sig) {
						err = fmt.Errorf("a bad signature on %s", pub.Curve.Params().Name)
					}
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
}

// tokenOpens wants what crypto/rsa does: a key, or a random key of that length for whatever is wrong with the padding. ATT-04.
func tokenOpens(t *testing.T, key crypto.Decrypter) {
	t.Helper()
	tokenOpensWith(t, key, crypto.SHA1, crypto.SHA256, crypto.SHA512)
}

func tokenOpensWith(t *testing.T, key crypto.Decrypter, hashes ...crypto.Hash) {
	t.Helper()
	pub, secret := key.Public().(*rsa.PublicKey), []byte("0123456789abcdef")
	//lint:ignore SA1019 what partners send
	sealed, err := rsa.EncryptPKCS1v15(rand.Reader, pub, secret)
	if err != nil {
		t.Fatal(err)
	}
	//lint:ignore SA1019 with the random fall-back of SessionKeyLen
	o := &rsa.PKCS1v15DecryptOptions{SessionKeyLen: len(secret)}
	if got, err := key.Decrypt(rand.Reader, sealed, o); err != nil || !bytes.Equal(got, secret) {
		t.Errorf("%x, %v", got, err)
	}
	seen := map[string]bool{}
	for i := range 8 {
		bad := bytes.Clone(sealed)
		bad[len(bad)-1-i] ^= 1
		got, err := key.Decrypt(rand.Reader, bad, o)
		if err != nil || len(got) != len(secret) || seen[string(got)] {
			t.Errorf("a bad padding: %x, %v", got, err)
		}
		seen[string(got)] = true
	}
	for _, h := range hashes {
		sealed, err := rsa.EncryptOAEP(h.New(), rand.Reader, pub, secret, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := key.Decrypt(rand.Reader, sealed, &rsa.OAEPOptions{Hash: h}); err != nil || !bytes.Equal(got, secret) {
			t.Errorf("OAEP with %v: %x, %v", h, got, err)
		}
		sealed[9] ^= 1
		if _, err := key.Decrypt(rand.Reader, sealed, &rsa.OAEPOptions{Hash: h}); err != rsa.ErrDecryption {
			t.Errorf("a bad OAEP: %v", err)
		}
	}
	if _, err := key.Decrypt(rand.Reader, sealed, nil); !errors.Is(err, ErrKind) {
		t.Errorf("without a session key's length: %v", err)
	}
}

func tokenAgrees(t *testing.T, own ecdh.KeyExchanger) {
	t.Helper()
	other, err := own.Curve().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a, err := own.ECDH(other.PublicKey())
	b, err2 := other.ECDH(own.PublicKey())
	if err != nil || err2 != nil || !bytes.Equal(a, b) {
		t.Errorf("%x and %x: %v, %v", a, b, err, err2)
	}
}
