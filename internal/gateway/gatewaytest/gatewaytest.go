// Package gatewaytest gives tests whole installations on loopback: real listeners, stores and certificates, in a folder that goes with the
// test.
package gatewaytest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/flow"
	"carepost/internal/gateway"
	"carepost/internal/store"
	"carepost/internal/store/storetest"
	"carepost/internal/transit"
)

// Actor is who acts in tests.
const Actor = "test"

// patience is how long a test waits for what must happen.
const patience = 60 * time.Second

// World is installations that know one another's name servers.
type World struct {
	tb  testing.TB
	All []*Practice
}

// Practice is one installation of a World.
type Practice struct {
	*gateway.Gateway
	Address addr.Address // desk@DOMAIN, an account
	Dir     string
	Hears   gateway.Listeners
	Valve   *Valve // before its SMTP port, on the way from everybody else

	opts gateway.Options
	mu   sync.Mutex
	stop func()
}

// New makes an installation for each domain. They run only when told to, and trust only their own authority.
func New(tb testing.TB, domains ...addr.Domain) *World {
	tb.Helper()
	return NewWith(tb, func(*gateway.Options) {}, domains...)
}

// NewIn is New with the installations in folders of the caller's, which are made.
func NewIn(tb testing.TB, dir func(addr.Domain) string, domains ...addr.Domain) *World {
	tb.Helper()
	return NewWith(tb, func(o *gateway.Options) { o.Dir = dir(o.Domain) }, domains...)
}

// NewWith is New with options changed by set.
func NewWith(tb testing.TB, set func(*gateway.Options), domains ...addr.Domain) *World {
	tb.Helper()
	w := &World{tb: tb}
	for _, d := range domains {
		l, err := gateway.Loopback()
		if err != nil {
			tb.Fatal(err)
		}
		w.All = append(w.All, &Practice{Address: addr.Address{Endpoint: "desk", Domain: d}, Hears: l,
			Valve: newValve(tb, l.MX.Addr().String())})
	}
	var wg sync.WaitGroup
	for _, p := range w.All {
		p.opts = w.options(p)
		if set(&p.opts); p.opts.Dir == "" {
			p.opts.Dir = filepath.Join(tb.TempDir(), p.Address.Domain.String())
		}
		p.Dir = p.opts.Dir
		if _, err := os.Stat(p.Dir); p.opts.Postgres == "" && os.IsNotExist(err) {
			storetest.Dir(tb, filepath.Join(p.Dir, "data"))
		}
		wg.Go(func() { p.open(tb) })
	}
	wg.Wait()
	if tb.Failed() {
		tb.FailNow()
	}
	return w
}

// options wires p to the others: their name servers, their SMTP ports by route (MX serves one port only), their HTTP ports.
func (w *World) options(p *Practice) gateway.Options {
	o := gateway.Options{
		Domain: p.Address.Domain, Pilot: true, Listeners: p.Hears,
		Network: gateway.Network{
			Stub: map[addr.Domain][]string{}, Routes: map[addr.Domain]string{},
			Trial: gateway.Trial{Prefixes: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
		},
	}
	for _, q := range w.All {
		o.Network.Trial.Ports = append(o.Network.Trial.Ports, uint16(gateway.Port(q.Hears.HTTP)))
		if q != p {
			o.Network.Stub[q.Address.Domain] = []string{q.Hears.DNSTCP.Addr().String()}
			o.Network.Routes[q.Address.Domain] = q.Valve.Addr
		}
	}
	return o
}

func (p *Practice) open(tb testing.TB) {
	g, err := gateway.Open(tb.Context(), p.opts)
	if err != nil {
		tb.Error(err)
		return
	}
	p.Gateway = g
	if err := g.AddAccount(tb.Context(), Actor, p.Address); err != nil {
		tb.Error(err)
	}
	tb.Cleanup(func() {
		p.Stop()
		if err := g.Close(); err != nil {
			tb.Error(err)
		}
	})
}

// Trust lets everybody trust everybody else's authority.
func (w *World) Trust() {
	w.tb.Helper()
	for _, p := range w.All {
		for _, q := range w.All {
			p.Admit(w.tb, q)
		}
	}
}

// Admit lets p trust q's authority.
func (p *Practice) Admit(tb testing.TB, q *Practice) {
	tb.Helper()
	if err := p.Trust(tb.Context(), Actor, q.Anchor(), "test"); err != nil {
		tb.Fatal(err)
	}
}

// Run starts everybody.
func (w *World) Run() {
	for _, p := range w.All {
		p.Start(w.tb)
	}
}

// Start runs p until Stop or the end of the test.
func (p *Practice) Start(tb testing.TB) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := p.Gateway.Run(ctx); err != nil {
			tb.Error(err)
		}
	}()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stop = func() { cancel(); <-done }
}

// Stop ends a run and waits until it has ended.
func (p *Practice) Stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stop != nil {
		p.stop()
		p.stop = nil
	}
}

// Letter writes a small RFC 5322 message from p.
func (p *Practice) Letter(subject, text string, to ...addr.Address) string {
	var names []string
	for _, a := range to {
		names = append(names, a.String())
	}
	return strings.ReplaceAll(fmt.Sprintf(`From: %s
To: %s
Date: Sat, 21 Nov 2026 10:00:00 +0000
Message-ID: <%d@%s>
Subject: %s
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8

%s
`, p.Address, strings.Join(names, ", "), time.Now().UnixNano(), p.Address.Domain, subject, text), "\n", "\r\n")
}

// Submit hands p's message over and returns its id.
func (p *Practice) Submit(tb testing.TB, text string, to ...addr.Address) string {
	tb.Helper()
	id, err := p.Flow().Submit(tb.Context(), Actor, transit.Envelope{From: addr.Path{Address: p.Address}, To: to}, strings.NewReader(text))
	if err != nil {
		tb.Fatal(err)
	}
	return id
}

// Await waits until a recipient of a message is in the state wanted and returns its row. Another final state fails the test.
func (p *Practice) Await(tb testing.TB, id string, to addr.Address, want transit.State) store.Recipient {
	tb.Helper()
	var last store.Recipient
	seen := int64(-1)
	Until(tb, func() bool {
		t, err := p.Flow().News(tb.Context(), Actor, id, seen)
		if errors.Is(err, flow.ErrNoNews) {
			return false
		}
		if err != nil {
			tb.Fatal(err)
		}
		seen = t.Events[len(t.Events)-1].Seq
		for _, r := range t.Recipients {
			if r.Address.Equal(to) {
				last = r
			}
		}
		if last.State.Final() && last.State != want {
			tb.Fatalf("the message for %s is %q, want %q: %+v", to, last.State, want, t.Events)
		}
		return last.State == want
	}, func() string { return fmt.Sprintf("%s to become %q; it is %q (%s)", to, want, last.State, last.Text) })
	return last
}

// Inbox lists what p's account has, after waiting for n messages.
func (p *Practice) Inbox(tb testing.TB, n int) []store.Mail {
	tb.Helper()
	var mails []store.Mail
	Until(tb, func() bool {
		var err error
		if mails, err = p.Mailboxes().List(tb.Context(), Actor, p.Address, "INBOX", 0, 100); err != nil {
			tb.Fatal(err)
		}
		return len(mails) >= n
	}, func() string { return fmt.Sprintf("%d mails; there are %d", n, len(mails)) })
	return mails
}

// Text reads a whole mail.
func (p *Practice) Text(tb testing.TB, m store.Mail) string {
	tb.Helper()
	b, err := p.Mailboxes().Open(tb.Context(), Actor, m)
	if err != nil {
		tb.Fatal(err)
	}
	defer b.Close()
	text := make([]byte, b.Size())
	if _, err := b.ReadAt(text, 0); err != nil && int64(len(text)) != b.Size() {
		tb.Fatal(err)
	}
	return string(text)
}

// Until waits for ok. These are whole processes over real sockets: there is no clock to fake.
func Until(tb testing.TB, ok func() bool, what func() string) {
	tb.Helper()
	within(tb, patience, ok, what)
}

func within(tb testing.TB, most time.Duration, ok func() bool, what func() string) {
	tb.Helper()
	end := time.NewTimer(most)
	defer end.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-end.C:
			tb.Fatalf("waited %s for %s", most, what())
		case <-tick.C:
		}
	}
}

// Quiet waits until p has nothing left to do but what waits for its time.
func (p *Practice) Quiet(tb testing.TB) {
	tb.Helper()
	p.QuietWithin(tb, patience)
}

// QuietWithin is Quiet where deliveries that fail may go on for so long.
func (p *Practice) QuietWithin(tb testing.TB, most time.Duration) {
	tb.Helper()
	var busy []string
	within(tb, most, func() bool {
		works, err := p.Queue(tb.Context())
		if err != nil {
			tb.Fatal(err)
		}
		busy = nil
		for _, w := range works {
			switch w.Kind {
			case "deadline", "delay", "purge", "sweep", "scrub": // they wait for their time
			default:
				busy = append(busy, w.Kind+" "+w.Error)
			}
		}
		return len(busy) == 0
	}, func() string { return "an empty queue; it holds " + strings.Join(busy, ", ") })
}
