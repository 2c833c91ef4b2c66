//go:build linux

package crashfs_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/crashfs"
	"carepost/internal/mailbox"
	"carepost/internal/store"
	"carepost/internal/transit"
)

// exchange is mail both ways while the steps run: what was promised, by the far side's sender or recipient.
type exchange struct {
	mu       sync.Mutex
	inbound  map[addr.Address]string // ids
	outbound map[addr.Address]string
}

// promised is a copy of what was promised by now.
func (x *exchange) promised() (inbound, outbound map[addr.Address]string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	inbound, outbound = map[addr.Address]string{}, map[addr.Address]string{}
	for a, id := range x.inbound {
		inbound[a] = id
	}
	for a, id := range x.outbound {
		outbound[a] = id
	}
	return inbound, outbound
}

// waiting is how much of what was promised the far side has not seen yet, or not had its notice of.
func (x *exchange) waiting(w *world) int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.inbound) + len(x.outbound) - len(w.seen())
}

// processed is a power cut while steps run.
type processed struct {
	dir               string
	inbound, outbound map[addr.Address]string
	sent              []parcel // what the far side had
}

// Facts of storage §6.2, §7.1: at any cut the far side has nothing that the installation does not remember having sealed, and no
// processed notice whose mail is not shown and whole. What is left goes on: everything promised is shown once, and what the
// far side had is at most sent again as it was. The same run finds fault where the engine does not wait for the disk.
// DIR-29.
func TestPowerCutWhileProcessing(t *testing.T) {
	for name, unsafe := range map[string]bool{"durable": false, "synchronous=NORMAL": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			fs := crashfs.New(t, crashfs.Options{Torn: true, Flush: time.Millisecond / 2})
			dir := filepath.Join(fs.Dir(), folder)
			o := w.mustOpen(t, dir, false)
			w.found(o)
			o.close()
			cuts := w.processing(t, fs, w.mustOpen(t, dir, unsafe))
			notices := 0
			var faults []string
			for _, c := range cuts {
				n, found := w.consistent(t, c)
				notices += n
				faults = append(faults, found...)
			}
			last := cuts[len(cuts)-1]
			t.Logf("%d accepted, %d submitted, %d handed over before the last cut; %d notices were sent before cuts (sum over %d); %d faults",
				len(last.inbound), len(last.outbound), len(last.sent), notices, snapshots(), len(faults))
			switch {
			case notices == 0 && !unsafe:
				t.Error("no notice was sent before any cut")
			case unsafe && len(faults) == 0:
				t.Error("nothing is wrong, although the engine does not wait for the disk")
			case !unsafe:
				for _, f := range faults {
					t.Error(f)
				}
				w.resume(t, cuts[len(cuts)/2])
			}
		})
	}
}

// processing runs the steps of o while mail comes and goes, until there are enough snapshots; then it closes o.
func (w *world) processing(t *testing.T, fs *crashfs.FS, o *office) (cuts []processed) {
	x := &exchange{inbound: map[addr.Address]string{}, outbound: map[addr.Address]string{}}
	stop := o.run()
	defer stop()
	var wg sync.WaitGroup
	ended := make(chan struct{})
	end := sync.OnceFunc(func() { close(ended); wg.Wait() })
	defer end()
	for s := range 4 {
		wg.Go(func() { x.send(o, w, s, ended) })
	}
	last := 0
	for i := range snapshots() {
		want := last + 3 + acks()/8
		o.until("the far side to have more", func() bool { return len(w.seen()) >= want })
		c := processed{dir: filepath.Join(t.TempDir(), fmt.Sprint(i))}
		c.inbound, c.outbound = x.promised()
		c.sent = w.seen()
		last = len(c.sent)
		o.must(fs.Snapshot(c.dir))
		cuts = append(cuts, c)
	}
	end()
	stop()
	o.close()
	return cuts
}

// send sends and submits until ended.
func (x *exchange) send(o *office, w *world, session int, ended chan struct{}) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for n := session * 1_000_000; ; n++ {
		for first := true; first || x.waiting(w) > 40; first = false {
			select {
			case <-ended:
				return
			case <-tick.C:
			}
		}
		size := 1000
		if n%4 == 0 {
			size = 40_000
		}
		from, text := w.sealed(o.t, n, size)
		id, err := o.Accept(o.t.Context(), transit.Envelope{From: addr.Path{Address: from}, To: []addr.Address{desk}}, bytes.NewReader(text))
		if err != nil {
			o.t.Error(err)
			return
		}
		x.mu.Lock()
		x.inbound[from] = id
		x.mu.Unlock()
		if n%2 == 0 {
			continue
		}
		to := addr.Address{Endpoint: fmt.Sprintf("reader-%d", n), Domain: there}
		id, err = o.Submit(o.t.Context(), "test", transit.Envelope{From: addr.Path{Address: desk}, To: []addr.Address{to}}, strings.NewReader(letter(desk, to, n, size)))
		if err != nil {
			o.t.Error(err)
			return
		}
		x.mu.Lock()
		x.outbound[to] = id
		x.mu.Unlock()
	}
}

// consistent says what is wrong with what is left after a cut, and how many notices had been sent before it.
func (w *world) consistent(t *testing.T, c processed) (notices int, faults []string) {
	t.Helper()
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	o, err := w.open(t, filepath.Join(c.dir, folder), false)
	if err != nil {
		fault("what is left cannot be opened: %v", err)
		return 0, faults
	}
	defer o.close()
	shown := o.shown()
	for a, id := range c.inbound {
		if err := o.keeps(id, shown); err != nil {
			fault("accepted %s from %s: %v", id, a, err)
		}
	}
	for a, id := range c.outbound {
		if err := o.keeps(id, nil); err != nil {
			fault("submitted %s for %s: %v", id, a, err)
		}
	}
	for _, p := range c.sent {
		var d store.Delivery
		if err := o.Store.View(t.Context(), func(tx *store.Tx) (err error) { d, err = tx.Delivery(p.delivery); return err }); err != nil {
			fault("the far side has a delivery that nobody remembers: %v", err)
			continue
		}
		if sum, err := o.read(d.Blob); err != nil && !errors.Is(err, store.ErrNotFound) || err == nil && sum != p.sum {
			fault("delivery %s would be sent again otherwise than it was: %v", p.delivery, err)
		}
		if id, ok := c.inbound[p.to]; ok { // a notice
			notices++
			if len(shown[id]) != 1 {
				fault("a processed notice was sent, and its mail %s is shown %d times", id, len(shown[id]))
			}
		}
	}
	return notices, faults
}

// shown is the mail of the inbox that reads true, by message.
func (o *office) shown() map[string][]store.Mail {
	o.t.Helper()
	mails, err := o.Mailboxes.List(o.t.Context(), "test", desk, mailbox.Inbox, 0, 1<<20)
	o.must(err)
	out := map[string][]store.Mail{}
	for _, m := range mails {
		if _, err := o.read(m.Blob); err != nil {
			o.t.Errorf("mail %d is shown and cannot be read: %v", m.UID, err)
		}
		out[m.Message] = append(out[m.Message], m)
	}
	return out
}

// keeps says why a promised message is not in good hands: it waits with its body whole, or it has been seen to.
func (o *office) keeps(id string, shown map[string][]store.Mail) error {
	var m store.Message
	var rs []store.Recipient
	if err := o.Store.View(o.t.Context(), func(tx *store.Tx) (err error) {
		if m, err = tx.Message(id); err != nil {
			return err
		}
		rs, err = tx.Recipients(id)
		return err
	}); err != nil {
		return err
	}
	for _, r := range rs {
		switch r.State {
		case transit.Accepted:
			if _, err := o.read(m.Raw); err != nil {
				return err
			}
			if len(shown[id]) != 0 {
				return errors.New("it is shown and not decided")
			}
		case transit.Opened, transit.Settled:
			if len(shown[id]) != 1 {
				return fmt.Errorf("it is %s, and shown %d times", r.State, len(shown[id]))
			}
		case transit.Sealed, transit.Sent:
		default:
			return fmt.Errorf("a recipient is %s", r.State)
		}
	}
	if len(rs) != 1 {
		return fmt.Errorf("it has %d recipients", len(rs))
	}
	return nil
}

// resume goes on from what is left after a cut.
func (w *world) resume(t *testing.T, c processed) {
	t.Helper()
	w.mu.Lock()
	w.sent = nil
	w.mu.Unlock()
	o := w.mustOpen(t, filepath.Join(c.dir, folder), false)
	stop := o.run()
	o.until("the queue to be worked off", func() bool {
		for _, s := range []store.WorkState{store.Ready, store.Leased} {
			for _, x := range o.works(s, "") {
				if x.Kind == "inbound" || x.Kind == "outbound" || x.Kind == "deliver" || x.Kind == "notice" {
					return false
				}
			}
		}
		return true
	})
	stop()
	shown := o.shown()
	for a, id := range c.inbound {
		if len(shown[id]) != 1 {
			t.Errorf("the mail of %s is shown %d times in the end", a, len(shown[id]))
		}
	}
	what := map[addr.Address]map[[sha256.Size]byte]bool{}
	for _, p := range append(c.sent, w.seen()...) {
		if what[p.to] == nil {
			what[p.to] = map[[sha256.Size]byte]bool{}
		}
		what[p.to][p.sum] = true
	}
	for _, all := range []map[addr.Address]string{c.inbound, c.outbound} {
		for a := range all {
			if n := len(what[a]); n != 1 {
				t.Errorf("%s got %d different messages for one", a, n)
			}
		}
	}
	o.close()
}

// until waits for ok: real steps run, there is no clock to fake.
func (o *office) until(what string, ok func() bool) {
	o.t.Helper()
	end := time.NewTimer(time.Minute)
	defer end.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-end.C:
			o.t.Fatalf("waited a minute for %s", what)
		}
	}
}
