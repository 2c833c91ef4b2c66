package handover

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"carepost/addr"
	"carepost/dicom/dimse"
	"carepost/dicom/fileset"
	"carepost/dicom/zipmail"
	"carepost/internal/audit"
	"carepost/internal/blob"
	"carepost/internal/mailbox"
	"carepost/internal/queue"
	"carepost/internal/rule"
	"carepost/internal/store"
	"carepost/internal/store/storetest"
)

var (
	desk    = addr.Address{Endpoint: "desk", Domain: "north.example"}
	lab     = addr.Address{Endpoint: "lab", Domain: "south.example"}
	arrived = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
)

const header = "From: \"The lab\" <lab@south.example>\r\nTo: desk@north.example\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n" +
	"Message-ID: <1@south.example>\r\nSubject: the results of May\r\nMIME-Version: 1.0\r\n"

// house is a store with one account whose studies go to one destination, "pacs".
type house struct {
	*Service
	t     *testing.T
	boxes *mailbox.Service
	queue *queue.Queue
	log   bytes.Buffer
	now   time.Time
}

func newHouse(t *testing.T, to Taker, with ...addr.Domain) *house {
	t.Helper()
	return newHouseOn(t, store.Options{}, to, with...)
}

// newHouseOn has its rows where o says.
func newHouseOn(t *testing.T, o store.Options, to Taker, with ...addr.Domain) *house {
	t.Helper()
	h := &house{t: t, now: time.Now()}
	dir := storetest.Dir(t, filepath.Join(t.TempDir(), "data"))
	if o.KEK = storetest.Keeper(t); o.DSN == "" {
		o.Dir = dir
	}
	rows, err := store.Open(t.Context(), o)
	h.must(err)
	t.Cleanup(func() { rows.Close() })
	blobs, err := blob.New(blob.Options{Dir: dir, Box: rows.Box()})
	h.must(err)
	var who rule.Who
	for _, d := range with {
		who.Domains = map[addr.Domain]bool{d: true}
	}
	h.boxes = &mailbox.Service{Store: rows, Blobs: blobs, Outs: []mailbox.Out{{Name: "pacs"}, {Name: "other", For: rule.Who{Domains: map[addr.Domain]bool{"east.example": true}}}}}
	h.Service = New(Options{Store: rows, Blobs: blobs, Destinations: []Destination{{Name: "pacs", With: who, To: to}}, Log: slog.New(slog.NewTextHandler(&h.log, nil)),
		Clock: func() time.Time { return h.now }})
	h.queue, err = queue.New(queue.Options{Store: rows}, h.Handlers()...)
	h.must(err)
	h.tx(func(tx *store.Tx) error {
		if err := tx.InsertDomain(desk.Domain); err != nil {
			return err
		}
		_, err := tx.InsertAccount(desk)
		return err
	})
	return h
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) tx(fn func(*store.Tx) error) {
	h.t.Helper()
	h.must(h.o.Store.Tx(h.t.Context(), fn))
}

// deliver puts a message into the inbox, as package flow does.
func (h *house) deliver(text string) {
	h.t.Helper()
	d, err := h.o.Blobs.Create()
	h.must(err)
	defer d.Discard()
	_, err = d.Write([]byte(text))
	h.must(err)
	ref, err := d.Commit()
	h.must(err)
	h.tx(func(tx *store.Tx) error {
		if err := tx.InsertBlob(store.Blob(ref)); err != nil {
			return err
		}
		return h.boxes.Deliver(tx, desk, mailbox.Inbox, store.Mail{Blob: ref.ID, At: arrived, Size: ref.Size})
	})
}

// work leases the one piece of work there is, now.
func (h *house) work() *queue.Job {
	h.t.Helper()
	h.tx(func(tx *store.Tx) error {
		all, err := tx.Works(store.Ready, 10)
		for _, w := range all {
			err = errors.Join(err, tx.RetryWorkNow(w.ID))
		}
		return err
	})
	for _, lane := range []store.Lane{store.Small, store.Huge} {
		jobs, err := h.queue.Claim(h.t.Context(), mailbox.KindHandOver, lane, 1)
		h.must(err)
		if len(jobs) > 0 {
			return jobs[0]
		}
	}
	h.t.Fatal("nothing to do")
	return nil
}

// step does the work as the queue does.
func (h *house) step() {
	h.t.Helper()
	j := h.work()
	err := h.do(h.t.Context(), j)
	settle := j.Finish
	if err != nil {
		settle = func(tx *store.Tx) error { return j.Retry(tx, -1, err.Error()) }
	}
	if err := h.o.Store.Tx(h.t.Context(), settle); err != nil && !errors.Is(err, store.ErrLeaseLost) {
		h.t.Fatal(err)
	}
}

// row is the one row there is; its state is "" where there is none.
func (h *house) row() (r store.Handover) {
	h.t.Helper()
	h.must(h.o.Store.View(h.t.Context(), func(tx *store.Tx) error {
		for _, s := range []store.HandoverState{store.HandoverWaiting, store.HandoverDone, store.HandoverFailed, store.HandoverLeft} {
			all, err := tx.Handovers(s, 10)
			if err != nil {
				return err
			}
			if len(all) > 0 {
				r = all[0]
			}
		}
		return nil
	}))
	return r
}

func (h *house) left() (n int) {
	h.t.Helper()
	h.must(h.o.Store.View(h.t.Context(), func(tx *store.Tx) error {
		all, err := tx.Works(store.Ready, 100)
		n = len(all)
		return err
	}))
	return n
}

func (h *house) audited(action string) (n int) {
	h.t.Helper()
	h.must(h.o.Store.View(h.t.Context(), func(tx *store.Tx) error {
		all, err := audit.List(tx, audit.Filter{Action: action})
		n = len(all)
		return err
	}))
	return n
}

// sums are the digests of data sets, by SOP Instance UID.
type sums map[string][sha256.Size]byte

// demo are those of the study that letters carry.
func demo(t testing.TB) sums {
	t.Helper()
	out := sums{}
	for _, x := range plan(t).Instances {
		out[x.SOPInstance] = [sha256.Size]byte{}
	}
	files, err := filepath.Glob("../demo/study/files/*.dcm")
	if err != nil || len(files) != 4 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		out.add(t, read(t, f))
	}
	return out
}

func (s sums) add(t testing.TB, file []byte) {
	t.Helper()
	i, data, err := dimse.OpenPart10(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, data); err != nil {
		t.Fatal(err)
	}
	s[i.SOPInstance] = [sha256.Size]byte(sum.Sum(nil))
}

func plan(t testing.TB) *fileset.Plan {
	t.Helper()
	p, err := fileset.Scan(t.Context(), fileset.ScanOptions{}, "../demo/study/files")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// letter is a mail with a study; spoil may change the archive.
func letter(t testing.TB, spoil func([]byte) []byte) string {
	t.Helper()
	p := plan(t)
	var zip, out bytes.Buffer
	if err := p.WriteZIP(t.Context(), &zip, nil); err != nil {
		t.Fatal(err)
	}
	archive := spoil(zip.Bytes())
	err := zipmail.ComposeSet(&out, zipmail.Letter{From: lab, To: []addr.Address{desk}, Date: arrived, MessageID: "<2@south.example>", Profile: zipmail.Dental},
		p.Instances, func(w io.Writer) error { _, err := w.Write(archive); return err }, "boundary-of-a-letter")
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func whole(b []byte) []byte { return b }

// script is a Taker that says what it is told to say; the other sides that count are real (TestOrthanc, TestStorescp).
type script struct {
	mu    sync.Mutex
	says  map[int]Outcome // by the place among all four; others are taken
	order []string        // SOP Instance UIDs as they came in the first time
	given [][]string      // of each Give
	end   error           // after what it says
}

func (s *script) Give(_ context.Context, all []fileset.Content, told func(int, Outcome) error, moved func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var uids []string
	for _, x := range all {
		uids = append(uids, x.SOPInstance)
	}
	if s.order == nil {
		s.order = uids
	}
	s.given = append(s.given, uids)
	for i, x := range all {
		if err := moved(); err != nil {
			return err
		}
		o, ok := s.says[slices.Index(s.order, x.SOPInstance)]
		if !ok {
			o = Outcome{Fate: Taken}
		}
		if o.Fate == Untried {
			continue
		}
		if err := told(i, o); err != nil {
			return err
		}
	}
	return s.end
}

func (s *script) Reach(context.Context) error { return s.end }
