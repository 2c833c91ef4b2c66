package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"carepost/addr"
	"carepost/internal/audit"
	"carepost/internal/blob"
	"carepost/internal/store"
	"carepost/internal/store/storetest"
	"carepost/internal/transit"
	"carepost/internal/vault"
)

// house is an installation.
type house struct {
	*store.Store
	blobs *blob.Store
	dir   string
}

func open(t testing.TB, dir string) *house {
	t.Helper()
	kek, err := vault.OpenKEK(filepath.Join(dir, "keys", "kek"))
	must(t, err)
	s, err := store.Open(t.Context(), store.Options{Dir: filepath.Join(dir, "data"), KEK: kek})
	must(t, err)
	t.Cleanup(func() { s.Close() })
	b, err := blob.New(blob.Options{Dir: filepath.Join(dir, "data"), Box: s.Box()})
	must(t, err)
	return &house{s, b, dir}
}

// newHouse has mails of all sizes: text → digest.
func newHouse(t testing.TB) (*house, map[string][32]byte) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "north")
	h := open(t, dir)
	for name, text := range map[string]string{
		"carepost.toml": "domain = \"north.example\"\n", "dns/north.example.zone": "$ORIGIN north.example.\n", "partners/south.example.toml": "card\n",
		"keys/other.key": "a private key\n", "notes.txt": "not ours",
	} {
		must(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700))
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	mails := make(map[string][32]byte)
	for i, size := range []int{0, 1, 5000, blob.InlineSize, blob.InlineSize + 1, 65_536, 300_000} {
		id, sum := h.mail(t, size+i)
		mails[id] = sum
	}
	return h, mails
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// mail puts one mail into the mailbox and returns the id of its body.
func (h *house) mail(t testing.TB, size int) (string, [32]byte) {
	t.Helper()
	id, sum, err := h.put(t.Context(), size)
	must(t, err)
	return id, sum
}

func (h *house) put(ctx context.Context, size int) (id string, sum [32]byte, err error) {
	d, err := h.blobs.Create()
	if err != nil {
		return "", sum, err
	}
	defer d.Discard()
	digest := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(d, digest), endless(fmt.Sprint(size, " canary ")), int64(size)); err != nil {
		return "", sum, err
	}
	ref, err := d.Commit()
	if err != nil {
		return "", sum, err
	}
	lab := addr.Address{Endpoint: "lab", Domain: "north.example"}
	err = h.Tx(ctx, func(tx *store.Tx) error {
		if err := tx.InsertDomain(lab.Domain); err != nil && !errors.Is(err, store.ErrDuplicate) {
			return err
		}
		a, err := tx.InsertAccount(lab)
		if errors.Is(err, store.ErrDuplicate) {
			a, err = tx.Account(lab)
		}
		if err != nil {
			return err
		}
		m := store.Message{Direction: transit.Inbound, Kind: transit.Mail, Raw: ref.ID, Size: ref.Size}
		box, err := tx.EnsureMailbox(a.ID, "INBOX")
		if err := errors.Join(err, tx.InsertBlob(store.Blob(ref)), tx.InsertMessage(&m)); err != nil {
			return err
		}
		if _, err := tx.AppendMail(&store.Mail{Mailbox: box.ID, Message: m.ID, Blob: ref.ID, Subject: "canary"}); err != nil {
			return err
		}
		return audit.Write(tx, audit.Entry{Actor: "test", Action: "mail.put", Object: "message:" + m.ID})
	})
	return ref.ID, [32]byte(digest.Sum(nil)), err
}

// endless repeats a text.
type endless string

func (e endless) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		n += copy(p[n:], e)
	}
	return n, nil
}

// reads checks that every mail reads as it was written.
func (h *house) reads(t testing.TB, mails map[string][32]byte) {
	t.Helper()
	for id, want := range mails {
		var row store.Blob
		must(t, h.View(t.Context(), func(tx *store.Tx) (err error) { row, err = tx.Blob(id); return err }))
		b, err := h.blobs.Open(blob.Ref(row))
		must(t, err)
		sum := sha256.New()
		if _, err := io.Copy(sum, io.NewSectionReader(b, 0, b.Size())); err != nil || [32]byte(sum.Sum(nil)) != want {
			t.Errorf("mail %s reads otherwise: %v", id, err)
		}
		b.Close()
	}
}

func (h *house) options() Options { return Options{Store: h.Store, Blobs: h.blobs, Dir: h.dir} }

func (h *house) kek(t testing.TB) vault.Keeper {
	t.Helper()
	k, err := vault.LoadKEK(filepath.Join(h.dir, "keys", "kek"))
	must(t, err)
	return k
}

// backup makes one, of which the files are its own: the tests damage them.
func (h *house) backup(t testing.TB) (string, Manifest) {
	t.Helper()
	dest := filepath.Join(t.TempDir(), "backup")
	m, err := Create(t.Context(), h.options(), dest)
	must(t, err)
	must(t, filepath.WalkDir(dest, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(name)
		return errors.Join(err, os.Remove(name), os.WriteFile(name, text, 0o600))
	}))
	return dest, m
}

func TestCreateVerifyRestore(t *testing.T) {
	h, mails := newHouse(t)
	dest := filepath.Join(t.TempDir(), "backup")
	var last int64
	o := h.options()
	o.Progress = func(done, total int64) {
		if done < last || done > total {
			t.Errorf("progress %d after %d of %d", done, last, total)
		}
		last = done
	}
	m, err := Create(t.Context(), o, dest)
	must(t, err)
	if m.Bodies != 4 || m.Files != 8 || m.Lost != 0 || last == 0 {
		t.Errorf("%+v, progress %d", m, last)
	}
	for _, kek := range []vault.Keeper{nil, h.kek(t)} {
		r, err := Verify(t.Context(), dest, kek)
		if err != nil || r.Files != m.Files || r.Opened != (kek != nil) || len(r.Problems) != 0 || kek != nil && r.Bodies != len(mails) {
			t.Errorf("%+v, %v", r, err)
		}
	}
	out, err := exec.Command("sh", "-c", `cd "$0" && sha256sum --strict --quiet -c SHA256SUMS`, dest).CombinedOutput()
	if err != nil {
		t.Errorf("sha256sum: %v\n%s", err, out)
	}

	into := filepath.Join(t.TempDir(), "again")
	r, err := Restore(t.Context(), dest, into, filepath.Join(h.dir, "keys", "kek"))
	if err != nil || !r.Restored || r.Bodies != len(mails) || r.Files != m.Files {
		t.Fatalf("%+v, %v", r, err)
	}
	again := open(t, into)
	again.reads(t, mails)
	late, sum := again.mail(t, 100_000) // and it works
	again.reads(t, map[string][32]byte{late: sum})
	for _, name := range []string{"carepost.toml", "dns/north.example.zone", "partners/south.example.toml"} {
		want, err := os.ReadFile(filepath.Join(h.dir, name))
		must(t, err)
		if got, err := os.ReadFile(filepath.Join(into, name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	var acts []string
	must(t, again.View(t.Context(), func(tx *store.Tx) error {
		list, err := audit.List(tx, audit.Filter{Object: "backup:" + m.ID})
		for _, r := range list {
			acts = append(acts, r.Action)
		}
		return err
	}))
	if !slices.Equal(acts, []string{"backup.create", "backup.restore"}) {
		t.Errorf("audit: %v", acts)
	}
	for _, dir := range []string{dest, into} {
		must(t, filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
			if info, bad := e.Info(); bad != nil || info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s may be read by others", name)
			}
			return err
		}))
	}
}

// No key is in a backup, under whatever name; nor is anything in clear.
func TestNoKeys(t *testing.T) {
	h, _ := newHouse(t)
	must(t, os.Symlink(filepath.Join(h.dir, "keys", "kek"), filepath.Join(h.dir, "dns", "link")))
	must(t, os.Symlink(filepath.Join(h.dir, "keys"), filepath.Join(h.dir, "partners", "link")))
	dest, _ := h.backup(t)
	var names []string
	kek, err := os.ReadFile(filepath.Join(h.dir, "keys", "kek"))
	must(t, err)
	_, secret, _ := bytes.Cut(bytes.TrimSpace(kek), []byte("//"))
	must(t, filepath.WalkDir(dest, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(name)
		for _, word := range [][]byte{secret, []byte("canary"), []byte("private key")} {
			if bytes.Contains(text, word) {
				t.Errorf("%s holds %q", name, word)
			}
		}
		if rel, _ := filepath.Rel(dest, name); !strings.HasPrefix(rel, "data/b/") {
			names = append(names, rel)
		}
		return err
	}))
	want := []string{"SHA256SUMS", "carepost.toml", "data/carepost.db", "dns/north.example.zone", "manifest.json", "partners/south.example.toml"}
	if !slices.Equal(names, want) {
		t.Errorf("it holds %q", names)
	}
}

// Every kind of damage is found, in every file; a Restore of it never says that all is well.
func TestDamage(t *testing.T) {
	h, _ := newHouse(t)
	whole, _ := h.backup(t)
	var files []string
	must(t, filepath.WalkDir(whole, func(name string, e fs.DirEntry, err error) error {
		if !e.IsDir() {
			rel, _ := filepath.Rel(whole, name)
			files = append(files, rel)
		}
		return err
	}))
	flip := func(name string) error {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		text[len(text)/2] ^= 4
		return os.WriteFile(name, text, 0o600)
	}
	kinds := map[string]func(name string) error{
		"flip":    flip,
		"missing": os.Remove,
		"truncated": func(name string) error {
			info, err := os.Stat(name)
			if err != nil {
				return err
			}
			return os.Truncate(name, info.Size()-1)
		},
		"emptied": func(name string) error { return os.Truncate(name, 0) },
		"longer": func(name string) error {
			f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteString("\n")
			return errors.Join(err, f.Close())
		},
		"link": func(name string) error {
			return errors.Join(os.Rename(name, whole+".elsewhere"), os.Symlink(whole+".elsewhere", name))
		},
		"fifo":      func(name string) error { return errors.Join(os.Remove(name), syscall.Mkfifo(name, 0o600)) },
		"directory": func(name string) error { return errors.Join(os.Remove(name), os.Mkdir(name, 0o700)) },
		"extra":     func(name string) error { return os.WriteFile(name+".extra", []byte("x"), 0o600) },
		"extra dir": func(name string) error { return os.MkdirAll(name+".d/more/file", 0o700) },
	}
	if os.Getenv("CAREPOST_FULL") == "" { // one of each sort
		sorts := make(map[string]bool)
		files = slices.DeleteFunc(files, func(name string) bool {
			sort := name
			if strings.HasPrefix(name, "data/b/") {
				sort = "a body"
			} else if strings.Contains(name, "north") || strings.Contains(name, "south") {
				sort = "beside"
			}
			defer func() { sorts[sort] = true }()
			return sorts[sort]
		})
	}
	for _, file := range files {
		for kind, damage := range kinds {
			src := filepath.Join(t.TempDir(), "b")
			must(t, os.CopyFS(src, os.DirFS(whole)))
			if err := damage(filepath.Join(src, file)); err != nil {
				t.Fatal(err)
			}
			harmless := kind == "extra dir" // nothing but names
			for _, kek := range []vault.Keeper{nil, h.kek(t)} {
				r, err := Verify(t.Context(), src, kek)
				if harmless && err != nil || !harmless && (!errors.Is(err, ErrDamaged) || len(r.Problems) == 0) {
					t.Errorf("%s of %s: %+v, %v", kind, file, r.Problems, err)
				}
			}
			into := filepath.Join(t.TempDir(), "into")
			r, err := Restore(t.Context(), src, into, filepath.Join(h.dir, "keys", "kek"))
			if calm := harmless || kind == "extra"; calm && err != nil || !calm && !errors.Is(err, ErrDamaged) {
				t.Errorf("restored %s of %s: %+v, %v", kind, file, r, err)
			}
			if _, gone := os.Stat(into); r.Restored != (gone == nil) {
				t.Errorf("restored %s of %s: %v, yet %v", kind, file, r.Restored, gone)
			}
			os.RemoveAll(src)
			os.RemoveAll(into)
			os.Remove(whole + ".elsewhere")
		}
	}
}

// A backup whose bodies are damaged is restored as far as it goes; the rest reads.
func TestRestoreDamagedBody(t *testing.T) {
	h, mails := newHouse(t)
	src, _ := h.backup(t)
	var row store.Blob
	must(t, h.View(t.Context(), func(tx *store.Tx) error {
		rows, err := tx.LiveBlobs("", 100)
		for _, b := range rows {
			if b.Key != "" {
				row = b
			}
		}
		return err
	}))
	must(t, os.Truncate(filepath.Join(src, "data", row.Key), 100))
	into := t.TempDir()
	must(t, os.Mkdir(filepath.Join(into, "lost+found"), 0o700)) // a file system of its own
	r, err := Restore(t.Context(), src, into, filepath.Join(h.dir, "keys", "kek"))
	if !errors.Is(err, ErrDamaged) || !r.Restored || len(r.Problems) != 1 || r.Bodies != len(mails)-1 {
		t.Fatalf("%+v, %v", r, err)
	}
	delete(mails, row.ID)
	open(t, into).reads(t, mails)
}

// What an installation has lost does not keep the rest out of a backup, and is told each time.
func TestLostBefore(t *testing.T) {
	h, mails := newHouse(t)
	var lost string
	must(t, h.View(t.Context(), func(tx *store.Tx) error {
		rows, err := tx.LiveBlobs("", 100)
		for _, b := range rows {
			if b.Key != "" {
				lost = b.ID
				must(t, os.Remove(filepath.Join(h.dir, "data", b.Key)))
				break
			}
		}
		return err
	}))
	dest := filepath.Join(t.TempDir(), "backup")
	m, err := Create(t.Context(), h.options(), dest)
	if !errors.Is(err, ErrIncomplete) || m.Lost != 1 || !slices.Equal(m.LostIDs, []string{lost}) {
		t.Fatalf("%+v, %v", m, err)
	}
	for _, kek := range []vault.Keeper{nil, h.kek(t)} {
		if r, err := Verify(t.Context(), dest, kek); !errors.Is(err, ErrIncomplete) || errors.Is(err, ErrDamaged) || len(r.Problems) != 1 || r.Problems[0].Body != lost {
			t.Errorf("%+v, %v", r, err)
		}
	}
	into := filepath.Join(t.TempDir(), "into")
	if r, err := Restore(t.Context(), dest, into, filepath.Join(h.dir, "keys", "kek")); !errors.Is(err, ErrIncomplete) || !r.Restored {
		t.Errorf("%+v, %v", r, err)
	}
	delete(mails, lost)
	open(t, into).reads(t, mails)
}

// A bit that flipped in the installation goes into the backup, and is found with the key.
func TestRottenBefore(t *testing.T) {
	h, _ := newHouse(t)
	must(t, h.View(t.Context(), func(tx *store.Tx) error {
		rows, err := tx.LiveBlobs("", 100)
		name := filepath.Join(h.dir, "data", rows[len(rows)-1].Key)
		text, bad := os.ReadFile(name)
		must(t, bad)
		text[1000] ^= 1
		must(t, os.WriteFile(name, text, 0o600))
		return err
	}))
	dest, _ := h.backup(t)
	if r, err := Verify(t.Context(), dest, nil); err != nil {
		t.Errorf("%+v, %v", r, err)
	}
	r, err := Verify(t.Context(), dest, h.kek(t))
	if !errors.Is(err, ErrDamaged) || len(r.Problems) != 1 || r.Problems[0].What != Unsound || r.Problems[0].Body == "" {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestWrongKey(t *testing.T) {
	h, _ := newHouse(t)
	dest, _ := h.backup(t)
	wrong := filepath.Join(t.TempDir(), "kek")
	k, err := vault.OpenKEK(wrong)
	must(t, err)
	if r, err := Verify(t.Context(), dest, k); !errors.Is(err, ErrKEK) {
		t.Errorf("%+v, %v", r, err)
	}
	into := filepath.Join(t.TempDir(), "into")
	if r, err := Restore(t.Context(), dest, into, wrong); !errors.Is(err, ErrKEK) || r.Restored {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := os.Stat(into); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something is left: %v", err)
	}
	if _, err := Restore(t.Context(), dest, into, filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no key: %v", err)
	}
}

// Whoever has no key cannot make a backup that passes for one, not even with all checksums right.
func TestForged(t *testing.T) {
	h, _ := newHouse(t)
	dest, m := h.backup(t)
	m.Bodies++
	m.Checksum = m.checksum()
	must(t, os.WriteFile(filepath.Join(dest, manifestFile), m.encode(), 0o600))
	if r, err := Verify(t.Context(), dest, nil); err != nil {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := Verify(t.Context(), dest, h.kek(t)); !errors.Is(err, ErrDamaged) {
		t.Errorf("%+v, %v", r, err)
	}
	m.Seal = []byte("mine")
	must(t, os.WriteFile(filepath.Join(dest, manifestFile), m.encode(), 0o600))
	if r, err := Verify(t.Context(), dest, h.kek(t)); !errors.Is(err, ErrDamaged) {
		t.Errorf("%+v, %v", r, err)
	}
	into := filepath.Join(t.TempDir(), "into")
	if r, err := Restore(t.Context(), dest, into, filepath.Join(h.dir, "keys", "kek")); !errors.Is(err, ErrDamaged) {
		t.Errorf("%+v, %v", r, err)
	}
}

// Lists that lead elsewhere, repeat or are out of order are refused.
func TestHostileList(t *testing.T) {
	h, _ := newHouse(t)
	zero := strings.Repeat("0", 64)
	dest, good := h.backup(t)
	for _, text := range []string{
		zero + "  ../outside\n", zero + "  /etc/passwd\n", zero + "  keys/kek\n", zero + "  keys\n", zero + "  a//b\n", zero + "  a/./b\n",
		zero + "  \n", zero + "  .\n", zero + "  manifest.json\n", zero[1:] + "  a\n", "z" + zero[1:] + "  a\n", zero + " a\n", zero + "  a\n" + zero + "  a\n",
		zero + "  b\n" + zero + "  a\n", zero + "  a\\b\n", "\n", zero + "  " + strings.Repeat("x", 2000) + "\n", strings.Repeat("x", 1<<20),
	} {
		m := good
		must(t, os.WriteFile(filepath.Join(dest, listFile), []byte(text), 0o600))
		m.List = fmt.Sprintf("%x", sha256.Sum256([]byte(text)))
		m.finish(h.Box())
		must(t, os.WriteFile(filepath.Join(dest, manifestFile), m.encode(), 0o600))
		if r, err := Verify(t.Context(), dest, h.kek(t)); err == nil {
			t.Errorf("%.100q: %+v", text, r)
		}
		into := filepath.Join(t.TempDir(), "into")
		if r, err := Restore(t.Context(), dest, into, filepath.Join(h.dir, "keys", "kek")); err == nil || r.Restored {
			t.Errorf("%.100q: %+v", text, r)
		}
	}
	for _, text := range []string{"", "{}", "[]", "null", `{"format":2}`, `{"format":1}`, strings.Repeat(" ", 2<<20) + "{}"} {
		must(t, os.WriteFile(filepath.Join(dest, manifestFile), []byte(text), 0o600))
		if _, err := Verify(t.Context(), dest, nil); err == nil {
			t.Errorf("%.100q is taken", text)
		}
	}
}

// Backups while mail comes in: each is whole, and holds all that was promised before it began.
func TestWhileWriting(t *testing.T) {
	h, mails := newHouse(t)
	ctx, stop := context.WithCancel(t.Context())
	var mu sync.Mutex
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				id, sum, err := h.put(ctx, 1000+(w*7+i)*9973%200_000)
				if ctx.Err() != nil {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				mails[id] = sum
				if i%3 == 2 { // and some die meanwhile
					if err := h.Tx(ctx, func(tx *store.Tx) error { return tx.KillBlob(id) }); err != nil && ctx.Err() == nil {
						t.Error(err)
					}
					delete(mails, id)
				}
				mu.Unlock()
			}
		})
	}
	for range 3 {
		mu.Lock()
		before := make(map[string][32]byte)
		for id, sum := range mails {
			before[id] = sum
		}
		mu.Unlock()
		dest := filepath.Join(t.TempDir(), "backup")
		m, err := Create(t.Context(), h.options(), dest)
		must(t, err)
		if m.Lost != 0 {
			t.Errorf("%d bodies are missing", m.Lost)
		}
		into := filepath.Join(t.TempDir(), "into")
		if r, err := Restore(t.Context(), dest, into, filepath.Join(h.dir, "keys", "kek")); err != nil || r.Bodies < len(before) {
			t.Errorf("%d bodies of %d: %v", r.Bodies, len(before), err)
		}
		open(t, into).reads(t, before)
	}
	stop()
	wg.Wait()
	t.Logf("%d mails in the end", len(mails))
}

// A backup appears whole or not at all, and never in the way of something.
func TestPlaces(t *testing.T) {
	h, _ := newHouse(t)
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	must(t, os.Symlink(h.dir, filepath.Join(dir, "link")))
	for name, want := range map[string]error{
		dir: ErrExists, filepath.Join(dir, "file"): ErrExists, filepath.Join(dir, "none", "b"): ErrPlace, filepath.Join(dir, "file", "b"): syscall.ENOTDIR,
		filepath.Join(h.dir, "data", "b", "x"): ErrPlace, filepath.Join(h.dir, "keys", "x"): ErrPlace, filepath.Join(dir, "link", "dns", "x"): ErrPlace,
		filepath.Join(h.dir, "partners", "x"): ErrPlace,
	} {
		if _, err := Create(t.Context(), h.options(), name); !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	o := h.options()
	o.Progress = func(int64, int64) { stop() }
	if _, err := Create(ctx, o, filepath.Join(dir, "b")); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
		t.Errorf("left: %v, %v", left, err)
	}
	// A killed one leaves its passing name; the next takes it over. One that runs does not let another in.
	partial := filepath.Join(dir, ".b.partial")
	must(t, os.MkdirAll(filepath.Join(partial, "data", "b"), 0o700))
	unlock, err := occupy(partial)
	must(t, err)
	if _, err := Create(t.Context(), h.options(), filepath.Join(dir, "b")); !errors.Is(err, ErrExists) {
		t.Errorf("two at once: %v", err)
	}
	unlock()
	if _, err := Create(t.Context(), h.options(), filepath.Join(dir, "b")); err != nil {
		t.Error(err)
	}
	kek := filepath.Join(h.dir, "keys", "kek")
	for name, want := range map[string]error{
		h.dir: ErrExists, filepath.Join(dir, "file"): ErrExists, filepath.Join(dir, "none", "b"): ErrPlace, filepath.Join(dir, "b", "x"): ErrPlace,
	} {
		if r, err := Restore(t.Context(), filepath.Join(dir, "b"), name, kek); !errors.Is(err, want) || r.Restored {
			t.Errorf("restored into %s: %v", name, err)
		}
	}
	if _, err := Verify(t.Context(), filepath.Join(dir, "none"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("verified nothing: %v", err)
	}
}

// Configuration that is kept elsewhere and linked to is in the backup as well; what is no file is not.
func TestLinkedConfig(t *testing.T) {
	h, _ := newHouse(t)
	elsewhere := t.TempDir()
	for _, name := range []string{"carepost.toml", "partners"} {
		must(t, os.Rename(filepath.Join(h.dir, name), filepath.Join(elsewhere, name)))
		must(t, os.Symlink(filepath.Join(elsewhere, name), filepath.Join(h.dir, name)))
	}
	must(t, os.Symlink("nowhere", filepath.Join(h.dir, "dns", "broken.zone")))
	must(t, syscall.Mkfifo(filepath.Join(h.dir, "dns", "fifo"), 0o600))
	dest, _ := h.backup(t)
	for name, want := range map[string]string{
		"carepost.toml": "domain = \"north.example\"\n", "partners/south.example.toml": "card\n",
	} {
		if text, err := os.ReadFile(filepath.Join(dest, name)); err != nil || string(text) != want {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	if r, err := Verify(t.Context(), dest, nil); err != nil {
		t.Errorf("%+v, %v", r, err)
	}
}

// Nor does a backup follow such a link to the keys.
func TestLinkedKeys(t *testing.T) {
	h, _ := newHouse(t)
	must(t, os.RemoveAll(filepath.Join(h.dir, "partners")))
	must(t, os.Symlink("keys", filepath.Join(h.dir, "partners")))
	dir := t.TempDir()
	if _, err := Create(t.Context(), h.options(), filepath.Join(dir, "b")); !errors.Is(err, ErrPlace) {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// A database whose rows do not fit one another is told, though its bytes are those that were copied.
func TestUnsoundBefore(t *testing.T) {
	h, _ := newHouse(t)
	must(t, h.Close())
	db, err := sql.Open("sqlite", filepath.Join(h.dir, "data", "carepost.db"))
	must(t, err)
	_, err = db.Exec("DELETE FROM message")
	must(t, errors.Join(err, db.Close()))
	h = open(t, h.dir)
	dest, _ := h.backup(t)
	if _, err := Verify(t.Context(), dest, nil); err != nil {
		t.Error(err)
	}
	want := []Problem{{Path: database, What: Unsound}}
	if r, err := Verify(t.Context(), dest, h.kek(t)); !errors.Is(err, ErrDamaged) || !slices.Equal(r.Problems, want) {
		t.Errorf("%+v, %v", r, err)
	}
	r, err := Restore(t.Context(), dest, filepath.Join(t.TempDir(), "into"), filepath.Join(h.dir, "keys", "kek"))
	if !errors.Is(err, ErrDamaged) || !slices.Equal(r.Problems, want) || !r.Restored {
		t.Errorf("restored: %+v, %v", r, err)
	}
}

// On another disk bodies are copies.
func TestOtherDisk(t *testing.T) {
	h, mails := newHouse(t)
	dir, err := os.MkdirTemp("/dev/shm", "carepost-backup-")
	if err != nil {
		t.Fatalf("a second disk is needed: %v", err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	dest := filepath.Join(dir, "b")
	_, err = Create(t.Context(), h.options(), dest)
	must(t, err)
	if r, err := Verify(t.Context(), dest, h.kek(t)); err != nil || r.Bodies != len(mails) {
		t.Errorf("%+v, %v", r, err)
	}
}

// The operator's own PostgreSQL is the operator's to copy.
func TestPostgres(t *testing.T) {
	s, err := store.Open(t.Context(), store.Options{DSN: storetest.Postgres(t), KEK: storetest.Keeper(t)})
	must(t, err)
	defer s.Close()
	b, err := blob.New(blob.Options{Dir: t.TempDir(), Box: s.Box()})
	must(t, err)
	dir := t.TempDir()
	_, err = Create(t.Context(), Options{Store: s, Blobs: b, Dir: t.TempDir(), KEK: storetest.Keeper(t)}, filepath.Join(dir, "b"))
	if !errors.Is(err, store.ErrUnsupported) {
		t.Error(err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
