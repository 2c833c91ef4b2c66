//go:build linux

package crashfs_test

import (
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/gateway/gatewaytest"
	"carepost/internal/store"
	"carepost/internal/transit"
)

// clients send plain letters over SMTP, whatever they are told.
type clients struct {
	t     *testing.T
	to    addr.Address
	port  string
	ended chan struct{}
	all   sync.WaitGroup

	mu      sync.Mutex
	taken   []string       // ids
	refused map[string]int // replies
}

var takenAs = regexp.MustCompile(`^2\.0\.0 Taken as (\S+)$`)

func (c *clients) begin(n int) {
	for i := range n {
		c.all.Go(func() {
			for k := 0; ; k++ {
				select {
				case <-c.ended:
					return
				default:
				}
				if err := c.session(i, k); err != nil {
					c.t.Errorf("a session ended by %v", err)
					return
				}
			}
		})
	}
}

// session is one connection with a few messages. Only its own troubles are an error.
func (c *clients) session(i, k int) error {
	conn, err := net.Dial("tcp", c.port)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return err
	}
	x := textproto.NewConn(conn)
	if _, _, err := x.ReadResponse(220); err != nil {
		return err
	}
	from := addr.Address{Endpoint: "lab", Domain: there}
	said := func(line string, code int) (bool, error) {
		if line != "" {
			if err := x.PrintfLine("%s", line); err != nil {
				return false, err
			}
		}
		_, text, err := x.ReadResponse(code)
		if refusal := (*textproto.Error)(nil); errors.As(err, &refusal) {
			c.note("", fmt.Sprint(refusal.Code, " ", refusal.Msg))
			return false, nil
		}
		if m := takenAs.FindStringSubmatch(text); m != nil && err == nil {
			c.note(m[1], "")
		}
		return true, err
	}
	if _, err := said("EHLO client.south.example", 250); err != nil {
		return err
	}
	for n := range 5 {
		ok := true
		for _, line := range []string{"MAIL FROM:<" + from.String() + ">", "RCPT TO:<" + c.to.String() + ">"} {
			if ok, err = said(line, 250); err != nil || !ok {
				break
			}
		}
		if ok && err == nil {
			ok, err = said("DATA", 354)
		}
		if ok && err == nil {
			w := x.DotWriter()
			if _, err := w.Write([]byte(letter(from, c.to, i*1_000_000+k*10+n, 300+(n%2)*60_000))); err != nil {
				return err
			}
			if err := w.Close(); err != nil {
				return err
			}
			_, err = said("", 250)
		}
		if err == nil && !ok {
			_, err = said("RSET", 250)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *clients) note(id, refusal string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if refusal != "" {
		c.refused[refusal]++
		return
	}
	c.taken = append(c.taken, id)
}

// more waits for so many more messages taken and refused.
func (c *clients) more(taken, refused int) {
	c.t.Helper()
	count := func() (t, r int) {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, n := range c.refused {
			r += n
		}
		return len(c.taken), r
	}
	t0, r0 := count()
	gatewaytest.Until(c.t, func() bool { t, r := count(); return t >= t0+taken && r >= r0+refused }, func() string {
		t, r := count()
		return fmt.Sprintf("%d messages more to be taken and %d to be refused; it is %d and %d", taken, refused, t-t0, r-r0)
	})
}

// Facts of storage §7.3: an installation whose disk fills up, first below what bodies leave to the database, then to the last byte, while
// clients send and its own steps run. Clients hear 452 4.3.1 and nothing else; when there is room again all goes on without a
// restart, and everything that was taken is there.
func TestFullVolume(t *testing.T) {
	v := newVolume(t, 256<<20)
	w := gatewaytest.NewIn(t, func(d addr.Domain) string {
		if d == desk.Domain {
			return filepath.Join(v.dir, folder)
		}
		return filepath.Join(t.TempDir(), d.String())
	}, desk.Domain, there)
	w.Trust()
	w.Run()
	north, south := w.All[0], w.All[1]
	c := &clients{t: t, to: north.Address, port: north.Hears.MX.Addr().String(), ended: make(chan struct{}), refused: map[string]int{}}
	c.begin(8)
	end := sync.OnceFunc(func() { close(c.ended); c.all.Wait() })
	defer end()
	type sent struct {
		by *gatewaytest.Practice
		to addr.Address
		id string
	}
	var letters []sent
	exchange := func() { // sealed mail both ways
		for range few(5) {
			letters = append(letters, sent{south, north.Address, south.Submit(t, south.Letter("s", "t", north.Address), north.Address)})
			id, err := north.Flow().Submit(t.Context(), gatewaytest.Actor,
				transit.Envelope{From: addr.Path{Address: north.Address}, To: []addr.Address{south.Address}},
				strings.NewReader(north.Letter("s", "t", south.Address)))
			switch {
			case err == nil:
				letters = append(letters, sent{north, south.Address, id})
			case !errors.Is(err, syscall.ENOSPC):
				t.Errorf("submitting: %v", err)
			}
		}
	}
	c.more(few(30), 0)
	exchange()
	v.fill(60 << 20) // less than bodies leave to the database
	c.more(0, few(30))
	exchange()
	v.fill(0)
	exchange()
	c.more(0, few(200))
	v.clear()
	c.more(few(50), 0)
	exchange()
	v.fill(0) // at once
	c.more(0, few(200))
	v.clear()
	c.more(few(50), 0)
	end()

	for reply, n := range c.refused {
		if !strings.HasPrefix(reply, "452 4.3.1 ") {
			t.Errorf("%d times: %s", n, reply)
		}
	}
	hurry := func() bool {
		idle := true
		for _, p := range w.All {
			works, err := p.Queue(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range works {
				if !strings.Contains("inbound outbound deliver notice failure", x.Kind) {
					continue
				}
				idle = false
				if x.State == store.Ready {
					_ = p.Flow().Retry(t.Context(), gatewaytest.Actor, x.ID) // a worker was quicker
				}
			}
		}
		return idle
	}
	gatewaytest.Until(t, hurry, func() string { return "empty queues" })
	for _, l := range letters {
		l.by.Await(t, l.id, l.to, transit.Processed)
	}
	for _, id := range c.taken {
		l, err := north.Flow().Timeline(t.Context(), "test", id)
		if err != nil || len(l.Recipients) != 1 || l.Recipients[0].State != transit.Aside {
			t.Errorf("message %s: %v, %+v", id, err, l.Recipients)
		}
	}
	t.Logf("%d messages taken, refused: %v; %d sealed letters", len(c.taken), c.refused, len(letters))
	for _, p := range w.All {
		p.Stop()
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		integrity(t, filepath.Join(p.Dir, "data", "carepost.db"))
		if left, err := os.ReadDir(filepath.Join(p.Dir, "data", "drafts")); err != nil || len(left) != 0 {
			t.Errorf("drafts are left: %v, %v", left, err)
		}
	}
}
