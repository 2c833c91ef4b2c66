package blob

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"carepost/internal/transit"
	"carepost/internal/vault"
)

var _ transit.Body = (*Body)(nil)

func testBox(t testing.TB) *vault.Box {
	t.Helper()
	k, err := vault.OpenKEK(filepath.Join(t.TempDir(), "kek"))
	if err != nil {
		t.Fatal(err)
	}
	var keys []vault.StoreKey
	for _, p := range []vault.Purpose{vault.Hashing, vault.Sealing} {
		sk, err := vault.NewStoreKey(t.Context(), k, p)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, sk)
	}
	b, err := vault.NewBox(t.Context(), k, keys)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func testStore(t testing.TB) *Store {
	t.Helper()
	s, err := New(Options{Dir: t.TempDir(), Box: testBox(t)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// content gives n bytes that look like nothing.
func content(n int) []byte {
	p := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(n)})
	r.Read(p)
	return p
}

func write(t testing.TB, s *Store, p []byte) *Draft {
	t.Helper()
	d, err := s.Create()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Discard)
	for chunk := 1; len(p) > 0; chunk = chunk*3 + 1 { // odd places to cut
		n := min(chunk, len(p))
		if m, err := d.Write(p[:n]); m != n || err != nil {
			t.Fatalf("wrote %d of %d: %v", m, n, err)
		}
		p = p[n:]
	}
	return d
}

func commit(t testing.TB, s *Store, p []byte) Ref {
	t.Helper()
	r, err := write(t, s, p).Commit()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func readAll(b *Body) ([]byte, error) { return io.ReadAll(io.NewSectionReader(b, 0, b.Size())) }

// sizes at and around every border.
var sizes = []int{0, 1, 1000, InlineSize - 1, InlineSize, InlineSize + 1, payload - 1, payload, payload + 1, 2*payload - 1, 2 * payload, 2*payload + 1, 5*payload + 77}

func TestRoundTrip(t *testing.T) {
	s := testStore(t)
	for _, n := range sizes {
		p := content(n)
		d := write(t, s, p)
		draft, err := d.Body() // re-read before Commit, as verifying does
		if err != nil {
			t.Fatal(err)
		}
		if got, err := readAll(draft); err != nil || !bytes.Equal(got, p) {
			t.Errorf("%d: the draft reads as %d bytes, %v", n, len(got), err)
		}
		if _, err := d.Write([]byte{1}); err == nil {
			t.Errorf("%d: written to after the end", n)
		}
		r, err := d.Commit()
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(p)
		if r.ID != d.ID() || r.Size != int64(n) || !bytes.Equal(r.SHA256, sum[:]) || r.KID != s.box.KID() || (r.Key == "") != (n <= InlineSize) {
			t.Errorf("%d: %+v", n, r)
		}
		if n > 16 && bytes.Contains(r.Inline, p[:16]) {
			t.Errorf("%d: inline in clear", n)
		}
		if _, err := d.Commit(); err == nil {
			t.Errorf("%d: committed twice", n)
		}
		d.Discard() // nothing after Commit
		b, err := s.Open(r)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := readAll(b); err != nil || !bytes.Equal(got, p) {
			t.Errorf("%d: reads as %d bytes, %v", n, len(got), err)
		}
		if err := errors.Join(b.Close(), b.Close()); err != nil {
			t.Error(err)
		}
		if _, err := b.ReadAt(make([]byte, 1), 0); !errors.Is(err, os.ErrClosed) {
			t.Errorf("%d: read after Close: %v", n, err)
		}
	}
	left, err := os.ReadDir(filepath.Join(s.dir, drafts))
	if len(left) != 0 || err != nil {
		t.Errorf("drafts left: %v, %v", left, err)
	}
}

func TestReadAnywhere(t *testing.T) {
	s := testStore(t)
	for _, n := range []int{1000, 3*payload + 5, 4 * payload} {
		p := content(n)
		b, err := s.Open(commit(t, s, p))
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(uint64(n), uint64(g)))
				for range 300 {
					off, l := r.IntN(n+10), r.IntN(2*payload)
					got := make([]byte, l)
					m, err := b.ReadAt(got, int64(off))
					want := p[min(off, n):min(off+l, n)]
					if !bytes.Equal(got[:m], want) || (err == io.EOF) != (m < l) || err != nil && err != io.EOF {
						t.Errorf("%d bytes at %d of %d: %d, %v", l, off, n, m, err)
						return
					}
				}
			})
		}
		wg.Wait()
		if _, err := b.ReadAt(make([]byte, 1), -1); err == nil || err == io.EOF {
			t.Errorf("before the beginning: %v", err)
		}
	}
}

// damage tells what an altered body gives: nothing, or an error; never other bytes, never a short body without an error.
func damage(t *testing.T, s *Store, r Ref, p []byte) {
	t.Helper()
	b, err := s.Open(r)
	if err == nil {
		defer b.Close()
		var got []byte
		got, err = readAll(b)
		if !bytes.HasPrefix(p, got) {
			t.Error("other bytes came out")
		}
	}
	if !errors.Is(err, ErrDamaged) && !errors.Is(err, vault.ErrSealed) {
		t.Errorf("error %v", err)
	}
}

func TestTampering(t *testing.T) {
	s := testStore(t)
	p := content(2*payload + 100)
	r := commit(t, s, p)
	path := filepath.Join(s.dir, r.Key)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const pkg = payload + sealing
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	altered := map[string][]byte{
		"empty": {}, "cut by one": good[:len(good)-1], "cut at a package": good[:2*pkg], "one more": join(good, []byte{0}),
		"packages exchanged": join(good[pkg:2*pkg], good[:pkg], good[2*pkg:]), "package twice": join(good[:pkg], good[:pkg], good[2*pkg:]),
		"without the first": good[pkg:], "doubled": join(good, good), "zeroed": make([]byte, len(good)),
	}
	for _, at := range []int{0, 1, 2, 3, 4, 5, 15, 16, 100, pkg - 1, pkg, pkg + 4, pkg + 16, 2 * pkg, 2*pkg + 4, len(good) - 1} {
		bad := bytes.Clone(good)
		bad[at] ^= 0x01
		altered[fmt.Sprintf("bit in byte %d", at)] = bad
		bad = bytes.Clone(good)
		bad[at] ^= 0x80
		altered[fmt.Sprintf("high bit in byte %d", at)] = bad
	}
	for name, bad := range altered {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			damage(t, s, r, p)
		})
	}

	// Who can write to rows too cannot make a shorter body of it: the last package is marked.
	short := r
	short.Size = 2 * payload
	if err := os.WriteFile(path, good[:2*pkg], 0o600); err != nil {
		t.Fatal(err)
	}
	damage(t, s, short, p)
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	other := commit(t, s, content(2*payload+100))
	for name, alter := range map[string]func(*Ref){
		"id": func(r *Ref) { r.ID = other.ID }, "key": func(r *Ref) { r.Key = other.Key }, "data key": func(r *Ref) { r.WrappedDEK = other.WrappedDEK },
		"size": func(r *Ref) { r.Size-- }, "negative size": func(r *Ref) { r.Size = -1 }, "huge size": func(r *Ref) { r.Size = 1 << 62 },
		"key elsewhere": func(r *Ref) { r.Key = "../" + r.Key }, "missing": func(r *Ref) { r.Key += "x" },
	} {
		t.Run("row: "+name, func(t *testing.T) { bad := r; alter(&bad); damage(t, s, bad, p) })
	}
	small := commit(t, s, p[:1000])
	for _, at := range []int{0, 4, 16, 500, len(small.Inline) - 1} {
		bad := small
		bad.Inline = bytes.Clone(small.Inline)
		bad.Inline[at] ^= 1
		damage(t, s, bad, p)
	}
	for _, n := range []int{0, 31, 32, 33, len(small.Inline) - 1} {
		bad := small
		bad.Inline = small.Inline[:n]
		damage(t, s, bad, p)
	}
	b, err := s.Open(r) // and the good one is good
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if got, err := readAll(b); err != nil || !bytes.Equal(got, p) {
		t.Errorf("unaltered: %d bytes, %v", len(got), err)
	}
}

// Whatever lies on the disk: the body as written, or an error.
func FuzzStoredBytes(f *testing.F) {
	s := testStore(f)
	p := content(2000)
	r := commit(f, s, p)
	f.Add(r.Inline)
	f.Add(r.Inline[:100])
	f.Add(append(bytes.Clone(r.Inline), 0))
	f.Fuzz(func(t *testing.T, stored []byte) {
		bad := r
		bad.Inline = stored
		b, err := s.Open(bad)
		if err != nil {
			return
		}
		if got, err := readAll(b); err == nil && !bytes.Equal(got, p) {
			t.Fatalf("%d other bytes", len(got))
		}
	})
}

func TestDiscard(t *testing.T) {
	s := testStore(t)
	d := write(t, s, content(100_000))
	d.Discard()
	d.Discard()
	if _, err := d.Write([]byte{1}); err == nil {
		t.Error("written to after Discard")
	}
	if _, err := d.Commit(); err == nil {
		t.Error("committed after Discard")
	}
	if _, err := d.Body(); err == nil {
		t.Error("read after Discard")
	}
	if left, _ := os.ReadDir(filepath.Join(s.dir, drafts)); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestStaleDraftsGo(t *testing.T) {
	s := testStore(t)
	r := commit(t, s, content(100_000))
	write(t, s, content(100_000)) // and the process ends here
	again, err := New(Options{Dir: s.dir, Box: s.box})
	if err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(filepath.Join(s.dir, drafts)); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	b, err := again.Open(r)
	if err != nil {
		t.Fatal(err)
	}
	b.Close()
	if err := errors.Join(again.Remove(r), again.Remove(r)); err != nil {
		t.Error(err)
	}
	if _, err := again.Open(r); !errors.Is(err, ErrDamaged) {
		t.Errorf("removed, and opens: %v", err)
	}
	if err := again.Remove(Ref{ID: "x", Key: "../../etc/passwd"}); !errors.Is(err, ErrDamaged) {
		t.Errorf("removes elsewhere: %v", err)
	}
}

// A name that is taken is never replaced.
func TestNoReplace(t *testing.T) {
	s := testStore(t)
	d := write(t, s, content(100_000))
	key, err := s.place(d.ID(), d.made)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(s.dir, key)
	if err := os.WriteFile(path, []byte("there"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Commit(); !errors.Is(err, fs.ErrExist) {
		t.Errorf("commit over another body: %v", err)
	}
	if got, _ := os.ReadFile(path); string(got) != "there" {
		t.Error("replaced")
	}
}

func TestPlacesAndModes(t *testing.T) {
	now := time.Date(2026, 11, 21, 23, 59, 59, 0, time.FixedZone("", 3600))
	s, err := New(Options{Dir: t.TempDir(), Box: testBox(t), Clock: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	write(t, s, content(100_000))
	first := commit(t, s, content(100_000))
	now = now.Add(time.Hour)
	second := commit(t, s, content(100_000))
	if filepath.Dir(first.Key) != "b/2026/11/21/22" || filepath.Dir(second.Key) != "b/2026/11/21/23" {
		t.Errorf("keys %s and %s", first.Key, second.Key)
	}
	err = filepath.WalkDir(s.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == s.dir {
			return err
		}
		info, err := e.Info()
		want := fs.FileMode(0o600)
		if e.IsDir() {
			want = 0o700
		}
		if err == nil && info.Mode().Perm() != want {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// A draft of yesterday is not committed: sweepers rely on it.
func TestOldDraft(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	s, err := New(Options{Dir: t.TempDir(), Box: testBox(t), Clock: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{100, 100_000} {
		ok, old := write(t, s, content(n)), write(t, s, content(n))
		now = now.Add(11 * time.Hour)
		if _, err := ok.Commit(); err != nil {
			t.Errorf("%d bytes, 11 hours old: %v", n, err)
		}
		now = now.Add(2 * time.Hour)
		if r, err := old.Commit(); err == nil || r.ID != "" {
			t.Errorf("%d bytes, 13 hours old: committed", n)
		}
		old.Discard()
	}
}

// A full or broken disk is an error that says so, and stays one.
func TestWriteErrorStays(t *testing.T) {
	s := testStore(t)
	d := write(t, s, content(100_000))
	d.file.Close()
	_, err := d.Write(content(1 << 20))
	if !errors.Is(err, os.ErrClosed) {
		t.Fatalf("error %v", err)
	}
	for _, again := range []func() error{
		func() error { _, err := d.Write([]byte{1}); return err },
		func() error { _, err := d.Body(); return err },
		func() error { _, err := d.Commit(); return err },
	} {
		if err := again(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("then: %v", err)
		}
	}
}

func TestConcurrentDrafts(t *testing.T) {
	s := testStore(t)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 5 {
				p := content(10_000*g + 20_000*i)
				d, err := s.Create()
				if err != nil {
					t.Error(err)
					return
				}
				defer d.Discard()
				d.Write(p)
				r, err := d.Commit()
				if err != nil {
					t.Error(err)
					return
				}
				b, err := s.Open(r)
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := readAll(b); err != nil || !bytes.Equal(got, p) {
					t.Errorf("%d bytes, %v", len(got), err)
				}
				b.Close()
			}
		})
	}
	wg.Wait()
}

func BenchmarkWrite(b *testing.B) {
	s := testStore(b)
	p := content(1 << 20)
	b.SetBytes(256 << 20)
	for b.Loop() {
		d, _ := s.Create()
		for range 256 {
			if _, err := d.Write(p); err != nil {
				b.Fatal(err)
			}
		}
		r, err := d.Commit()
		if err != nil {
			b.Fatal(err)
		}
		s.Remove(r)
	}
}

func BenchmarkRead(b *testing.B) {
	s := testStore(b)
	body, err := s.Open(commit(b, s, content(256<<20)))
	if err != nil {
		b.Fatal(err)
	}
	defer body.Close()
	for _, chunk := range []int{4 << 10, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("by%dKiB", chunk>>10), func(b *testing.B) {
			buf := make([]byte, chunk)
			b.SetBytes(body.Size())
			b.ReportAllocs()
			for b.Loop() {
				if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{io.NewSectionReader(body, 0, body.Size())}, buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
