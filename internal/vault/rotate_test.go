package vault

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

func TestUpdate(t *testing.T) {
	k := testKeeper(t)
	hash, first, second, third := storeKey(t, k, Hashing), storeKey(t, k, Sealing), storeKey(t, k, Sealing), storeKey(t, k, Sealing)
	b := testBox(t, k, hash, first)
	old := b.Seal("t.c", "1", []byte("old"))
	update := func(want string, keys ...StoreKey) {
		t.Helper()
		if err := b.Update(t.Context(), k, keys); err != nil {
			t.Fatal(err)
		}
		if b.KID() != want {
			t.Errorf("seals with %s, want %s", b.KID(), want)
		}
	}
	update(first.KID, hash, first)
	update(second.KID, hash, first, second)
	update(second.KID, hash, first) // read before the second was made, and late
	fresh := b.Seal("t.c", "1", []byte("new"))
	if !bytes.HasPrefix(fresh, b.Head()) || bytes.HasPrefix(old, b.Head()) || len(b.Head()) != HeadSize {
		t.Errorf("head %x of %x", b.Head(), fresh)
	}
	update(third.KID, hash, third) // the others are deleted
	for want, sealed := range map[string][]byte{"old": old, "new": fresh} {
		if got, err := b.Open("t.c", "1", sealed); err != nil || string(got) != want {
			t.Errorf("opened %q, %v", got, err)
		}
	}
	kid, moved, err := b.Reseal("t.c", "1", old)
	if got, err2 := b.Open("t.c", "1", moved); err != nil || err2 != nil || string(got) != "old" || kid != third.KID || !bytes.HasPrefix(moved, b.Head()) {
		t.Errorf("sealed anew by %s: %q, %v, %v", kid, got, err, err2)
	}
	if _, _, err := b.Reseal("t.c", "2", old); !errors.Is(err, ErrSealed) {
		t.Errorf("of another row: %v", err)
	}

	foreign := storeKey(t, testKeeper(t), Sealing)
	for name, bad := range map[string]StoreKey{"another KEK": foreign, "no kid": {KID: "x", Purpose: Sealing}, "renamed": {KID: "00000000", Purpose: Sealing, Wrapped: second.Wrapped}} {
		if err := b.Update(t.Context(), k, []StoreKey{hash, third, bad}); !errors.Is(err, ErrKEK) || b.KID() != third.KID {
			t.Errorf("%s: %v, seals with %s", name, err, b.KID())
		}
	}
}

// Others seal and open while keys come.
func TestUpdateUnderLoad(t *testing.T) {
	k := testKeeper(t)
	keys := []StoreKey{storeKey(t, k, Hashing), storeKey(t, k, Sealing)}
	b := testBox(t, k, keys...)
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				kid, wrapped := b.WrapKey("1", make([]byte, keySize))
				if got, err := b.UnwrapKey("1", wrapped); err != nil || len(got) != keySize || len(kid) != 8 {
					t.Errorf("%x, %v", got, err)
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for range 20 {
		keys = append(keys, storeKey(t, k, Sealing))
		if err := b.Update(t.Context(), k, keys); err != nil {
			t.Error(err)
		}
	}
	close(done)
	wg.Wait()
}

func TestRewrap(t *testing.T) {
	k, next, other := testKeeper(t), testKeeper(t), testKeeper(t)
	hash, seal := storeKey(t, k, Hashing), storeKey(t, k, Sealing)
	sealed := testBox(t, k, hash, seal).Seal("t.c", "1", []byte("value"))
	var moved []StoreKey
	for _, sk := range []StoreKey{hash, seal} {
		if _, err := Rewrap(t.Context(), other, next, sk); !errors.Is(err, ErrKEK) {
			t.Errorf("by a key that does not open it: %v", err)
		}
		m, err := Rewrap(t.Context(), Either(other, k), next, sk)
		if err != nil {
			t.Fatal(err)
		}
		moved = append(moved, m)
	}
	if got, err := testBox(t, next, moved...).Open("t.c", "1", sealed); err != nil || string(got) != "value" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := NewBox(t.Context(), k, moved); !errors.Is(err, ErrKEK) {
		t.Errorf("the old key opens it still: %v", err)
	}
}

func TestRotateKEKFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "kek")
	if _, _, err := RotateKEK(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of nothing: %v", err)
	}
	k, err := OpenKEK(path)
	if err != nil {
		t.Fatal(err)
	}
	wrapped, err := k.Encrypt(t.Context(), []byte("old"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, err := RotateKEK(path)
	if err != nil || !Rotating(path) {
		t.Fatalf("%v, rotating %v", err, Rotating(path))
	}
	again, finish, err := RotateKEK(path)
	if err != nil {
		t.Fatal(err)
	}
	byFirst, err := first.Encrypt(t.Context(), []byte("new"))
	if err != nil {
		t.Fatal(err)
	}
	byRunning, err := k.Encrypt(t.Context(), []byte("running"))
	if err != nil {
		t.Fatal(err)
	}
	opens := func(k Keeper, want string, wrapped []byte) {
		t.Helper()
		if got, err := k.Decrypt(t.Context(), wrapped); err != nil || string(got) != want {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
	opens(again, "new", byFirst) // the same key: a rotation that was begun goes on
	opens(again, "running", byRunning)
	between, err := LoadKEK(path)
	if err != nil {
		t.Fatal(err)
	}
	for want, w := range map[string][]byte{"old": wrapped, "new": byFirst, "running": byRunning} {
		opens(between, want, w)
		opens(k, want, w)
	}
	for range 2 {
		if err := finish(); err != nil || Rotating(path) {
			t.Errorf("%v, rotating %v", err, Rotating(path))
		}
	}
	after, err := LoadKEK(path)
	if err != nil {
		t.Fatal(err)
	}
	opens(after, "new", byFirst)
	if _, err := after.Decrypt(t.Context(), wrapped); err == nil {
		t.Error("the old key is there still")
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}

	if _, _, err := RotateKEK(path); err != nil { // another rotation, whose key an older one must not put in its place
		t.Fatal(err)
	}
	if err := finish(); err == nil || !Rotating(path) {
		t.Errorf("an old rotation was finished with another's key: %v", err)
	}
	if err := os.WriteFile(path+following, []byte("half a k"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenKEK(path); err == nil {
		t.Error("opened beside a next key that is none")
	}
	if err := os.Chmod(path+following, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := RotateKEK(path); err == nil {
		t.Error("went on with a key that others may read")
	}
	if err := os.RemoveAll(dir); err != nil { // a medium that is taken out: what was read last counts
		t.Fatal(err)
	}
	opens(k, "old", wrapped)
	if _, err := k.Encrypt(t.Context(), []byte("x")); err != nil {
		t.Error(err)
	}
}

func TestIDTime(t *testing.T) {
	now := time.UnixMilli(1_763_762_400_123).UTC()
	if at, ok := IDTime(NewID(now)); !ok || !at.Equal(now) {
		t.Errorf("%v, %v", at, ok)
	}
	for _, id := range []string{"", "1", NewID(now)[1:], NewID(now) + "0", "8" + NewID(now)[1:], NewID(now)[:25] + "U", NewID(now)[:25] + "a", "../../../../../../../../etc"} {
		if at, ok := IDTime(id); ok {
			t.Errorf("%q is of %v", id, at)
		}
	}
}
