package trial_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"carepost/internal/demo/bigstudy"
	"carepost/internal/store"
	"carepost/internal/transit"
)

// load is mail programs that submit to a for b, in sessions of their own, until they are told to stop.
type load struct {
	a, b  *practice
	stop  chan struct{}
	done  sync.WaitGroup
	mu    sync.Mutex
	count int
	taken []*tale // with 250
}

// sender submits one message after the other; make writes their text. pause is between two of them.
func (l *load) sender(t testing.TB, make func(x *tale, n int) string, pause func() time.Duration) {
	m := l.a.mailer(t, l.a.desk)
	l.done.Go(func() {
		defer m.close()
		for n := 0; ; n++ {
			select {
			case <-l.stop:
				return
			case <-time.After(pause()):
			}
			x := l.tell()
			x.text = make(x, n)
			if !l.submit(t, m, x) {
				return
			}
		}
	})
}

func (l *load) tell() *tale {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count++
	return &tale{name: fmt.Sprintf("message %d", l.count), from: l.a, to: l.b, sender: l.a.desk, recipient: l.b.desk,
		messageID: fmt.Sprintf("<%d.%d@%s>", time.Now().UnixNano(), l.count, l.a.domain), end: read}
}

// submit sends a message until it is taken: what got no answer is sent again, for nobody knows.
func (l *load) submit(t testing.TB, m *mailer, x *tale) bool {
	if !x.post(t, m) {
		return false
	}
	x.text = "" // studies are large, and there are many
	l.mu.Lock()
	defer l.mu.Unlock()
	l.taken = append(l.taken, x)
	return true
}

// so far are the messages taken.
func (l *load) soFar() []*tale {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.taken[:len(l.taken):len(l.taken)]
}

// Two installations exchange letters and studies, and one of them is killed at random moments, again and again: what got 250 arrives once,
// with one processed notice, which is never older than the message's place in the mailbox. Neither ever shows a canary on its disk or in
// its log. Facts of storage §7.2; DIR-27, DIR-29, DIR-44.
func TestKilledUnderLoad(t *testing.T) {
	t.Parallel()
	kills := 3
	if full() {
		kills = 40
	}
	carepost := binary(t, "")
	a, b := pair(t, carepost)
	a.start(t)
	b.start(t)
	l := &load{a: a, b: b, stop: make(chan struct{})}
	for range 3 {
		l.sender(t, func(x *tale, n int) string { return x.letter(1 << rand.IntN(17)) }, func() time.Duration { return rand.N(400 * time.Millisecond) })
	}
	archives := studies(t, carepost)
	l.sender(t, func(x *tale, n int) string { return x.study(archives[n%len(archives)]) }, func() time.Duration { return rand.N(3 * time.Second) })

	look, known, before := newLookout(), map[*tale]bool{}, 0
	for k := range kills {
		until(t, func() bool { return len(l.soFar()) > before+3 }, func() string { return "messages to be taken\n" + a.lastWords() + b.lastWords() })
		look.silent(t, a, b) // while both write
		<-time.After(rand.N(1500 * time.Millisecond))
		victim := []*practice{a, b}[k%2]
		victim.kill(t)
		look.silent(t, a, b) // as it was left
		l.durable(t, victim, known)
		victim.start(t)
		before = len(l.soFar())
	}
	close(l.stop)
	l.done.Wait()
	rest(t, a, b)
	look.silent(t, a, b)
	l.account(t)
	look.silent(t, a, b)
	t.Logf("%d kills, %d messages, %d of them known as processed at a kill; %d files (%d MB) searched for canaries",
		kills, len(l.taken), len(known), look.files, look.bytes>>20)
}

// studies are archives of 1 to 12 MB.
func studies(t testing.TB, carepost string) [][]byte {
	t.Helper()
	all := [][]byte{smallStudy(t, carepost)}
	sizes := []int64{3 << 20}
	if full() {
		sizes = append(sizes, 12<<20)
	}
	for _, size := range sizes {
		dir := filepath.Join(t.TempDir(), "study")
		if err := bigstudy.Write(t.Context(), dir, 1, size); err != nil {
			t.Fatal(err)
		}
		all = append(all, pack(t, carepost, dir))
	}
	return all
}

// durable checks, while the victim of a kill is dead, that whatever the sender has as processed lies in the recipient's mailbox. known
// are those of former kills.
func (l *load) durable(t *testing.T, victim *practice, known map[*tale]bool) {
	t.Helper()
	var processed []*tale
	look := func(state func(x *tale) string) {
		for _, x := range l.soFar() {
			if !known[x] && state(x) == string(transit.Processed) {
				processed = append(processed, x)
				known[x] = true
			}
		}
	}
	if victim == l.b {
		books := victim.books(t)
		look((*tale).state) // afterwards: what a has learnt since must lie there too
		view(t, books, func(tx *store.Tx) error {
			for _, x := range processed {
				m, _, err := one(t, x.name+", processed", tx, x.messageID, transit.Inbound)
				if err != nil {
					return ignore(err)
				}
				if mails, err := books.copies(tx, x.recipient); err != nil || mails[m.ID] != 1 {
					t.Errorf("%s is processed, and its recipient has %d copies (%v)", x.name, mails[m.ID], err)
				}
			}
			return nil
		})
		return
	}
	view(t, victim.books(t), func(tx *store.Tx) (failed error) {
		look(func(x *tale) string {
			_, r, err := one(t, x.name, tx, x.messageID, transit.Outbound)
			failed = errors.Join(failed, err)
			return string(r.State)
		})
		return ignore(failed)
	})
	there := map[string]int{} // by subject
	for _, m := range l.b.mails(l.b.desk) {
		there[m.Subject]++
	}
	for _, x := range processed {
		if n := there[x.subject()]; n != 1 {
			t.Errorf("%s is processed, and its recipient has %d copies", x.name, n)
		}
	}
}

// account stops both and reads what has become of every message.
func (l *load) account(t *testing.T) {
	t.Helper()
	l.a.stop(t)
	l.b.stop(t)
	from, to := l.a.books(t), l.b.books(t)
	for _, x := range l.taken {
		x.check(t, from, to)
	}
	view(t, to, func(tx *store.Tx) error {
		mails, err := to.copies(tx, l.b.desk)
		if len(mails) != len(l.taken) || len(l.taken) != l.count {
			t.Errorf("%d messages were sent, %d taken, %d arrived", l.count, len(l.taken), len(mails))
		}
		return err
	})
}
