package vault

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func testBox(t *testing.T, k Keeper, keys ...StoreKey) *Box {
	t.Helper()
	b, err := NewBox(context.Background(), k, keys)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func testKeeper(t *testing.T) Keeper {
	t.Helper()
	k, err := OpenKEK(filepath.Join(t.TempDir(), "keys", "kek"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func storeKey(t *testing.T, k Keeper, p Purpose) StoreKey {
	t.Helper()
	sk, err := NewStoreKey(context.Background(), k, p)
	if err != nil {
		t.Fatal(err)
	}
	return sk
}

func TestKEKFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys", "kek")
	if _, err := LoadKEK(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("LoadKEK of nothing: %v", err)
	}
	var wg sync.WaitGroup
	wrapped := make([][]byte, 8)
	for i := range wrapped { // all of those who come first together must end with one key
		wg.Go(func() {
			k, err := OpenKEK(path)
			if err != nil {
				t.Error(err)
				return
			}
			wrapped[i], _ = k.Encrypt(t.Context(), []byte("secret"))
		})
	}
	wg.Wait()
	k, err := LoadKEK(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range wrapped {
		if got, err := k.Decrypt(t.Context(), w); err != nil || string(got) != "secret" {
			t.Errorf("opener %d had another key: %v", i, err)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestKEKFileRefused(t *testing.T) {
	dir := t.TempDir()
	secret := base64.URLEncoding.EncodeToString(bytes.Repeat([]byte{7}, 31))
	for name, text := range map[string]string{
		"empty": "", "short": scheme + secret, "noscheme": strings.Repeat("A", 43) + "=", "garbage": scheme + "%%%", "long": strings.Repeat("x", 4096),
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenKEK(path); err == nil {
			t.Errorf("%s: taken for a key", name)
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error shows the key", name)
		}
	}
	path := filepath.Join(dir, "open")
	if err := os.WriteFile(path, []byte(scheme+base64.URLEncoding.EncodeToString(make([]byte, 32))), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenKEK(path); err == nil || !strings.Contains(err.Error(), "read by others") {
		t.Errorf("a world-readable key: %v", err)
	}
}

// The wrapped form is that of gocloud.dev/secrets/localsecrets; this value was made by its Encrypt under the key 1, 2, … 32.
func TestWrappedForm(t *testing.T) {
	k := &localKeeper{}
	for i := range k.secret {
		k.secret[i] = byte(i + 1)
	}
	wrapped, err := base64.StdEncoding.DecodeString(localsecretsSample)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := k.Decrypt(t.Context(), wrapped); err != nil || string(got) != "carepost" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestSealOpen(t *testing.T) {
	k := testKeeper(t)
	b := testBox(t, k, storeKey(t, k, Sealing), storeKey(t, k, Hashing))
	for _, plain := range [][]byte{{}, []byte("x"), bytes.Repeat([]byte("letter "), 1000)} {
		s := b.Seal("message.header", "01J", plain)
		if len(s) != len(plain)+Overhead || len(plain) > 8 && bytes.Contains(s, plain) {
			t.Fatalf("%d bytes sealed to %d", len(plain), len(s))
		}
		if got, err := b.Open("message.header", "01J", s); err != nil || !bytes.Equal(got, plain) || got == nil {
			t.Errorf("opened %q, %v", got, err)
		}
		if bytes.Equal(s, b.Seal("message.header", "01J", plain)) {
			t.Error("the same value seals to the same bytes")
		}
		for _, where := range [][2]string{{"message.header", "01K"}, {"message.envelope", "01J"}, {"message.heade", "r\x0001J"}} {
			if _, err := b.Open(where[0], where[1], s); !errors.Is(err, ErrSealed) {
				t.Errorf("moved to %v: %v", where, err)
			}
		}
		for i := range s[:min(len(s), 64)] {
			bad := bytes.Clone(s)
			bad[i] ^= 0x40
			if _, err := b.Open("message.header", "01J", bad); !errors.Is(err, ErrSealed) && !errors.Is(err, ErrNoKey) {
				t.Errorf("bit in byte %d flipped: %v", i, err)
			}
		}
		for n := range min(len(s), 64) {
			if got, err := b.Open("message.header", "01J", s[:n]); !errors.Is(err, ErrSealed) {
				t.Errorf("cut to %d: %q, %v", n, got, err)
			}
		}
	}
	if b.Seal("a.b", "1", nil) != nil {
		t.Error("NULL must stay NULL")
	}
	if got, err := b.Open("a.b", "1", nil); got != nil || err != nil {
		t.Error("NULL must stay NULL")
	}
}

func TestRotation(t *testing.T) {
	k := testKeeper(t)
	first, second, hash := storeKey(t, k, Sealing), storeKey(t, k, Sealing), storeKey(t, k, Hashing)
	before, after := testBox(t, k, first, hash), testBox(t, k, hash, first, second)
	if after.KID() != second.KID {
		t.Errorf("seals with %s, newest is %s", after.KID(), second.KID)
	}
	old := before.Seal("t.c", "1", []byte("old"))
	if got, err := after.Open("t.c", "1", old); err != nil || string(got) != "old" {
		t.Errorf("old value: %q, %v", got, err)
	}
	if _, err := before.Open("t.c", "1", after.Seal("t.c", "1", []byte("new"))); !errors.Is(err, ErrNoKey) {
		t.Errorf("unknown kid: %v", err)
	}
	if !bytes.Equal(before.Hash("address", "a@h.example"), after.Hash("address", "a@h.example")) {
		t.Error("hashes must outlive rotation")
	}
	kid, wrapped := after.WrapKey("01J", bytes.Repeat([]byte{9}, 32))
	if got, err := after.UnwrapKey("01J", wrapped); kid != second.KID || err != nil || got[0] != 9 {
		t.Errorf("data key: %v", err)
	}
	if _, err := after.UnwrapKey("01K", wrapped); !errors.Is(err, ErrSealed) {
		t.Errorf("data key of another body: %v", err)
	}
}

func TestNewBoxRefuses(t *testing.T) {
	k, other := testKeeper(t), testKeeper(t)
	seal, hash := storeKey(t, k, Sealing), storeKey(t, k, Hashing)
	renamed, swapped := seal, seal
	renamed.KID = "00000000"
	swapped.Purpose = Hashing
	for name, tc := range map[string]struct {
		k    Keeper
		keys []StoreKey
		want error
	}{
		"wrong KEK":         {other, []StoreKey{seal, hash}, ErrKEK},
		"renamed row":       {k, []StoreKey{renamed, hash}, ErrKEK},
		"exchanged purpose": {k, []StoreKey{seal, swapped}, ErrKEK},
		"no sealing key":    {k, []StoreKey{hash}, nil},
		"no hashing key":    {k, []StoreKey{seal}, nil},
		"two hashing keys":  {k, []StoreKey{seal, hash, storeKey(t, k, Hashing)}, nil},
	} {
		if _, err := NewBox(t.Context(), tc.k, tc.keys); err == nil || tc.want != nil && !errors.Is(err, tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHash(t *testing.T) {
	k := testKeeper(t)
	seal := storeKey(t, k, Sealing)
	a, b := testBox(t, k, seal, storeKey(t, k, Hashing)), testBox(t, k, seal, storeKey(t, k, Hashing))
	h := a.Hash("address", "a@h.example")
	if len(h) != HashSize || !bytes.Equal(h, a.Hash("address", "a@h.example")) {
		t.Error("not stable")
	}
	for _, other := range [][]byte{a.Hash("address", "b@h.example"), a.Hash("message-id", "a@h.example"), b.Hash("address", "a@h.example")} {
		if bytes.Equal(h, other) {
			t.Error("value, purpose and store must all count")
		}
	}
}

func TestNewID(t *testing.T) {
	now := time.UnixMilli(1_763_762_400_000)
	a, b := NewID(now), NewID(now.Add(time.Millisecond))
	if len(a) != 26 || a >= b || a[:10] != NewID(now)[:10] || a == NewID(now) {
		t.Errorf("%s, %s", a, b)
	}
	if got := NewID(time.UnixMilli(1469918176385))[:10]; got != "01ARYZ6S41" { // the example of the ULID document
		t.Errorf("time part %s", got)
	}
}

func TestSequence(t *testing.T) {
	var s Sequence
	now := time.UnixMilli(1_763_762_400_000)
	last := ""
	for i := range 2000 {
		switch i {
		case 500:
			now = now.Add(-time.Hour) // the clock is set back
		case 1000:
			s.last = s.last[:12] + strings.Repeat("Z", 14)
		case 1500:
			now = now.Add(2 * time.Hour)
		}
		id := s.Next(now)
		if id <= last || len(id) != 26 {
			t.Fatalf("%s after %s", id, last)
		}
		last = id
	}
	if last[:10] != NewID(now)[:10] {
		t.Errorf("%s is not of now", last)
	}
	var a, b Sequence
	if a.Next(now) == b.Next(now) {
		t.Error("two sequences give one id")
	}
}

func FuzzOpen(f *testing.F) {
	k := &localKeeper{}
	seal, _ := NewStoreKey(context.Background(), k, Sealing)
	hash, _ := NewStoreKey(context.Background(), k, Hashing)
	b, err := NewBox(context.Background(), k, []StoreKey{seal, hash})
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte{})
	f.Add([]byte{version})
	f.Add(b.Seal("a.b", "2", []byte("of another row")))
	f.Fuzz(func(t *testing.T, sealed []byte) {
		if got, err := b.Open("a.b", "1", sealed); err == nil && sealed != nil {
			t.Fatalf("forged: %q", got)
		}
	})
}

const localsecretsSample = "4TSr2IDnc68bPsbYNnUYwPNw/dmjGuFvuo/zSbRpsm8Da+XJeobMQvntJHXnOT2w"
