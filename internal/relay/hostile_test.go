package relay_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"carepost/addr"
	"carepost/internal/relay"
	"carepost/internal/transit"
	"carepost/resolver"
)

// A server that never takes a message is no "never" while another could not be asked: the mail waits.
func TestBackupCannotReject(t *testing.T) {
	one, two := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	small := "S: 220 m.example\nC: EHLO us.example\nS~ 250-m.example\\r\\n250 SIZE 3\\r\\n\nC: EOF\n"
	for name, c := range map[string]struct {
		primary, backup string // scripts; "" is down
		addrs           map[string][]netip.Addr
		want            string
	}{
		"backup has no address": {"", "", map[string][]netip.Addr{"m1.example": {one}}, "deferred 0 4.4.1"},
		"backup is too small":   {"", small, map[string][]netip.Addr{"m1.example": {one}, "m2.example": {two}}, "deferred 0 4.4.1"},
		"backup says 521":       {"S: 421 4.3.2 busy\nC: EOF\n", "S: 521 never\nC: EOF\n", map[string][]netip.Addr{"m1.example": {one}, "m2.example": {two}}, "deferred 421 4.3.2 busy"},
		"both too small":        {small, small, map[string][]netip.Addr{"m1.example": {one}, "m2.example": {two}}, "rejected 0 5.3.4"},
	} {
		t.Run(name, func(t *testing.T) {
			var scripts []string
			for _, s := range []string{c.primary, c.backup} {
				if s != "" {
					scripts = append(scripts, s)
				}
			}
			dns := &directory{mx: []resolver.MX{{Pref: 1, Host: "m1.example"}, {Pref: 2, Host: "m2.example"}}, addrs: c.addrs, err: resolver.ErrNotFound}
			dial, end := play(t, scripts...)
			o := relay.Options{Hostname: "us.example", Resolver: dns}
			o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				if c.primary == "" && strings.HasPrefix(address, "192.0.2.1:") {
					return nil, errors.New("connection refused")
				}
				return dial(ctx, network, address)
			}
			got := relay.New(o).Deliver(t.Context(), consignment(t, "a@x.example", "b@y.example", text("a: b\r\n\r\n")))
			end()
			if a := describe(got.At[0]); !strings.HasPrefix(a, c.want) {
				t.Errorf("got %q, want %q", a, c.want)
			}
			if says := int64(strings.Count(c.primary+c.backup, "SIZE 3")); got.Most != min(says, 1)*3 {
				t.Errorf("the servers take %d bytes at most", got.Most)
			}
		})
	}
}

// DNS that lists hosts without end does not keep us asking.
func TestManyHosts(t *testing.T) {
	dns := &directory{err: resolver.ErrNotFound}
	for i := range 3000 {
		dns.mx = append(dns.mx, resolver.MX{Pref: 1, Host: fmt.Sprintf("m%d.example", i)})
	}
	o := relay.Options{Hostname: "us.example", Resolver: dns}
	got := relay.New(o).Deliver(t.Context(), consignment(t, "a@x.example", "b@y.example", text("a: b\r\n\r\n")))
	if a := describe(got.At[0]); !strings.HasPrefix(a, "rejected 0 5.4.4") || len(dns.asked) > 10 {
		t.Errorf("%q after %d look-ups", a, len(dns.asked))
	}
}

// tarpit answers every line after pause, and swallows content by the piece.
func tarpit(pause time.Duration, replies ...string) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		us, them := net.Pipe()
		go func() {
			defer them.Close()
			buf := make([]byte, 4096)
			for i := 0; ; i++ {
				time.Sleep(pause)
				if _, err := io.WriteString(them, replies[min(i, len(replies)-1)]); err != nil {
					return
				}
				if _, err := them.Read(buf); err != nil {
					return
				}
			}
		}()
		return us, nil
	}
}

// However patient each step is, a delivery ends: a tar-pit does not keep a worker for hours. Progress goes on meanwhile.
func TestTarpit(t *testing.T) {
	var many []string
	for i := range 100 {
		many = append(many, fmt.Sprintf("r%d@y.example", i))
	}
	for name, c := range map[string]struct {
		dial func(context.Context, string, string) (net.Conn, error)
		size int
		most time.Duration
		want string
	}{
		"recipients": {tarpit(4*time.Minute, "220 m.example\r\n", "250 m.example\r\n", "250 ok\r\n", "250 ok\r\n"), 10, 31 * time.Minute,
			"deferred 0 4.4.2 waiting for the reply to RCPT: the time for one delivery is over"},
		"greetings": {tarpit(4*time.Minute, "421 later\r\n"), 10, 31 * time.Minute, "deferred 421"},
		"content":   {peer(2048, time.Second, 0), 10 << 20, 42 * time.Minute, "deferred 0 4.4.2 sending the message: the time for one delivery is over"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dns := &directory{mxErr: resolver.ErrNotFound, addrs: map[string][]netip.Addr{}}
				for i := range 12 {
					dns.addrs["y.example"] = append(dns.addrs["y.example"], netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}))
				}
				o := relay.Options{Hostname: "us.example", Resolver: dns, Dial: c.dial}
				to := "b@y.example"
				if name == "recipients" {
					to = strings.Join(many, " ")
				}
				d := consignment(t, "a@x.example", to, text(strings.Repeat("a: bcdef\r\n", c.size/10)))
				begin := time.Now()
				seen, gap := begin, time.Duration(0)
				d.Progress = func(int64) error {
					gap, seen = max(gap, time.Since(seen)), time.Now()
					return nil
				}
				got := relay.New(o).Deliver(t.Context(), d)
				if took := time.Since(begin); took > c.most || took < c.most*3/4 {
					t.Errorf("after %v, want about %v", took, c.most)
				}
				if gap > 5*time.Minute {
					t.Errorf("no word of progress for %v", gap)
				}
				for _, a := range got.At {
					if s := describe(a); !strings.HasPrefix(s, c.want) {
						t.Fatalf("got %q, want %q", s, c.want)
					}
				}
				time.Sleep(time.Hour) // until the server has noticed
			})
		})
	}
}

// The time for a delivery does not cut short the wait for the last reply, which decides whether the message is sent twice.
func TestTimeOverAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := relay.Options{Hostname: "us.example", Routes: map[addr.Domain]string{"y.example": "m.example:25"}, Dial: peer(4096, 0, 9*time.Minute)}
		o.Timeouts.Delivery = time.Minute
		got := relay.New(o).Deliver(t.Context(), consignment(t, "a@x.example", "b@y.example", text("a: b\r\n\r\n")))
		if a := describe(got.At[0]); !strings.HasPrefix(a, "delivered 250") {
			t.Error(a)
		}
	})
}

// Content that a server takes slowly is reported often enough for a lease to live.
func TestProgressOfSlowContent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := relay.Options{Hostname: "us.example", Routes: map[addr.Domain]string{"y.example": "m.example:25"}, Dial: peer(4096, 3*time.Second, 0)}
		d := consignment(t, "a@x.example", "b@y.example", text(strings.Repeat("a: bcdef\r\n", 150<<10)))
		seen, gap := time.Now(), time.Duration(0)
		d.Progress = func(int64) error { gap, seen = max(gap, time.Since(seen)), time.Now(); return nil }
		got := relay.New(o).Deliver(t.Context(), d)
		if a := describe(got.At[0]); !strings.HasPrefix(a, "delivered 250") || gap > 2*time.Minute {
			t.Errorf("%s, silent for %v", a, gap)
		}
	})
}

// A server's words cost the same whatever their length and whoever else is written to.
func TestWordsAreBounded(t *testing.T) {
	var to []string
	for i := range 1000 {
		to = append(to, fmt.Sprintf("recipient%d@y.example", i))
	}
	flood := strings.Repeat("550-"+strings.Repeat("x ", 1020)+"\r\n", 127) + "550 end\r\n"
	o := relay.Options{Hostname: "us.example", Routes: map[addr.Domain]string{"y.example": "m.example:25"}}
	o.Dial = tarpit(0, "220 m.example\r\n", "250 m.example\r\n", "250 ok\r\n", flood)
	begin := time.Now()
	got := relay.New(o).Deliver(t.Context(), consignment(t, "a@x.example", strings.Join(to[:10], " "), text("a: b\r\n\r\n")))
	few := time.Since(begin)
	begin = time.Now()
	d := consignment(t, "a@x.example", strings.Join(to, " "), text("a: b\r\n\r\n"))
	d.To = append(d.To[:0:0], d.To...)
	again := relay.New(o).Deliver(t.Context(), d)
	if all := time.Since(begin); all > 1000*(few+time.Millisecond) {
		t.Errorf("10 recipients took %v, 1000 took %v", few, all)
	}
	for _, a := range append(got.At, again.At...) {
		if a.Result != transit.Rejected || a.Code != 550 || len(a.Text) > 300 {
			t.Fatal(describe(a))
		}
	}
}

// A server's words are kept without the addresses that they repeat, also those that have spaces.
func TestWordsWithoutAddresses(t *testing.T) {
	o := relay.Options{Hostname: "us.example", Routes: map[addr.Domain]string{"y.example": "m.example:25"}}
	var end func()
	o.Dial, end = play(t, "S: 220 m.example\nC: EHLO us.example\nS: 250 m.example\nC: MAIL FROM:<\"jo hn\"@x.example>\nS: 250 ok\nC: RCPT TO:<\"q r\"@y.example>\n"+
		"S: 550 5.1.1 no <\"q r\"@y.example> here, q r is unknown to \"jo hn\"; ask JOE@z.example "+strings.Repeat("x", 1800)+"\nC: RSET\nS: 250 ok\nC: QUIT\n")
	d := consignment(t, "a@x.example", "", text("a: b\r\n\r\n"))
	d.From.Address.Endpoint, d.To = "jo hn", []addr.Address{address(t, `"q r"@y.example`)}
	got := relay.New(o).Deliver(t.Context(), d)
	end()
	if a := describe(got.At[0]); a != "rejected 550 5.1.1 no <<...>> here, <...> is unknown to <...>; ask <...>" {
		t.Error(a)
	}
}

// The server that took the message is the one that is named, whoever was asked about the rest.
func TestWhoTookIt(t *testing.T) {
	dns := &directory{mx: []resolver.MX{{Pref: 1, Host: "m1.example"}, {Pref: 2, Host: "m2.example"}},
		addrs: map[string][]netip.Addr{"m1.example": {netip.MustParseAddr("192.0.2.1")}, "m2.example": {netip.MustParseAddr("192.0.2.2")}}}
	o := relay.Options{Hostname: "us.example", Resolver: dns}
	var end func()
	o.Dial, end = play(t, untilMail+"S: 250 ok\nC: RCPT TO:<b@y.example>\nS: 250 ok\nC: RCPT TO:<c@y.example>\nS: 450 4.2.0 later\nC: DATA\nS: 354 go\n"+
		"C~ a: b\\r\\n\\r\\n.\\r\\n\nS: 250 2.0.0 ok\nC: QUIT\n", "S: 421 4.3.2 busy\nC: EOF\n")
	got := relay.New(o).Deliver(t.Context(), consignment(t, "a@x.example", "b@y.example c@y.example", text("a: b\r\n\r\n")))
	end()
	if a := describe(got.At[0]); a != "delivered 250 2.0.0 ok" || got.Host != "m1.example" {
		t.Errorf("%s by %s", a, got.Host)
	}
	if a := describe(got.At[1]); a != "deferred 421 4.3.2 busy" {
		t.Error(a)
	}
}

// An address that was not made by package addr cannot put commands of its own on the wire; the others are served.
func TestInjectedAddress(t *testing.T) {
	o := relay.Options{Hostname: "us.example", Routes: map[addr.Domain]string{"y.example": "m.example:25"}}
	var end func()
	o.Dial, end = play(t, untilMail+"S: 250 ok\nC: RCPT TO:<b@y.example>\nS: 250 ok\nC: DATA\nS: 354 go\nC~ a: b\\r\\n\\r\\n.\\r\\n\nS: 250 2.0.0 ok\nC: QUIT\n")
	d := consignment(t, "a@x.example", "b@y.example", text("a: b\r\n\r\n"))
	d.To = append(d.To, addr.Address{Endpoint: "c\r\nRSET\r\n", Domain: "y.example"})
	got := relay.New(o).Deliver(t.Context(), d)
	end()
	if a, b := describe(got.At[0]), describe(got.At[1]); a != "delivered 250 2.0.0 ok" || !strings.HasPrefix(b, "rejected 0 5.1.3 ") {
		t.Errorf("%s, %s", a, b)
	}
	d.From.Address.Endpoint = "a>\r\nRSET\r\n<"
	if got := relay.New(o).Deliver(t.Context(), d); !strings.HasPrefix(describe(got.At[0]), "rejected 0 5.1.7 ") {
		t.Error(describe(got.At[0]))
	}
}
