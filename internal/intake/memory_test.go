package intake

import (
	"bytes"
	"errors"
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"sync"
	"testing"
	"time"

	"carepost/dicom/fileset"
	"carepost/internal/audit"
	"carepost/internal/store"
)

// taken hands in n objects of a study, as many devices' associations at once.
func (h *house) taken(study string, from, n int) {
	h.t.Helper()
	var all sync.WaitGroup
	var failed error
	var mu sync.Mutex
	next := make(chan int)
	for range 16 {
		all.Go(func() {
			for i := range next {
				if _, err := h.Store(h.t.Context(), device, bytes.NewReader(made(study, strconv.Itoa(i), map[uint32]string{0x00200013: strconv.Itoa(i)}))); err != nil {
					mu.Lock()
					failed = errors.Join(failed, err)
					mu.Unlock()
				}
			}
		})
	}
	for i := range n {
		next <- from + i
	}
	close(next)
	all.Wait()
	h.must(failed)
}

// heap is what is in use once what can go is gone.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// rows counts entries of the audit log, and the bytes of what the study's own row says.
func (h *house) rows() (entries, detail int) {
	h.t.Helper()
	h.must(h.o.Store.View(h.t.Context(), func(tx *store.Tx) error {
		all, err := audit.List(tx, audit.Filter{})
		if err != nil {
			return err
		}
		studies, err := tx.Intakes("", 10, store.IntakeOpen)
		if len(studies) == 1 {
			detail = len(studies[0].Detail)
		}
		entries = len(all)
		return err
	}))
	return entries, detail
}

// However many objects a study has: taking one leaves nothing in memory, and no more than its own rows; a plan of them keeps what a directory
// record says of each: 50,000 of them need less than 150 MB.
func TestManyObjects(t *testing.T) {
	const few, many, each = 50, 400, 3000
	h := newHouse(t, everything())
	h.taken("1", 0, few)
	before := heap()
	entries, detail := h.rows()
	h.taken("1", few, many)
	if n := heap() - before; n > 256<<10 {
		t.Errorf("%d bytes are kept of %d objects", n, many)
	}
	if e, d := h.rows(); e != entries || d != detail || entries == 0 || detail == 0 {
		t.Errorf("%d entries and %d bytes of the study, once %d and %d", e, d, entries, detail)
	}
	s := h.only()
	if s.Objects != few+many || h.bodies() != few+many {
		t.Fatalf("%+v, %d bodies", s, h.bodies())
	}
	before = heap()
	inputs, err := h.inputs(t.Context(), s.ID)
	h.must(err)
	plan, err := fileset.ScanInputs(t.Context(), fileset.ScanOptions{}, inputs...)
	h.must(err)
	if n := heap() - before; n > (few+many)*each || len(plan.Instances) != few+many {
		t.Errorf("a plan of %d objects keeps %d bytes", len(plan.Instances), n)
	}
	runtime.KeepAlive(inputs)
	runtime.KeepAlive(plan)
	h.quietly()
	if len(h.sentMails()) != 1 || h.bodies() != 1 || h.only().State != store.IntakeSent {
		t.Errorf("%+v, %d bodies", h.only(), h.bodies())
	}
	h.now = h.now.Add(25 * time.Hour)
	h.run(kindForget)
	h.must(h.o.Store.View(t.Context(), func(tx *store.Tx) error {
		left, err := tx.IntakeObjects(s.ID, 0, 1)
		if len(left) != 0 {
			t.Error("rows of objects that were sent long ago")
		}
		return err
	}))
}

// BenchmarkStudy takes and sends a study of many small objects; CAREPOST_FULL=1 has 50,000 of them, the most that go in one mail, and what lives
// in memory at the height of packing them must stay below 150 MB.
func BenchmarkStudy(b *testing.B) {
	n, full := 2000, os.Getenv("CAREPOST_FULL") != ""
	if full {
		n = maxObjects
	}
	var most int64
	var taking, sending time.Duration
	for b.Loop() {
		h := newHouse(b, everything())
		stop, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
			for tick := time.NewTicker(20 * time.Millisecond); ; {
				select {
				case <-stop:
					tick.Stop()
					return
				case <-tick.C:
					metrics.Read(live)
					most = max(most, int64(live[0].Value.Uint64()))
				}
			}
		}()
		began := time.Now()
		h.taken("1", 0, n)
		middle := time.Now()
		h.quietly()
		taking, sending = taking+middle.Sub(began), sending+time.Since(middle)
		close(stop)
		<-done
		if s := h.only(); s.State != store.IntakeSent || s.Objects != int64(n) || len(h.sentMails()) != 1 {
			b.Fatalf("%+v", s)
		}
	}
	objects := float64(n * b.N)
	b.ReportMetric(objects/taking.Seconds(), "taken/s")
	b.ReportMetric(objects/sending.Seconds(), "sent/s")
	b.ReportMetric(float64(most)/1e6, "MB-live")
	if full && most > 150e6 {
		b.Errorf("%d MB live at once", most/1e6)
	}
}
