package blob_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	mrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/audit"
	"carepost/internal/blob"
	"carepost/internal/store"
	"carepost/internal/store/storetest"
	"carepost/internal/transit"
	"carepost/internal/vault"
)

// canary stands in every value that must not be read on the disk.
const canary = "udgie" // with either case before it

// house is a store with its bodies.
type house struct {
	*store.Store
	blobs *blob.Store
}

func openHouse(ctx context.Context, o store.Options, dir string) (*house, error) {
	s, err := store.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	b, err := blob.New(blob.Options{Dir: dir, Box: s.Box()})
	return &house{s, b}, err
}

// fill uses every sealed column there is, in one transaction, and calls inside before its end.
func (h *house) fill(ctx context.Context, size int, inside func() error) (message string, err error) {
	d, err := h.blobs.Create()
	if err != nil {
		return "", err
	}
	defer d.Discard()
	for d.Size() < int64(size) {
		if _, err := io.WriteString(d, "budgie-body of the letter, budgie-body again\r\n"); err != nil {
			return "", err
		}
	}
	if _, err := d.Body(); err != nil { // a draft that is read, as verifying does
		return "", err
	}
	ref, err := d.Commit()
	if err != nil {
		return "", err
	}
	lee := addr.Address{Endpoint: "budgie.lee", Domain: "h.example"}
	nonce := rand.Text()
	err = h.Tx(ctx, func(tx *store.Tx) error {
		m := store.Message{Direction: transit.Outbound, Kind: transit.Mail, Raw: ref.ID, Size: ref.Size,
			Envelope: transit.Envelope{From: addr.Path{Address: lee}, ID: "budgie-envid", Helo: "budgie-helo"},
			Header:   store.Header{MessageID: "<budgie-id@h.example>", Subject: "Budgie-Subject", Sender: "Budgie Sender <budgie.lee@h.example>"}}
		errs := []error{tx.InsertBlob(store.Blob(ref)), tx.InsertMessage(&m)}
		r := store.Recipient{Message: m.ID, Address: lee}
		w, dead := store.Work{Kind: "k", Ref: m.ID, After: time.Hour}, store.Work{Kind: "dead " + nonce}
		errs = append(errs, tx.InsertRecipient(&r), tx.InsertWork(&w), tx.InsertWork(&dead),
			tx.MoveRecipient(r.ID, 0, store.Move{To: transit.Sealed, Detail: "budgie-detail"}),
			tx.NoteAnswer(r.ID, transit.Answer{Code: 450, Text: "budgie-answer"}),
			tx.Correlate(store.ByMessageID, "<budgie-id@h.example>", r.ID, time.Now().Add(time.Hour)),
			tx.SetSetting(nonce, []byte("budgie-setting"), 0),
			audit.Write(tx, audit.Entry{Actor: "test", Action: "a", Object: "message:" + m.ID, Detail: map[string]string{"to": "budgie.lee@h.example"}}))
		if err := tx.InsertDomain("h.example"); err != nil && !errors.Is(err, store.ErrDuplicate) {
			errs = append(errs, err)
		}
		a, err := tx.InsertAccount(lee)
		if errors.Is(err, store.ErrDuplicate) {
			a, err = tx.Account(lee)
		}
		box, err2 := tx.EnsureMailbox(a.ID, "Budgie-Folder")
		_, err3 := tx.AppendMail(&store.Mail{Mailbox: box.ID, Message: m.ID, Blob: ref.ID, Subject: "Budgie-Subject", Sender: "Budgie Sender"})
		leased, err4 := tx.ClaimWork(store.Claim{Kind: dead.Kind, Lane: store.Small, Limit: 1, TTL: time.Hour, Backoff: func(int64) time.Duration { return 0 }})
		for _, w := range leased {
			errs = append(errs, tx.BuryWork(w.ID, w.Epoch, "budgie-work"))
		}
		message = m.ID
		return errors.Join(append(errs, err, err2, err3, err4, inside())...)
	})
	return message, err
}

// plain looks for the canary in every file under dir. A file that goes away meanwhile is none.
func plain(dir string) error { return holds(dir, canary) }

func holds(dir, word string) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || err == nil && !e.Type().IsRegular() {
			return nil
		}
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if i := bytes.Index(data, []byte(word)); i >= 0 {
			return fmt.Errorf("%s holds %q", path, data[max(i-10, 0):min(i+20, len(data))])
		}
		return err
	})
}

// Nothing on the disk can be read: not before the commit, not after it, not when the store is closed. On either engine.
func TestNothingPlainAtRest(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "data")
		nothingPlain(t, store.Options{Dir: dir, KEK: storetest.Keeper(t)}, dir, dir)
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		dsn := storetest.Postgres(t)
		host, _, _ := strings.Cut(strings.TrimPrefix(dsn, "host="), " ")
		nothingPlain(t, store.Options{DSN: dsn, KEK: storetest.Keeper(t)}, t.TempDir(), host)
	})
}

func nothingPlain(t *testing.T, o store.Options, bodies, rows string) {
	h, err := openHouse(t.Context(), o, bodies)
	if err != nil {
		t.Fatal(err)
	}
	look := func(when string) {
		t.Helper()
		if err := errors.Join(plain(bodies), plain(rows)); err != nil {
			t.Errorf("%s: %v", when, err)
		}
	}
	d, err := h.blobs.Create() // a draft under way
	if err != nil {
		t.Fatal(err)
	}
	defer d.Discard()
	for range 10_000 {
		if _, err := io.WriteString(d, "budgie-body\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	look("while a draft is written")
	for _, size := range []int{100, blob.InlineSize - 100, 3 << 16} {
		if _, err := h.fill(t.Context(), size, func() error { look("before the commit"); return nil }); err != nil {
			t.Fatal(err)
		}
		look("after the commit")
	}
	// More than the engine's cache holds, so that pages reach the disk before the commit; then rolled back.
	ref := inline(t, h)
	stop := errors.New("stop")
	err = h.Tx(t.Context(), func(tx *store.Tx) error {
		for i := range 400 {
			b := store.Blob(ref)
			b.ID = fmt.Sprint("spill", i)
			if err := tx.InsertBlob(b); err != nil {
				return err
			}
		}
		look("in a transaction that spills")
		return stop
	})
	if !errors.Is(err, stop) {
		t.Fatal(err)
	}
	look("after the rollback")
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	look("when closed")
	if holds(rows, "h.example") == nil {
		t.Error("not even the domain is found, which is in clear: this test sees nothing")
	}
}

func inline(t *testing.T, h *house) blob.Ref {
	t.Helper()
	d, err := h.blobs.Create()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Discard()
	if _, err := io.WriteString(d, strings.Repeat("budgie-body ", blob.InlineSize/12)); err != nil {
		t.Fatal(err)
	}
	r, err := d.Commit()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// childEnv makes the test binary a writer that is going to be killed: directory and KEK file.
const childEnv = "CAREPOST_BLOB_TEST_CHILD"

func TestMain(m *testing.M) {
	if v := os.Getenv(childEnv); v != "" {
		dir, kek, _ := strings.Cut(v, "|")
		fmt.Fprintln(os.Stderr, writeUntilKilled(dir, kek))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// writeUntilKilled accepts messages and says so, one line each, once they are durable.
func writeUntilKilled(dir, kek string) error {
	k, err := vault.LoadKEK(kek)
	if err != nil {
		return err
	}
	h, err := openHouse(context.Background(), store.Options{Dir: dir, KEK: k}, dir)
	if err != nil {
		return err
	}
	failed := make(chan error)
	for range 4 {
		go func() {
			for {
				id, err := h.fill(context.Background(), mrand.IntN(200_000), func() error { return nil })
				if err != nil {
					failed <- err
					return
				}
				os.Stdout.WriteString(id + "\n") // one write: whole lines
			}
		}()
	}
	return <-failed
}

// kill -9 at any moment: what was promised is there and whole, every row has its body, nothing is plain, no draft stays.
func TestKill(t *testing.T) {
	dir, kek := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "kek")
	k, err := vault.OpenKEK(kek)
	if err != nil {
		t.Fatal(err)
	}
	acked := map[string]bool{}
	for round := range 5 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), childEnv+"="+dir+"|"+kek)
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			acked[lines.Text()] = true
			if n == 20+30*round {
				if err := plain(dir); err != nil {
					t.Errorf("while it writes: %v", err)
				}
				child.Process.Kill() // and read on: what was said before counts
			}
		}
		child.Wait()
		if err := plain(dir); err != nil {
			t.Errorf("after the kill: %v", err)
		}
		inspect(t, k, dir, acked)
	}
	t.Logf("%d messages promised", len(acked))
}

func inspect(t *testing.T, k vault.Keeper, dir string, acked map[string]bool) {
	t.Helper()
	h, err := openHouse(t.Context(), store.Options{Dir: dir, KEK: k}, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if left, err := os.ReadDir(filepath.Join(dir, "drafts")); len(left) > 0 || err != nil {
		t.Errorf("drafts left: %d, %v", len(left), err)
	}
	var works []store.Work
	if err := h.View(t.Context(), func(tx *store.Tx) (err error) { works, err = tx.Works(store.Ready, 1_000_000); return err }); err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, w := range works {
		there[w.Ref] = true
		var row store.Blob
		if err := h.View(t.Context(), func(tx *store.Tx) error {
			m, err := tx.Message(w.Ref)
			if err != nil {
				return err
			}
			row, err = tx.Blob(m.Raw)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		b, err := h.blobs.Open(blob.Ref(row))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.New()
		if _, err := io.Copy(sum, io.NewSectionReader(b, 0, b.Size())); err != nil || !bytes.Equal(sum.Sum(nil), row.SHA256) {
			t.Errorf("body of %s: another one, %v", w.Ref, err)
		}
		b.Close()
	}
	for id := range acked {
		if !there[id] {
			t.Errorf("promised and lost: %s", id)
		}
	}
}
