package collect

import (
	"context"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// DCM-30, ATT-44: answers that cannot be end the round, and nothing is taken or removed.
func TestHostileLists(t *testing.T) {
	p := newProvider(t, letters("a")...)
	h := newHouse(t, p)
	for name, c := range map[string]struct{ at, answer string }{
		"names twice":   {"UIDL", "+OK\r\n1 a\r\n2 a\r\n.\r\n"},
		"numbers twice": {"UIDL", "+OK\r\n1 a\r\n1 b\r\n.\r\n"},
		"another mail":  {"LIST", "+OK\r\n7 100\r\n.\r\n"},
		"no size":       {"LIST", "+OK\r\n1 -9\r\n.\r\n"},
		"no list":       {"UIDL", "-ERR what\r\n"},
		"a long line":   {"UIDL", "+OK\r\n1 " + strings.Repeat("x", 200_000)},
		"no greeting":   {"(connected)", "HTTP/1.1 400 Bad Request\r\n\r\n"},
		"out of turn":   {"PASS their secret", "+OK\r\n+OK\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			h.t = t
			p.answers(func(_ int, line string) (string, bool) {
				if line == c.at {
					return c.answer, false
				}
				return "", false
			})
			h.round(0, 0, 0, "pop3: the server does not speak POP3 as it should")
			if told := h.told(); len(h.texts()) != 0 || len(p.lying()) != 1 || !told.Heard.IsZero() || strings.Contains(told.Error, "secret") {
				t.Errorf("%+v", told)
			}
		})
	}
}

// flood answers command with what has no end, in pieces, and tells how much of it was taken.
func flood(t *testing.T, command, begin, piece string) (p *provider, taken *atomic.Int64) {
	t.Helper()
	p, taken = newProvider(t, letters("a")...), new(atomic.Int64)
	p.set(func() {
		p.pour = func(line string, to io.Writer) bool {
			if line != command {
				return false
			}
			for _, err := io.WriteString(to, begin); err == nil; _, err = io.WriteString(to, piece) {
				taken.Add(int64(len(piece)))
			}
			return true
		}
	})
	return p, taken
}

// ATT-44: a list and a mail without end are given up in bounded time and memory; the mail stays refused, at the size that is taken and no more.
func TestEndless(t *testing.T) {
	p, taken := flood(t, "CAPA", "+OK\r\n", strings.Repeat("X\r\n", 1000))
	h := newHouse(t, p)
	h.round(0, 0, 0, "more than 100 lines")
	if n := taken.Load(); n > 64<<20 {
		t.Errorf("%d octets", n)
	}

	p, taken = flood(t, "RETR 1", "+OK\r\nSubject: x\r\n\r\n", strings.Repeat("0123456789\r\n", 1000))
	h = newHouse(t, p, func(x *Source) { x.Largest = 1 << 20 })
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	h.round(0, 1, 0, "")
	runtime.ReadMemStats(&after)
	if n := taken.Load(); n < 1<<20 || n > 64<<20 {
		t.Errorf("%d octets", n)
	}
	if held := int64(after.HeapAlloc) - int64(before.HeapAlloc); held > 64<<20 {
		t.Errorf("%d octets are held", held)
	}
	if told := h.told(); len(told.Refused) != 1 || len(h.texts()) != 0 || h.drafts() != 0 {
		t.Errorf("%+v, %d drafts", told, h.drafts())
	}
}

// ATT-44. Our own end in the middle of a mail, whether it is a stop or time that is up while the server trickles: nothing is half here, nothing is said of
// the provider, and the next round takes the mail whole.
func TestCancelled(t *testing.T) {
	p := newProvider(t, letters("a", "b")...)
	h := newHouse(t, p)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var once sync.Once
	p.answers(func(_ int, line string) (string, bool) {
		if line != "RETR 2" {
			return "", false
		}
		once.Do(cancel)
		return "+OK\r\nSubject: b\r\n\r\nhalf of i", true
	})
	h.roundIn(ctx, Fetched{Taken: 1}, context.Canceled.Error())
	if told := h.told(); len(h.texts()) != 1 || h.drafts() != 0 || !told.Tried.IsZero() || told.Error != "" || told.Taken != 1 || len(told.Refused) != 0 {
		t.Errorf("%d are ours, %d drafts, %+v", len(h.texts()), h.drafts(), told)
	}
	if got := p.lying(); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("%q lie there", got)
	}
	p.answers(nil)
	h.round(1, 0, 2, "")
	if len(h.texts()) != 2 || len(p.lying()) != 0 {
		t.Errorf("%d are ours, %q lie there", len(h.texts()), p.lying())
	}
}

// trickle gives one octet a read, and says when the first ones of a mail have come.
type trickle struct {
	net.Conn
	read func()
}

func (c trickle) Read(b []byte) (int, error) {
	c.read()
	return c.Conn.Read(b[:1])
}

// A server that trickles ends with the time of who asked.
func TestTrickle(t *testing.T) {
	p := newProvider(t, letters("a")...)
	h := newHouse(t, p)
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	reads := 0
	h.o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		return trickle{conn, func() {
			if reads++; reads == 2000 {
				cancel()
			}
		}}, err
	}
	h.roundIn(ctx, Fetched{}, context.Canceled.Error())
	if told := h.told(); reads < 2000 || len(h.texts()) != 0 || h.drafts() != 0 || !told.Tried.IsZero() {
		t.Errorf("%d reads, %d are ours, %+v", reads, len(h.texts()), told)
	}
	h.o.Dial = (&net.Dialer{}).DialContext
	h.round(1, 0, 1, "")
}
