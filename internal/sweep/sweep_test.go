package sweep

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"carepost/addr"
	"carepost/internal/audit"
	"carepost/internal/blob"
	"carepost/internal/queue"
	"carepost/internal/store"
	"carepost/internal/store/storetest"
	"carepost/internal/transit"
	"carepost/internal/vault"
)

// house is a store with its bodies, swept by a queue.
type house struct {
	*Service
	dir    string
	q      *queue.Queue
	offset time.Duration // of the machine's clock, which is set
	said   *bytes.Buffer
	box    store.Mailbox
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// inHouse runs a test in a bubble, where hours pass at once. Bodies are files of the real world: theirs is the time in their names.
func inHouse(t *testing.T, fn func(t *testing.T, h *house)) {
	dir := t.TempDir()
	kek := storetest.Keeper(t)
	synctest.Test(t, func(t *testing.T) {
		h := &house{dir: dir, said: new(bytes.Buffer)}
		clock := func() time.Time { return time.Now().Add(h.offset) }
		s, err := store.Open(t.Context(), store.Options{Dir: dir, KEK: kek, Clock: clock})
		must(t, err)
		defer s.Close()
		b, err := blob.New(blob.Options{Dir: dir, Box: s.Box(), Clock: clock})
		must(t, err)
		h.Service = &Service{Store: s, Blobs: b, Clock: clock, Log: slog.New(slog.NewTextHandler(h.said, nil))}
		h.q, err = queue.New(queue.Options{Store: s, Poll: 20 * time.Minute}, h.Handlers()...)
		must(t, err)
		must(t, s.Tx(t.Context(), func(tx *store.Tx) error {
			if err := tx.InsertDomain("h.example"); err != nil {
				return err
			}
			a, err := tx.InsertAccount(addr.Address{Endpoint: "lab", Domain: "h.example"})
			if err != nil {
				return err
			}
			h.box, err = tx.EnsureMailbox(a.ID, "INBOX")
			return err
		}))
		must(t, h.Start(t.Context()))
		must(t, h.Start(t.Context())) // twice is once
		fn(t, h)
	})
}

// body writes one without a row.
func (h *house) body(t *testing.T, size int) blob.Ref {
	t.Helper()
	d, err := h.Blobs.Create()
	must(t, err)
	defer d.Discard()
	_, err = d.Write(bytes.Repeat([]byte("x"), size))
	must(t, err)
	ref, err := d.Commit()
	must(t, err)
	if ref.Key != "" {
		must(t, os.Chtimes(filepath.Join(h.dir, ref.Key), time.Time{}, h.now()))
	}
	return ref
}

// insert gives a body its row.
func (h *house) insert(t *testing.T, ref blob.Ref) {
	t.Helper()
	must(t, h.Store.Tx(t.Context(), func(tx *store.Tx) error { return tx.InsertBlob(store.Blob(ref)) }))
}

// mail gives a body its row, and a mail that refers to it.
func (h *house) mail(t *testing.T, ref blob.Ref) (uid uint32) {
	t.Helper()
	must(t, h.Store.Tx(t.Context(), func(tx *store.Tx) error {
		m := store.Message{Direction: transit.Inbound, Kind: transit.Mail, Raw: ref.ID, Size: ref.Size}
		mail := store.Mail{Mailbox: h.box.ID, Blob: ref.ID}
		if err := errors.Join(tx.InsertBlob(store.Blob(ref)), tx.InsertMessage(&m)); err != nil {
			return err
		}
		mail.Message = m.ID
		_, err := tx.AppendMail(&mail)
		uid = mail.UID
		return err
	}))
	return uid
}

func (h *house) there(ref blob.Ref) bool {
	_, err := os.Stat(filepath.Join(h.dir, ref.Key))
	return err == nil
}

// pass lets the hours pass, with the queue running.
func (h *house) pass(t *testing.T, d time.Duration) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- h.q.Run(ctx) }()
	time.Sleep(d)
	stop()
	must(t, <-ended)
}

// hurry has the next sweep run at once, as an operator may.
func (h *house) hurry(t *testing.T) {
	t.Helper()
	before := h.status(t).Swept
	must(t, h.Store.Tx(t.Context(), func(tx *store.Tx) error {
		works, err := tx.Works(store.Ready, 10)
		for _, w := range works {
			if w.Kind == sweeping {
				err = errors.Join(err, tx.RetryWorkNow(w.ID))
			}
		}
		return err
	}))
	h.pass(t, time.Minute)
	if h.status(t).Swept.Equal(before) {
		t.Fatal("no sweep")
	}
}

// acts lists the audit entries about a body.
func (h *house) acts(t *testing.T, id string) (acts []string) {
	t.Helper()
	must(t, h.Store.View(t.Context(), func(tx *store.Tx) error {
		list, err := audit.List(tx, audit.Filter{Object: "body:" + id})
		for _, r := range list {
			acts = append(acts, r.Action)
		}
		return err
	}))
	return acts
}

func (h *house) status(t *testing.T) Status {
	t.Helper()
	s, err := h.Status(t.Context())
	must(t, err)
	return s
}

const big = blob.InlineSize + 1

// Files without a row go, once they are a day old and have been seen twice; the first run of an installation only tells. Everything that a row
// refers to stays.
func TestOrphans(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		lost, kept, loose, inline := h.body(t, big), h.body(t, big), h.body(t, big), h.body(t, 10)
		h.mail(t, kept)
		h.mail(t, inline)
		h.insert(t, loose)
		foreign := filepath.Join(h.dir, filepath.Dir(lost.Key), "README")
		must(t, os.WriteFile(foreign, nil, 0o600))
		time.Sleep(25*time.Hour + 30*time.Minute) // nobody is up
		young := h.body(t, big)
		h.pass(t, 15*time.Minute)
		if st := h.status(t); !st.Reported || st.Orphans != 1 || st.Killed != 1 || st.Swept.IsZero() || st.Bytes < big {
			t.Errorf("%+v", st)
		}
		if !h.there(lost) || !strings.Contains(h.said.String(), "would remove") || len(h.acts(t, loose.ID)) > 0 {
			t.Errorf("the first run has removed something, or not told: %s", h.said)
		}
		h.pass(t, time.Hour)
		if h.there(lost) || !slices.Equal(h.acts(t, lost.ID), []string{"body.sweep"}) || !slices.Equal(h.acts(t, loose.ID), []string{"body.kill"}) {
			t.Errorf("it stays; audit: %v, %v", h.acts(t, lost.ID), h.acts(t, loose.ID))
		}
		if st := h.status(t); st.Reported || st.Orphans != 1 || st.Killed != 1 {
			t.Errorf("%+v", st)
		}
		h.pass(t, 20*time.Hour)
		if !h.there(young) || !h.there(kept) || !h.there(loose) {
			t.Error("something went too early")
		}
		h.pass(t, 6*time.Hour)
		if h.there(young) || !h.there(kept) || !h.there(loose) {
			t.Error("a young file has not grown old, or something went with it")
		}
		h.pass(t, 7*24*time.Hour)
		if _, err := os.Stat(foreign); err != nil || h.there(loose) || !h.there(kept) {
			t.Errorf("in the end: %v", err)
		}
		for _, ref := range []blob.Ref{kept, inline} {
			must(t, h.Blobs.Check(t.Context(), ref))
		}
		// Hours that hold nothing go too, those that hold something foreign do not.
		left, err := filepath.Glob(filepath.Join(h.dir, "b/*/*/*/*"))
		must(t, err)
		if len(left) != 1 || left[0] != filepath.Dir(foreign) {
			t.Errorf("left: %v", left)
		}
		if strings.Contains(h.said.String(), "ERROR") || strings.Contains(h.said.String(), "WARN") {
			t.Error(h.said)
		}
	})
}

// Report never removes.
func TestReport(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.Report = true
		lost, dead := h.body(t, big), h.body(t, big)
		h.insert(t, dead)
		must(t, h.Store.Tx(t.Context(), func(tx *store.Tx) error { return tx.KillBlob(dead.ID) }))
		h.pass(t, 9*24*time.Hour)
		if st := h.status(t); !h.there(lost) || !h.there(dead) || !st.Reported || st.Orphans != 1 || st.Erased != 1 {
			t.Errorf("%+v", st)
		}
	})
}

// A dead body stays for its grace, and goes with its key. A crash between the row and the file leaves what is swept later, and a file that is
// gone before its row is no trouble.
func TestDead(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		refs := []blob.Ref{h.body(t, big), h.body(t, 100), h.body(t, big), h.body(t, big)}
		live := h.body(t, big)
		h.mail(t, live)
		for _, r := range refs {
			h.mail(t, r)
		}
		must(t, h.Store.Tx(t.Context(), func(tx *store.Tx) error {
			for _, r := range refs {
				if err := tx.KillBlob(r.ID); err != nil {
					return err
				}
			}
			return nil
		}))
		h.pass(t, 7*24*time.Hour)
		for _, r := range refs {
			if r.Key != "" && !h.there(r) || len(h.acts(t, r.ID)) > 0 {
				t.Error("a dead body went within its grace")
			}
		}
		must(t, h.Blobs.Remove(refs[2]))                                                               // file before row
		must(t, h.Store.Tx(t.Context(), func(tx *store.Tx) error { return tx.SweepBlob(refs[3].ID) })) // row before file
		h.pass(t, 3*time.Hour)
		for i, want := range []string{"body.erase", "body.erase", "body.erase", "body.sweep"} {
			if got := h.acts(t, refs[i].ID); !slices.Equal(got, []string{want}) {
				t.Errorf("audit of %d: %v", i, got)
			}
			if refs[i].Key != "" && h.there(refs[i]) {
				t.Errorf("the file of %d stays", i)
			}
		}
		must(t, h.Store.View(t.Context(), func(tx *store.Tx) error {
			rows, err := tx.DeadBlobs(h.now(), 100)
			if len(rows) > 0 {
				t.Errorf("%d rows are dead still", len(rows))
			}
			return err
		}))
		if h.pass(t, 48*time.Hour); !h.there(live) {
			t.Error("a live body went")
		}
	})
}

// A clock that is set forward by days makes everything look old. What gets its row while the clock stands wrong, or after it was set back, stays.
func TestClockSetForward(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.pass(t, 20*time.Minute) // the first run, which only tells
		refs := []blob.Ref{h.body(t, big), h.body(t, big)}
		h.offset = 72 * time.Hour
		h.pass(t, time.Hour) // sees two files without a row
		h.hurry(t)
		if st := h.status(t); st.Reported || st.Orphans != 0 || !h.there(refs[0]) {
			t.Fatalf("%+v", st)
		}
		h.offset = 0
		h.mail(t, refs[0])
		h.offset = 72 * time.Hour
		h.pass(t, 2*time.Hour)
		if !h.there(refs[0]) || h.there(refs[1]) {
			t.Error("the one with a row went, or the one without stays")
		}
		// And no row is made for what may be swept.
		late := h.body(t, big)
		h.offset += 13 * time.Hour
		if err := h.Store.Tx(t.Context(), func(tx *store.Tx) error { return tx.InsertBlob(store.Blob(late)) }); !errors.Is(err, store.ErrStale) {
			t.Errorf("a row for a body of 13 hours: %v", err)
		}
	})
}

// A clock that is set back: what was written meanwhile lies in hours to come, and is left alone until they are past.
func TestClockSetBack(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.offset = 240 * time.Hour
		future := h.body(t, big)
		h.offset = 0
		h.pass(t, 240*time.Hour)
		if !h.there(future) {
			t.Error("a file of an hour to come went")
		}
		h.pass(t, 28*time.Hour)
		if h.there(future) {
			t.Error("it stays for ever")
		}
		// The name tells of an old hour, the file was touched just now.
		h.offset = -100 * time.Hour
		old := h.body(t, big)
		h.offset = 0
		must(t, os.Chtimes(filepath.Join(h.dir, old.Key), time.Time{}, h.now()))
		h.pass(t, 20*time.Hour)
		if !h.there(old) {
			t.Error("a file that was touched just now went")
		}
	})
}

// The borders of hours: a file goes when the hour in which it was begun ended a day ago, not before.
func TestHourBorders(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.pass(t, time.Hour)
		next := h.now().Truncate(time.Hour).Add(2 * time.Hour)
		time.Sleep(next.Sub(h.now()))
		first := h.body(t, big) // in the first moment of an hour
		time.Sleep(time.Hour - time.Millisecond)
		last := h.body(t, big) // in its last
		time.Sleep(time.Millisecond)
		after := h.body(t, big)
		if path.Dir(first.Key) != path.Dir(last.Key) || path.Dir(last.Key) == path.Dir(after.Key) {
			t.Fatal(first.Key, last.Key, after.Key)
		}
		keys := func(olderThan time.Time) (keys []string) {
			must(t, h.Blobs.Walk(t.Context(), olderThan, func(key string, _ int64) error { keys = append(keys, key); return nil }))
			return keys
		}
		end := next.Add(time.Hour)
		for at, want := range map[time.Time][]string{
			end.Add(-time.Millisecond): nil, end: {first.Key, last.Key}, end.Add(time.Hour - time.Millisecond): {first.Key, last.Key},
			end.Add(time.Hour): {first.Key, last.Key, after.Key},
		} {
			if got := keys(at); !slices.Equal(got, want) {
				t.Errorf("at %v: %v", at, got)
			}
		}
	})
}

// The scrub finds a flipped bit, a lost tail, a missing file and a small body that is not what it was; it tells of them until they read true.
func TestScrub(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		var refs []blob.Ref
		for range 4 {
			refs = append(refs, h.body(t, 3*big))
		}
		refs = append(refs, h.body(t, 100))
		refs[4].SHA256 = bytes.Repeat([]byte{1}, 32)
		for _, r := range refs {
			h.mail(t, r)
		}
		file := func(i int) string { return filepath.Join(h.dir, refs[i].Key) }
		whole, err := os.ReadFile(file(0))
		must(t, err)
		flipped := bytes.Clone(whole)
		flipped[len(flipped)/2] ^= 1
		must(t, os.WriteFile(file(0), flipped, 0o600))
		must(t, os.Truncate(file(1), 1000))
		must(t, os.Remove(file(2)))
		h.pass(t, time.Hour)
		want := []string{refs[0].ID, refs[1].ID, refs[2].ID, refs[4].ID}
		slices.Sort(want)
		if st := h.status(t); !slices.Equal(st.Damaged, want) || st.Checked != 5 || st.Scrubbed.IsZero() {
			t.Errorf("%+v, want %v", st, want)
		}
		for i, ref := range refs {
			if acts := h.acts(t, ref.ID); (len(acts) == 1) != (i != 3) || len(acts) == 1 && acts[0] != "body.damaged" {
				t.Errorf("audit of %d: %v", i, acts)
			}
			if strings.Contains(h.said.String(), ref.ID) != (i != 3) {
				t.Errorf("log of %d: %s", i, h.said)
			}
		}
		must(t, os.WriteFile(file(0), whole, 0o600)) // brought back from a backup
		must(t, h.Store.Tx(t.Context(), func(tx *store.Tx) error { return tx.KillBlob(refs[1].ID) }))
		h.pass(t, 3*24*time.Hour)
		if st := h.status(t); !slices.Equal(st.Damaged, want) {
			t.Errorf("not yet read again: %+v", st)
		}
		h.pass(t, 5*24*time.Hour)
		want = []string{refs[2].ID, refs[4].ID}
		slices.Sort(want)
		if st := h.status(t); !slices.Equal(st.Damaged, want) || st.Checked != 4 {
			t.Errorf("%+v, want %v", st, want)
		}
	})
}

// A scrub goes on where it was, and store keys may be rotated under it.
func TestScrubResumes(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		var ids []string
		for range batch + 5 {
			ref := h.body(t, 10)
			h.mail(t, ref)
			ids = append(ids, ref.ID)
		}
		slices.Sort(ids)
		must(t, h.Store.Tx(t.Context(), func(tx *store.Tx) error {
			return save(tx, scrubbing, scrubState{Began: h.now(), After: ids[batch], Checked: 7, Damaged: []string{ids[0], ids[batch+2]}})
		}))
		if st := h.status(t); !slices.Equal(st.Damaged, []string{ids[batch+2]}) {
			t.Errorf("%+v: the first was read again, and is well", st)
		}
		h.pass(t, time.Hour)
		if st := h.status(t); st.Checked != 7+4 || len(st.Damaged) > 0 || st.Scrubbed.IsZero() {
			t.Errorf("%+v", st)
		}
	})
}

// Many files are looked at in several transactions, and in order.
func TestMany(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		const n = 2*batch + 50
		kept := h.body(t, big)
		h.mail(t, kept)
		sealed, err := os.ReadFile(filepath.Join(h.dir, kept.Key))
		must(t, err)
		dir := filepath.Join(h.dir, filepath.Dir(kept.Key))
		for range n {
			name := filepath.Join(dir, vault.NewID(h.now()))
			must(t, os.WriteFile(name, sealed, 0o600))
			must(t, os.Chtimes(name, time.Time{}, h.now()))
		}
		h.pass(t, 28*time.Hour)
		var swept int
		must(t, h.Store.View(t.Context(), func(tx *store.Tx) error {
			list, err := audit.List(tx, audit.Filter{Action: "body.sweep", Limit: 1000})
			swept = len(list)
			return err
		}))
		left, err := os.ReadDir(dir)
		if swept != n || len(left) != 1 || err != nil || !h.there(kept) {
			t.Errorf("%d swept, %d left, %v", swept, len(left), err)
		}
	})
}

// Nothing outside the hours is touched, whatever its name; links are not followed.
func TestForeign(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		outside := filepath.Join(h.dir, "outside")
		must(t, os.WriteFile(outside, []byte("x"), 0o600))
		old := h.now().Add(-100 * time.Hour).UTC()
		hour := filepath.Join(h.dir, "b", old.Format("2006/01/02/15"))
		must(t, os.MkdirAll(hour, 0o700))
		id := vault.NewID(old)
		names := []string{
			filepath.Join(hour, vault.NewID(old.Add(5*time.Hour))), filepath.Join(hour, id+".bak"), filepath.Join(hour, strings.ToLower(id)),
			filepath.Join(h.dir, "b", id), filepath.Join(h.dir, "b", "2026", id), filepath.Join(h.dir, "b", "26", "1", "2", "3", id), filepath.Join(hour, "deeper", id),
			filepath.Join(h.dir, "b", "1999", "13", "01", "01", id),
		}
		for _, name := range names {
			must(t, os.MkdirAll(filepath.Dir(name), 0o700))
			must(t, os.WriteFile(name, nil, 0o600))
			must(t, os.Chtimes(name, time.Time{}, old))
		}
		link := filepath.Join(hour, vault.NewID(old))
		must(t, os.Symlink(outside, link))
		must(t, os.Symlink(h.dir, filepath.Join(h.dir, "b", "2001")))
		names = append(names, outside, link)
		h.pass(t, 30*time.Hour)
		for _, name := range names {
			if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s went", name)
			}
		}
	})
}
