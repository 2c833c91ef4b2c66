package auditor

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"carepost/internal/audit"
	"carepost/internal/auditor/auditortest"
	"carepost/internal/keyring"
	"carepost/internal/store"
	"carepost/internal/store/storetest"
)

// world is an audit log that an auditor follows.
type world struct {
	t      *testing.T
	store  *store.Store
	log    *audit.Log
	cursor audit.Cursor
	n      int // messages in it
}

func newWorld(t *testing.T) *world {
	s := storetest.SQLite(t)
	l, err := audit.NewLog(audit.LogOptions{Store: s, Keys: keyring.New(s)})
	if err != nil {
		t.Fatal(err)
	}
	return &world{t: t, store: s, log: l, cursor: audit.Cursor{Store: s, Name: "syslog"}}
}

// write makes n messages for the repository, and as many entries that are none for it.
func (w *world) write(n int) {
	w.t.Helper()
	err := w.store.Tx(w.t.Context(), func(tx *store.Tx) error {
		for range n {
			if err := audit.Write(tx, audit.Entry{Actor: "local:root", Action: "queue.list", Object: "queue:all"}); err != nil {
				return err
			}
			w.n++
			e := audit.Entry{Actor: "local:root", Action: "anchor.add", Object: fmt.Sprint("anchor:", w.n)}
			if err := audit.Write(tx, e); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		_, err = w.log.Seal(w.t.Context())
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// quick are times for tests.
var quick = Times{Poll: 20 * time.Millisecond, Quiet: 200 * time.Millisecond, Least: 50 * time.Millisecond, Most: 200 * time.Millisecond, End: 10 * time.Second}

func (w *world) auditor(o Options) *Auditor {
	w.t.Helper()
	if o.Log == nil {
		o.Log = w.cursor
	}
	o.Source = Source{ID: "mx.north.example", Site: "north.example", Host: "mx.north.example"}
	if o.Times == (Times{}) {
		o.Times = quick
	}
	a, err := New(o)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// run runs a until stop is called.
func run(t *testing.T, a *Auditor) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := a.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	t.Cleanup(stop)
	return stop
}

// until waits for something, long enough for a machine that has other work.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("in vain: " + what)
		}
	}
}

// done says that everything has arrived, as far as the log tells.
func (w *world) done() bool {
	told, err := w.cursor.Told(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return told == int64(2*w.n)
}

// arrived checks that every message is there, in order but for repeats, which are the same to the octet. A server that ends in the middle of
// a frame may keep its beginning: that is no message, and the whole one comes again.
func (w *world) arrived(r *auditortest.Rsyslog) (repeats int) {
	w.t.Helper()
	var first []string
	seen := map[string]bool{}
	for _, m := range r.Messages() {
		if !strings.HasSuffix(m, "</AuditMessage>") {
			w.t.Logf("the beginning of a message is kept: %d octets", len(m))
			continue
		}
		if seen[m] {
			repeats++
			continue
		}
		seen[m] = true
		_, about, _ := strings.Cut(m, "urn:x-carepost:anchor:")
		about, _, _ = strings.Cut(about, `"`)
		first = append(first, about)
	}
	var want []string
	for i := range w.n {
		want = append(want, fmt.Sprint(i+1))
	}
	if !slices.Equal(first, want) {
		w.t.Errorf("%d of %d messages arrived, or in another order: %.200q", len(first), w.n, first)
	}
	return repeats
}

// A follower that is new begins where the log is now, once: what was written before it is not told, and what it has not heard since is.
func TestBegin(t *testing.T) {
	w := newWorld(t)
	w.write(5)
	for range 2 {
		if err := w.cursor.Begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		if told, err := w.cursor.Told(t.Context()); told != 10 || err != nil {
			t.Errorf("it begins behind %d, %v", told, err)
		}
		w.write(1)
	}
}

func TestRsyslog(t *testing.T) {
	r, w := auditortest.Start(t), newWorld(t)
	w.write(20)
	a := w.auditor(Options{Server: r.At, TLS: r.TLS})
	stop := run(t, a)
	until(t, "the first messages", w.done)
	if n := w.arrived(r); n != 0 {
		t.Errorf("%d repeats", n)
	}
	stop()
}

// Whatever becomes of the server, nothing is lost, and what comes twice is the same: killed between messages, killed under them, stopped by
// its operator, and not there at all when we begin.
func TestServerComesAndGoes(t *testing.T) {
	r, w := auditortest.Start(t), newWorld(t)
	r.Kill()
	w.write(5)
	a := w.auditor(Options{Server: r.At, TLS: r.TLS})
	stop := run(t, a)
	until(t, "a failure", func() bool { return a.State().Reason != "" })
	if s := a.State(); s.Told != 0 || s.Since.IsZero() {
		t.Errorf("%+v", s)
	}
	r.Restart()
	until(t, "what waited for the server", w.done)
	for i, end := range []func(){r.Kill, r.Stop} {
		before := len(r.Messages())
		w.write(200)
		until(t, "some of them", func() bool { return len(r.Messages()) > before+i*100 })
		end() // while the connection is open: it is not known what has arrived
		w.write(20)
		r.Restart()
		until(t, "all of them", w.done)
	}
	repeats := w.arrived(r)
	t.Logf("%d messages, and %d of them twice", w.n, repeats)
	stop()
	if s := a.State(); s.Told != int64(2*w.n) {
		t.Errorf("%+v", s)
	}
}

// We are stopped and started again: what was being told is told, once where the server answers the end of the connection.
func TestWeComeAndGo(t *testing.T) {
	r, w := auditortest.Start(t), newWorld(t)
	for range 2 {
		w.write(50)
		before := len(r.Messages())
		o := Options{Server: r.At, TLS: r.TLS, Times: quick}
		o.Times.Quiet = time.Minute // the stop comes while the connection is open
		stop := run(t, w.auditor(o))
		until(t, "all messages", func() bool { return len(r.Messages()) >= before+50 })
		stop()
		if !w.done() {
			t.Error("the stop did not end the connection in order")
		}
	}
	if n := w.arrived(r); n != 0 {
		t.Errorf("%d repeats", n)
	}
}

// Who we are is proven both ways: a server that does not know us, and one that we do not know, are told nothing, and the state says why.
func TestCertificates(t *testing.T) {
	r, w := auditortest.Start(t), newWorld(t)
	w.write(1)
	for name, tc := range map[string]struct {
		o    Options
		want string
	}{
		"our certificate is nobody's":     {Options{TLS: r.Stranger}, "auditor: "},
		"the server is nobody's":          {Options{TLS: func() (*tls.Config, error) { return &tls.Config{ServerName: auditortest.ServerName}, nil }}, "unknown authority"},
		"the server has another name":     {Options{TLS: named(r, "elsewhere.example")}, "elsewhere.example"},
		"our certificate cannot be read":  {Options{TLS: func() (*tls.Config, error) { return nil, os.ErrNotExist }}, "not exist"},
		"what answers there knows no TLS": {Options{Server: plain(t)}, "tls: "},
	} {
		tc.o.Server = or(tc.o.Server, r.At)
		a := w.auditor(tc.o)
		stop := run(t, a)
		until(t, name, func() bool { return a.State().Reason != "" })
		stop()
		if s := a.State(); !strings.Contains(s.Reason, tc.want) || s.Told != 0 {
			t.Errorf("%s: %+v", name, s)
		}
	}
	if got := r.Messages(); len(got) != 0 {
		t.Errorf("%q", got)
	}
}

func named(r *auditortest.Rsyslog, name string) func() (*tls.Config, error) {
	return func() (*tls.Config, error) {
		c, err := r.TLS()
		c.ServerName = name
		return c, err
	}
}

// plain is a server that greets in clear.
func plain(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprint(c, "220 mx.north.example ESMTP\r\n")
			c.Close()
		}
	}()
	return l.Addr().String()
}
