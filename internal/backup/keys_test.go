package backup

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"carepost/internal/vault"
)

// Keys change around a backup: it opens with the key of its time, also when a change of keys was cut short.
func TestKeysChange(t *testing.T) {
	h, mails := newHouse(t)
	path := filepath.Join(h.dir, "keys", "kek")
	former := filepath.Join(t.TempDir(), "kek")
	text, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(former, text, 0o600))
	restore := func(when, src, kek string, want error) {
		t.Helper()
		k, err := vault.LoadKEK(kek)
		must(t, err)
		if r, err := Verify(t.Context(), src, k); !errors.Is(err, want) {
			t.Errorf("%s: verified: %+v, %v", when, r, err)
		}
		into := filepath.Join(t.TempDir(), "into")
		r, err := Restore(t.Context(), src, into, kek)
		if !errors.Is(err, want) || r.Restored != (want == nil) {
			t.Errorf("%s: restored: %+v, %v", when, r, err)
		}
		if err == nil {
			open(t, into).reads(t, mails)
		}
	}
	before, _ := h.backup(t)
	next, finish, err := vault.RotateKEK(path)
	must(t, err)
	begun, _ := h.backup(t)
	restore("before, from a change under way", before, path, nil)
	must(t, h.RewrapKeys(t.Context(), next, nil))
	cut, _ := h.backup(t)
	restore("cut short", cut, path, nil)
	restore("cut short, the former key", cut, former, ErrKEK)
	must(t, finish())
	after, _ := h.backup(t)
	restore("before", before, former, nil)
	restore("before, the new key", before, path, ErrKEK)
	restore("begun", begun, former, nil) // its rows are wrapped by the former key
	restore("begun, the new key", begun, path, ErrKEK)
	restore("cut short, in the end", cut, path, nil)
	restore("after", after, path, nil)
	restore("after, the former key", after, former, ErrKEK)
}

// A backup while everything is sealed anew.
func TestWhileResealing(t *testing.T) {
	h, mails := newHouse(t)
	for i := range 30 {
		id, sum := h.mail(t, 500*i)
		mails[id] = sum
	}
	for range 3 {
		_, err := h.RotateSealing(t.Context(), h.kek(t), nil)
		must(t, err)
		ended := make(chan error)
		go func() { ended <- h.Reseal(t.Context(), nil) }()
		dest := filepath.Join(t.TempDir(), "b")
		_, err = Create(t.Context(), h.options(), dest)
		must(t, err)
		must(t, <-ended)
		if r, err := Verify(t.Context(), dest, h.kek(t)); err != nil || r.Bodies != len(mails) {
			t.Errorf("%+v, %v", r, err)
		}
	}
}
