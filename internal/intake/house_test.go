package intake

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/audit"
	"carepost/internal/blob"
	"carepost/internal/flow"
	"carepost/internal/mailbox"
	"carepost/internal/queue"
	"carepost/internal/store"
	"carepost/internal/store/storetest"
)

var (
	imaging = addr.Address{Endpoint: "imaging", Domain: "north.example"}
	lab     = addr.Address{Endpoint: "lab", Domain: "south.example"}
	ward    = addr.Address{Endpoint: "ward", Domain: "south.example"}
	device  = Origin{Calling: "CT1", Called: "CAREPOST", Via: "dimse"}
)

// house is an installation with one account, whose clock is set by hand.
type house struct {
	*Service
	t     testing.TB
	dir   string
	queue *queue.Queue
	now   time.Time
	log   bytes.Buffer
}

func newHouse(t testing.TB, routes ...Route) *house {
	t.Helper()
	h := &house{t: t, dir: storetest.Dir(t, filepath.Join(t.TempDir(), "data")), now: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return h.now }
	rows, err := store.Open(t.Context(), store.Options{Dir: h.dir, KEK: storetest.Keeper(t), Clock: clock})
	h.must(err)
	t.Cleanup(func() { rows.Close() })
	blobs, err := blob.New(blob.Options{Dir: h.dir, Box: rows.Box(), Clock: clock, Reserve: -1})
	h.must(err)
	h.must(rows.Tx(t.Context(), func(tx *store.Tx) error {
		if err := tx.InsertDomain(imaging.Domain); err != nil {
			return err
		}
		_, err := tx.InsertAccount(imaging)
		return err
	}))
	h.Service = New(Options{Store: rows, Blobs: blobs, Flow: flow.New(flow.Options{Store: rows, Blobs: blobs, Mailboxes: &mailbox.Service{Store: rows, Blobs: blobs}, Clock: clock}), Routes: routes, Clock: clock,
		Log: slog.New(slog.NewTextHandler(&h.log, nil))})
	h.queue, err = queue.New(queue.Options{Store: rows}, h.Handlers()...)
	h.must(err)
	return h
}

// everything is a route for all that comes.
func everything() Route { return Route{Name: "all", From: imaging, To: []addr.Address{lab}} }

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) take(o Origin, object []byte) Stored {
	h.t.Helper()
	x, err := h.Store(h.t.Context(), o, bytes.NewReader(object))
	h.must(err)
	return x
}

// run does what is due of a kind once, whatever the queue's clock says.
func (h *house) run(kind string) {
	h.t.Helper()
	h.must(h.o.Store.Tx(h.t.Context(), func(tx *store.Tx) error {
		all, err := tx.Works("", 100)
		for _, w := range all {
			if w.Kind == kind {
				err = errors.Join(err, tx.RetryWorkNow(w.ID))
			}
		}
		return err
	}))
	jobs, err := h.queue.Claim(h.t.Context(), kind, store.Small, 100)
	h.must(err)
	for _, j := range jobs {
		do := h.close
		if kind == kindForget {
			do = h.forget
		}
		h.must(do(h.t.Context(), j))
		if err := h.o.Store.Tx(h.t.Context(), j.Finish); err != nil && !errors.Is(err, store.ErrLeaseLost) {
			h.t.Fatal(err)
		}
	}
}

// quietly lets the quiet time pass and does what is due then.
func (h *house) quietly() { h.now = h.now.Add(2 * time.Minute); h.run(kindClose) }

// sentMails are the mails that were submitted, in their order.
func (h *house) sentMails() (out []store.Message) {
	h.t.Helper()
	h.must(h.o.Store.View(h.t.Context(), func(tx *store.Tx) error {
		all, err := audit.List(tx, audit.Filter{Action: "message.accept"})
		for _, r := range all {
			m, err := tx.Message(strings.TrimPrefix(r.Object, "message:"))
			if err != nil {
				return err
			}
			out = append(out, m)
		}
		return err
	}))
	return out
}

func (h *house) text(m store.Message) []byte {
	h.t.Helper()
	b, err := h.body(context.Background(), m.Raw)
	h.must(err)
	defer b.Close()
	text, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
	h.must(err)
	return text
}

// bodies counts those that are live.
func (h *house) bodies() (n int) {
	h.t.Helper()
	h.must(h.o.Store.View(h.t.Context(), func(tx *store.Tx) error {
		all, err := tx.LiveBlobs("", 1000)
		n = len(all)
		return err
	}))
	return n
}

func (h *house) only() Study {
	h.t.Helper()
	all, err := h.List(h.t.Context(), "test", true)
	h.must(err)
	if len(all) == 0 {
		h.t.Fatal("no study")
	}
	return all[len(all)-1]
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

// made is an object with these elements beside those that it must have; numbers name the study, the series and the instance.
func made(study, instance string, more map[uint32]string) []byte {
	all := map[uint32]string{0x00080016: "1.2.840.10008.5.1.4.1.1.7", 0x00080018: "2.25.3." + instance, 0x00080020: "20261122", 0x00080030: "100000", 0x00080060: "OT",
		0x00100010: "Berg^Ann", 0x00100020: "4711", 0x0020000D: "2.25.1." + study, 0x0020000E: "2.25.2." + study, 0x00200010: "1", 0x00200011: "1", 0x00200013: "1"}
	for t, v := range more {
		all[t] = v
	}
	var meta, data []byte
	meta = element(meta, 0x00020001, "OB", "\x00\x01")
	meta = element(meta, 0x00020002, "UI", all[0x00080016])
	meta = element(meta, 0x00020003, "UI", all[0x00080018])
	meta = element(meta, 0x00020010, "UI", "1.2.840.10008.1.2.1")
	meta = element(meta, 0x00020012, "UI", "2.25.99")
	for _, t := range slices.Sorted(maps.Keys(all)) {
		data = element(data, t, vrs[t], all[t])
	}
	out := append(make([]byte, 128), "DICM"...)
	out = element(out, 0x00020000, "UL", string(binary.LittleEndian.AppendUint32(nil, uint32(len(meta)))))
	return append(append(out, meta...), data...)
}

var vrs = map[uint32]string{0x00080005: "CS", 0x00080016: "UI", 0x00080018: "UI", 0x00080020: "DA", 0x00080030: "TM", 0x00080050: "SH", 0x00080060: "CS", 0x00080080: "LO",
	0x00080090: "PN", 0x00081030: "LO", 0x00100010: "PN", 0x00100020: "LO", 0x0020000D: "UI", 0x0020000E: "UI", 0x00200010: "SH", 0x00200011: "IS", 0x00200013: "IS"}

func element(b []byte, tag uint32, vr, v string) []byte {
	if len(v)%2 == 1 {
		if vr == "UI" {
			v += "\x00"
		} else {
			v += " "
		}
	}
	b = binary.LittleEndian.AppendUint16(b, uint16(tag>>16))
	b = binary.LittleEndian.AppendUint16(b, uint16(tag))
	b = append(b, vr...)
	if vr == "OB" {
		b = binary.LittleEndian.AppendUint32(append(b, 0, 0), uint32(len(v)))
	} else {
		b = binary.LittleEndian.AppendUint16(b, uint16(len(v)))
	}
	return append(b, v...)
}
