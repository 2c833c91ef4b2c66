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
	"sync"

	"golang.org/x/crypto/nacl/secretbox"
)

// scheme begins the one line of a KEK file: the URL that gocloud.dev/secrets takes for a local key.
const scheme = "base64key://"

// following is what is added to the name of a KEK file for the one that is to follow it.
const following = ".next"

// OpenKEK reads the key-encryption key in the file at path, or makes one if there is no such file (0600, fsynced, with its
// name and those of its directories). It refuses a file that others may read. While a rotation is under way (RotateKEK), also one that was
// cut short, its Keeper opens what either key wrapped and wraps by the one that is to stay. Copies that a process left which was killed while
// it made a key are removed.
func OpenKEK(path string) (Keeper, error) {
	k, err := LoadKEK(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := createKEK(path); err != nil && !errors.Is(err, fs.ErrExist) { // exists: somebody was quicker, and theirs counts
			return nil, fmt.Errorf("vault: making the key-encryption key: %w", err)
		}
		k, err = LoadKEK(path)
	}
	if err != nil {
		return nil, err
	}
	if err := removeCopies(filepath.Dir(path)); err != nil && !foreign(err) { // a folder that is not ours to change has none of ours
		return nil, fmt.Errorf("vault: removing what is left of the making of a key: %w", err)
	}
	return k, nil
}

// LoadKEK is OpenKEK for a file that must be there; a missing one is an error that wraps fs.ErrNotExist.
func LoadKEK(path string) (Keeper, error) {
	held, err := loadKeys(path)
	if err != nil {
		return nil, err
	}
	return &fileKeeper{path: path, held: held}, nil
}

// loadKeys reads the key at path and the one that is to follow it, which comes first. They are read in this order: the latter may take the
// former's place meanwhile.
func loadKeys(path string) (either, error) {
	next, err := loadKey(path + following)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	k, err := loadKey(path)
	switch {
	case next == nil && err != nil:
		return nil, err
	case next == nil:
		return either{k}, nil
	case errors.Is(err, fs.ErrNotExist): // no doing of ours
		return either{next}, nil
	case err != nil:
		return nil, err
	}
	return either{next, k}, nil
}

func loadKey(path string) (*localKeeper, error) {
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

// RotateKEK begins to replace the key-encryption key in the file at path: it makes the next one, durably, in path.next, or finds it there
// when an earlier rotation was cut short. The caller then wraps every store key by next (store.RewrapKeys) and calls finish, which puts
// path.next in the place of path. Between any two of these steps the process may end: OpenKEK opens what either key wrapped, and all of it may
// be done again. The old key is gone after finish: backups made before open with a copy of it only.
func RotateKEK(path string) (next Keeper, finish func() error, err error) {
	if _, err := loadKeys(path); err != nil { // nothing to follow
		return nil, nil, err
	}
	if err := createKEK(path + following); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, nil, fmt.Errorf("vault: making the next key-encryption key: %w", err)
	}
	k, err := loadKey(path + following)
	if err != nil {
		return nil, nil, err
	}
	if now, err := loadKey(path); err == nil && now.secret == k.secret {
		return nil, nil, fmt.Errorf("vault: %s is no new key but a copy of the present one: it is to be removed", path+following)
	}
	dir := filepath.Dir(path)
	if err := errors.Join(removeCopies(dir), SyncDir(dir)); err != nil { // its maker may have been killed before it came to that
		return nil, nil, fmt.Errorf("vault: the next key-encryption key: %w", err)
	}
	return k, func() error { return replaceKEK(path, k) }, nil
}

// Rotating says that a rotation of the key at path was begun and not finished: both files are needed.
func Rotating(path string) bool {
	_, err := os.Lstat(path + following)
	return err == nil
}

// replaceKEK ends a rotation; doing so twice is harmless.
func replaceKEK(path string, next *localKeeper) error {
	k, err := loadKey(path + following)
	if errors.Is(err, fs.ErrNotExist) {
		k, err = loadKey(path)
		if err == nil && k.secret == next.secret {
			return replaced(path)
		}
	}
	if err == nil && k.secret != next.secret {
		err = fmt.Errorf("vault: %s is another key than the one this rotation began with", path+following)
	}
	if err != nil {
		return err
	}
	if err := os.Rename(path+following, path); err != nil {
		return fmt.Errorf("vault: replacing the key-encryption key: %w", err)
	}
	return replaced(path)
}

// replaced brings the replacement to the disk, and sees to it that no second name keeps the old key there.
func replaced(path string) error {
	dir := filepath.Dir(path)
	if err := errors.Join(SyncDir(dir), removeCopies(dir)); err != nil {
		return fmt.Errorf("vault: replacing the key-encryption key: %w", err)
	}
	return nil
}

// passing begins the names under which keys are written.
const passing = ".kek-"

// createKEK writes a new key under a passing name and links it to path, so that path never holds half a key and a key that is
// there is never replaced.
func createKEK(path string) error {
	for try := 1; ; try++ {
		err := linkKEK(path)
		if try == 5 || !errors.Is(err, fs.ErrNotExist) { // else another process took it for a copy that was left
			return err
		}
	}
}

func linkKEK(path string) error {
	dir := filepath.Dir(path)
	if err := MakeDir(dir); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, passing+"*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone already when all went well
	secret := make([]byte, keySize)
	defer clear(secret)
	rand.Read(secret)
	_, err = f.WriteString(scheme + base64.URLEncoding.EncodeToString(secret) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil {
		return err
	}
	// Both before one fsync: where the link is on the disk and the removal is not, the passing name is back after a power cut (removeCopies).
	if err := os.Remove(f.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return SyncDir(dir)
}

// removeCopies removes, durably, what makers of keys that were killed left in dir. They may be second names of a key that is in use: they
// are not written to.
func removeCopies(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	removed := false
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), passing) || !e.Type().IsRegular() {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		removed = true
	}
	if !removed {
		return nil
	}
	return SyncDir(dir)
}

// fileKeeper is the key at path and, during a rotation, the one that is to follow it. It looks at the files again when it wraps and when it
// does not open, so that a process that runs on while its key is replaced needs no restart; without the files it goes on with what it read last.
type fileKeeper struct {
	path string

	mu   sync.Mutex
	held either
}

func (k *fileKeeper) keys(reload bool) either {
	k.mu.Lock()
	defer k.mu.Unlock()
	if reload {
		if held, err := loadKeys(k.path); err == nil {
			k.held = held
		}
	}
	return k.held
}

func (k *fileKeeper) Encrypt(ctx context.Context, plaintext []byte) ([]byte, error) {
	return k.keys(true).Encrypt(ctx, plaintext)
}

func (k *fileKeeper) Decrypt(ctx context.Context, ciphertext []byte) ([]byte, error) {
	plain, err := k.keys(false).Decrypt(ctx, ciphertext)
	if err != nil {
		plain, err = k.keys(true).Decrypt(ctx, ciphertext)
	}
	return plain, err
}

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
