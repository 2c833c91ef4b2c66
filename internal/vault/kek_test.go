package vault

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// A power cut may bring back the passing name under which a key was made: it is a second name of the key, and must go, at the latest when
// that key is replaced.
func TestCopiesOfKeysGo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys", "kek")
	left := filepath.Join(filepath.Dir(path), passing+"123")
	again := func() {
		t.Helper()
		if err := os.Link(path, left); err != nil {
			t.Fatal(err)
		}
	}
	gone := func(when string) {
		t.Helper()
		if _, err := os.Lstat(left); !os.IsNotExist(err) {
			t.Errorf("%s: %v", when, err)
		}
	}
	if _, err := OpenKEK(path); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	again()
	if _, err := OpenKEK(path); err != nil {
		t.Fatal(err)
	}
	gone("opened")
	if now, err := os.ReadFile(path); err != nil || string(now) != string(before) {
		t.Errorf("the key was harmed: %v", err)
	}
	again()
	_, finish, err := RotateKEK(path)
	if err != nil {
		t.Fatal(err)
	}
	gone("rotation begun")
	again()
	for range 2 { // the second time: killed between the rename and the removal
		if err := finish(); err != nil {
			t.Fatal(err)
		}
		gone("rotated")
		if err := os.WriteFile(left, before, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, other := range []string{"kek-old", ".kek.swp"} {
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), other), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := OpenKEK(path); err != nil {
		t.Fatal(err)
	}
	if names, err := os.ReadDir(filepath.Dir(path)); err != nil || len(names) != 3 {
		t.Errorf("%v, %v", names, err)
	}
}

// Several that are first together, and remove what they take for left, agree on one key.
func TestFirstTogether(t *testing.T) {
	for range 20 {
		path := filepath.Join(t.TempDir(), "keys", "kek")
		var wg sync.WaitGroup
		keepers := make([]Keeper, 4)
		for i := range keepers {
			wg.Go(func() {
				var err error
				if keepers[i], err = OpenKEK(path); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if t.Failed() {
			return
		}
		wrapped, err := keepers[0].Encrypt(t.Context(), []byte("x"))
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range keepers {
			if _, err := k.Decrypt(t.Context(), wrapped); err != nil {
				t.Error(err)
			}
		}
	}
}

// A copy of the present key in the place of the next one would make a rotation that changes nothing.
func TestRotateToItself(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kek")
	if _, err := OpenKEK(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+following, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := RotateKEK(path); err == nil {
		t.Error("begun")
	}
	if err := os.Remove(path); err != nil { // then it is the key, and nothing is wrong with it
		t.Fatal(err)
	}
	_, finish, err := RotateKEK(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := finish(); err != nil {
		t.Fatal(err)
	}
	if now, err := os.ReadFile(path); err != nil || string(now) != string(text) {
		t.Error(err)
	}
}
