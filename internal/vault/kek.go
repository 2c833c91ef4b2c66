package vault

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/nacl/secretbox"
)

// scheme begins the one line of a KEK file: the URL that gocloud.dev/secrets takes for a local key.
const scheme = "base64key://"

// OpenKEK reads the key-encryption key in the file at path, or makes one if there is no such file (0600, fsynced, with its
// name and those of its directories). It refuses a file that others may read.
func OpenKEK(path string) (Keeper, error) {
	k, err := LoadKEK(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	if err := createKEK(path); err != nil && !errors.Is(err, fs.ErrExist) { // exists: somebody was quicker, and theirs counts
		return nil, fmt.Errorf("vault: making the key-encryption key: %w", err)
	}
	return LoadKEK(path)
}

// LoadKEK reads the key-encryption key in the file at path; a missing file is an error that wraps fs.ErrNotExist.
func LoadKEK(path string) (Keeper, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("vault: reading the key-encryption key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("vault: %s may be read by others: its mode is %#o, not 0600", path, info.Mode().Perm())
	}
	if info.Size() > 1<<10 {
		return nil, fmt.Errorf("vault: %s is no key-encryption key", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("vault: reading the key-encryption key: %w", err)
	}
	defer clear(text)
	encoded, ok := strings.CutPrefix(string(bytes.TrimSpace(text)), scheme)
	secret, err := base64.URLEncoding.DecodeString(encoded)
	if !ok || err != nil || len(secret) != keySize {
		return nil, fmt.Errorf("vault: %s is no key-encryption key", path) // not err: it may show the key
	}
	return &localKeeper{secret: [keySize]byte(secret)}, nil
}

// createKEK writes a new key under a passing name and links it to path, so that path never holds half a key and a key that is
// there is never replaced.
func createKEK(path string) error {
	dir := filepath.Dir(path)
	if err := MakeDir(dir); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".kek-*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	secret := make([]byte, keySize)
	rand.Read(secret)
	_, err = f.WriteString(scheme + base64.URLEncoding.EncodeToString(secret) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil {
		return err
	}
	return SyncDir(dir)
}

// RotateKEK makes the key-encryption key that is to follow the one at path, in path.next.
func RotateKEK(path string) (next Keeper, finish func() error, err error) { panic("soon") }

// localKeeper wraps under a key in memory. Its output is that of localsecrets: a random nonce of 24 bytes, then a NaCl secretbox.
type localKeeper struct{ secret [keySize]byte }

const boxNonce = 24

func (k *localKeeper) Encrypt(_ context.Context, plaintext []byte) ([]byte, error) {
	var nonce [boxNonce]byte
	rand.Read(nonce[:])
	return secretbox.Seal(nonce[:], plaintext, &nonce, &k.secret), nil
}

func (k *localKeeper) Decrypt(_ context.Context, ciphertext []byte) ([]byte, error) {
	if len(ciphertext) < boxNonce {
		return nil, errors.New("vault: wrapped key is too short")
	}
	plain, ok := secretbox.Open(nil, ciphertext[boxNonce:], (*[boxNonce]byte)(ciphertext), &k.secret)
	if !ok {
		return nil, errors.New("vault: wrapped key does not open")
	}
	return plain, nil
}
