package blob

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"carepost/internal/vault"
)

// A disk that is nearly full takes no bodies, and takes them again when there is room; nothing is left behind.
func TestReserve(t *testing.T) {
	s := testStore(t)
	var left atomic.Int64
	left.Store(Reserve)
	s.free = func(string) (int64, error) { return left.Load(), nil }
	commit(t, s, content(100_000)) // exactly what is reserved is left
	left.Store(Reserve - 1)
	if _, err := s.Create(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("created: %v", err)
	}
	left.Store(Reserve)
	d := write(t, s, content(3*stride/2))
	left.Store(Reserve - 1) // it fills while the body comes
	_, err := d.Write(content(stride))
	if err == nil {
		_, err = d.Write(content(stride))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("written: %v", err)
	}
	if _, err := d.Commit(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("committed: %v", err)
	}
	d.Discard()
	if left, err := os.ReadDir(filepath.Join(s.dir, drafts)); len(left) != 0 || err != nil {
		t.Errorf("drafts left: %v, %v", left, err)
	}
	left.Store(Reserve)
	commit(t, s, content(2*stride))

	s.free = func(string) (int64, error) { return 0, fs.ErrPermission }
	if _, err := s.Create(); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a disk that does not answer: %v", err)
	}
}

// The disk itself is asked.
func TestReserveReal(t *testing.T) {
	for reserve, ok := range map[int64]bool{1 << 60: false, -1: true, 1: true} {
		s, err := New(Options{Dir: t.TempDir(), Box: testBox(t), Reserve: reserve})
		if err != nil {
			t.Fatal(err)
		}
		d, err := s.Create()
		if (err == nil) != ok || !ok && !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%d bytes reserved: %v", reserve, err)
		}
		if err == nil {
			d.Discard()
		}
	}
}

// Check reads all of it: no bit may be another.
func TestCheck(t *testing.T) {
	s := testStore(t)
	for _, n := range sizes {
		r := commit(t, s, content(n))
		if err := s.Check(t.Context(), r); err != nil {
			t.Errorf("%d: %v", n, err)
		}
		other := r
		other.SHA256 = bytes.Repeat([]byte{7}, 32)
		if err := s.Check(t.Context(), other); !errors.Is(err, ErrDamaged) {
			t.Errorf("%d: another digest: %v", n, err)
		}
		other = r
		other.WrappedDEK = slices.Clone(r.WrappedDEK)
		other.WrappedDEK[20] ^= 1
		if err := s.Check(t.Context(), other); !errors.Is(err, vault.ErrSealed) {
			t.Errorf("%d: another key: %v", n, err)
		}
		flip(t, s, r, func(damaged Ref) {
			if err := s.Check(t.Context(), damaged); !errors.Is(err, ErrDamaged) {
				t.Errorf("%d: a flipped bit: %v", n, err)
			}
		})
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := s.Check(ctx, commit(t, s, content(100))); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
	large := commit(t, s, content(2*stride+5))
	var pieces []int64
	if err := s.CheckPieces(t.Context(), large, func(n int64) error { pieces = append(pieces, n); return nil }); err != nil || !slices.Equal(pieces, []int64{stride, stride, 5}) {
		t.Errorf("pieces %v, %v", pieces, err)
	}
	if err := s.CheckPieces(t.Context(), large, func(int64) error { return context.Canceled }); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped by whoever watches: %v", err)
	}
}

// flip shows r with some bits flipped, each alone.
func flip(t *testing.T, s *Store, r Ref, show func(Ref)) {
	t.Helper()
	if r.Key == "" {
		for i := 0; i < len(r.Inline); i += max(len(r.Inline)/5, 1) {
			damaged := r
			damaged.Inline = slices.Clone(r.Inline)
			damaged.Inline[i] ^= 1 << (i % 8)
			show(damaged)
		}
		return
	}
	name := filepath.Join(s.dir, r.Key)
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(whole); i += len(whole) / 5 {
		damaged := slices.Clone(whole)
		damaged[i] ^= 1 << (i % 8)
		if err := os.WriteFile(name, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		show(r)
	}
	if err := os.WriteFile(name, whole, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A second name, or on another disk a copy: the sealed bytes.
func TestExport(t *testing.T) {
	s := testStore(t)
	r := commit(t, s, content(100_000))
	want, err := os.ReadFile(filepath.Join(s.dir, r.Key))
	if err != nil {
		t.Fatal(err)
	}
	shm, err := os.MkdirTemp("/dev/shm", "carepost-blob-")
	if err != nil {
		t.Fatalf("a second disk is needed: %v", err)
	}
	t.Cleanup(func() { os.RemoveAll(shm) })
	for _, dir := range []string{t.TempDir(), shm} {
		to := filepath.Join(dir, "x")
		if err := s.Export(r, to); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(to); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, %v", dir, len(got), err)
		}
		if err := s.Export(r, to); !errors.Is(err, fs.ErrExist) {
			t.Errorf("over something: %v", err)
		}
		small := commit(t, s, content(10))
		if err := s.Export(small, filepath.Join(dir, "y")); err != nil {
			t.Error(err)
		}
		if left, _ := os.ReadDir(dir); len(left) != 1 {
			t.Errorf("%v", left)
		}
		if err := s.Export(Ref{ID: r.ID, Key: "../x"}, filepath.Join(dir, "z")); !errors.Is(err, ErrDamaged) {
			t.Errorf("a key that leads elsewhere: %v", err)
		}
	}
	if err := s.Remove(r); err != nil {
		t.Fatal(err)
	}
	if err := s.Export(r, filepath.Join(shm, "gone")); !errors.Is(err, ErrDamaged) {
		t.Errorf("missing: %v", err)
	}
}

// Nothing is made, written or removed by a store that is for reading.
func TestReadOnly(t *testing.T) {
	s := testStore(t)
	r := commit(t, s, content(50_000))
	only, err := ReadOnly(Options{Dir: s.dir, Box: s.box})
	if err != nil {
		t.Fatal(err)
	}
	if err := only.Check(t.Context(), r); err != nil {
		t.Error(err)
	}
	_, err = only.Create()
	if err == nil || only.Remove(r) == nil || only.Prune(t.Context(), time.Now()) == nil {
		t.Error("it writes")
	}
	elsewhere := filepath.Join(t.TempDir(), "none")
	if only, err = ReadOnly(Options{Dir: elsewhere, Box: s.box}); err != nil {
		t.Fatal(err)
	}
	if err := only.Check(t.Context(), r); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
	if _, err := os.Stat(elsewhere); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a directory was made")
	}
}

// Walks go in the order of keys, begin after a key, and end where they are told to.
func TestWalk(t *testing.T) {
	now := time.Date(2026, 12, 31, 22, 59, 59, 0, time.UTC)
	s := testStore(t)
	s.clock = func() time.Time { return now }
	var all []string
	for range 12 {
		for range 2 {
			r := commit(t, s, content(InlineSize+1))
			if err := os.Chtimes(filepath.Join(s.dir, r.Key), now, now); err != nil {
				t.Fatal(err)
			}
			all = append(all, r.Key)
		}
		now = now.Add(40 * time.Minute)
	}
	slices.Sort(all)
	walk := func(after string, olderThan time.Time, most int) (keys []string) {
		t.Helper()
		if err := s.WalkFrom(t.Context(), after, olderThan, func(key string, size int64) error {
			if keys = append(keys, key); len(keys) == most {
				return fs.SkipAll
			}
			if size <= InlineSize {
				t.Errorf("%s has %d bytes", key, size)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return keys
	}
	late := now.Add(48 * time.Hour)
	if got := walk("", late, 0); !slices.Equal(got, all) {
		t.Errorf("%v, want %v", got, all)
	}
	for i, key := range all {
		if got := walk(key, late, 0); !slices.Equal(got, all[i+1:]) {
			t.Errorf("after %s: %v", key, got)
		}
		if got := walk("", late, i+1); !slices.Equal(got, all[:i+1]) {
			t.Errorf("the first %d: %v", i+1, got)
		}
		hour, err := time.Parse("b/2006/01/02/15", filepath.Dir(key))
		if err != nil {
			t.Fatal(err)
		}
		n := slices.IndexFunc(all, func(other string) bool { return filepath.Dir(other) == filepath.Dir(key) })
		if got := walk("", hour.Add(time.Hour-1), 0); !slices.Equal(got, all[:n]) {
			t.Errorf("before the end of %v: %v", hour, got)
		}
	}
	stop := errors.New("stop")
	if err := s.Walk(t.Context(), late, func(string, int64) error { return stop }); err != stop {
		t.Errorf("its error: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Walk(ctx, late, func(string, int64) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
}

// Empty hours of the past go; a body can be put into one that went all the same.
func TestPrune(t *testing.T) {
	now := time.Date(2026, 12, 31, 23, 30, 0, 0, time.UTC)
	s := testStore(t)
	s.clock = func() time.Time { return now }
	gone := commit(t, s, content(InlineSize+1))
	now = now.Add(time.Hour)
	kept := commit(t, s, content(InlineSize+1))
	d := write(t, s, content(InlineSize+1)) // of the second hour
	if err := errors.Join(s.Remove(gone), s.Prune(t.Context(), time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC))); err != nil {
		t.Fatal(err)
	}
	there := func() string {
		list, _ := filepath.Glob(filepath.Join(s.dir, "b/*/*/*/*"))
		for i := range list {
			list[i] = strings.TrimPrefix(list[i], s.dir+"/b/")
		}
		return strings.Join(list, " ")
	}
	if got := there(); got != "2027/01/01/00" {
		t.Errorf("left: %s", got)
	}
	if _, err := os.Stat(filepath.Join(s.dir, "b/2026")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a year stays that is empty")
	}
	if err := errors.Join(s.Remove(kept), s.Prune(t.Context(), now.Add(time.Hour))); err != nil {
		t.Fatal(err)
	}
	if got := there(); got != "" {
		t.Errorf("left: %s", got)
	}
	r, err := d.Commit()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context(), r); err != nil {
		t.Error(err)
	}
	if err := s.Prune(t.Context(), now.Add(100*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context(), r); err != nil {
		t.Errorf("a body went with its hour: %v", err)
	}
}
