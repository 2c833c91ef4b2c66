package relay_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/relay"
	"carepost/internal/transit"
	"carepost/resolver"
	"carepost/sasl"
	"carepost/smtp/smtptest"
)

// body is a message in memory.
type body struct{ *strings.Reader }

func (b body) Size() int64 { return b.Reader.Size() }

func text(s string) transit.Body { return body{strings.NewReader(s)} }

func address(t testing.TB, s string) addr.Address {
	t.Helper()
	a, err := addr.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func consignment(t testing.TB, from string, to string, b transit.Body) transit.Consignment {
	d := transit.Consignment{ID: "d1", From: addr.Path{Address: address(t, from)}, Domain: "y.example", Body: b}
	for a := range strings.FieldsSeq(to) {
		d.To = append(d.To, address(t, a))
	}
	return d
}

func describe(a transit.Answer) string {
	result := map[transit.Result]string{transit.Deferred: "deferred", transit.Delivered: "delivered", transit.Rejected: "rejected"}[a.Result]
	return fmt.Sprintf("%s %d %s %s", result, a.Code, a.Enhanced, a.Text)
}

func first(list []string, or string) string {
	if len(list) == 0 {
		return or
	}
	return list[0]
}

// DIR-57 (RFC 3207), and the client's side of facts §5.
func TestSessions(t *testing.T) {
	cases, err := smtptest.Cases("testdata/sessions.txtar")
	if err != nil {
		t.Fatal(err)
	}
	cert, pool, err := smtptest.Certificate("mx.y.example")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) { playSession(t, c.Script, cert, pool) })
	}
}

func playSession(t *testing.T, script string, cert tls.Certificate, pool *x509.CertPool) {
	steps, err := smtptest.Parse(script)
	if err != nil {
		t.Fatal(err)
	}
	n := smtptest.Notes(steps)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	played := make(chan error, 1)
	dials := 0
	go func() {
		conn, err := l.Accept()
		if err == nil {
			err = smtptest.Play(smtptest.Server, conn, &tls.Config{Certificates: []tls.Certificate{cert}}, steps, time.Minute)
		}
		played <- err
	}()
	o := relay.Options{Hostname: "us.example", Routes: map[addr.Domain]string{"y.example": l.Addr().String()}, TLS: &tls.Config{RootCAs: pool}}
	if n["roots"] != nil {
		o.TLS.RootCAs = x509.NewCertPool()
	}
	if who := n["through"]; who != nil {
		user, password, _ := strings.Cut(who[0], " ")
		o.Through = []relay.Through{{Address: l.Addr().String(), Implicit: n["implicit"] != nil, TLS: o.TLS, Credentials: sasl.Credentials{User: user, Password: password}}}
		o.Routes = nil
	}
	o.Security = func(addr.Domain) relay.Security {
		return map[string]relay.Security{"": relay.Opportunistic, "encrypted": relay.Encrypted, "verified": relay.Verified}[first(n["security"], "")]
	}
	o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		dials++
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	b := first(n["body"], "Subject: x\r\n\r\n")
	if size := n["body-size"]; size != nil {
		k, _ := strconv.Atoi(size[0])
		b += strings.Repeat("0123456789012345678901234567890123456789\r\n", k/42)
	}
	d := consignment(t, first(n["from"], "a@x.example"), first(n["to"], "b@y.example"), text(b))

	client := relay.New(o)
	got := client.Deliver(t.Context(), d)

	if w := n["trouble"]; w != nil {
		if all := client.Troubles(); len(all) != 1 || all[0].Server != l.Addr().String() || all[0].Text != w[0] {
			t.Errorf("troubles: %+v, want %q", all, w[0])
		}
	} else if all := client.Troubles(); len(all) > 0 {
		t.Errorf("troubles: %+v", all)
	}
	if w := first(n["dials"], "1"); w != strconv.Itoa(dials) {
		t.Errorf("called %d times, want %s", dials, w)
	}
	if dials == 0 {
		l.Close()
	}
	if err := <-played; (err != nil) != (n["fails"] != nil || dials == 0) {
		t.Errorf("server: %v", err)
	}
	for i, w := range n["want"] {
		a := describe(got.At[i])
		if head, any := strings.CutSuffix(w, "*"); any && (!strings.HasPrefix(a, head) || got.At[i].Result == transit.Delivered) || !any && a != w {
			t.Errorf("recipient %d: got %q, want %q", i, a, w)
		}
	}
	if w := n["tls"]; w != nil && got.TLS != w[0] {
		t.Errorf("TLS: got %q, want %q", got.TLS, w[0])
	}
}

// directory is DNS by hand: a resolver against resolvertest is proved in its own room.
type directory struct {
	mx    []resolver.MX
	mxErr error
	addrs map[string][]netip.Addr
	err   error
	asked []string
}

func (d *directory) MX(context.Context, addr.Domain) ([]resolver.MX, error) { return d.mx, d.mxErr }
func (d *directory) Addrs(_ context.Context, host string) ([]netip.Addr, error) {
	d.asked = append(d.asked, host)
	if a, ok := d.addrs[host]; ok {
		return a, nil
	}
	return nil, d.err
}

// RFC 5321 §5.1, RFC 7505.
func TestHosts(t *testing.T) {
	one := netip.MustParseAddr("192.0.2.1")
	two := netip.MustParseAddr("2001:db8::2")
	known := map[string][]netip.Addr{"m1.example": {one}, "m2.example": {two}, "y.example": {one}, "nowhere.example": {netip.IPv4Unspecified()}}
	for name, c := range map[string]struct {
		d     directory
		dials string
		want  string
	}{
		"preference": {directory{mx: []resolver.MX{{Pref: 20, Host: "m2.example"}, {Pref: 10, Host: "m1.example"}}, addrs: known},
			"[192.0.2.1:2525 [2001:db8::2]:2525]", "deferred 0 4.4.1"},
		"implicit MX":          {directory{mxErr: resolver.ErrNotFound, addrs: known}, "[192.0.2.1:2525]", "deferred 0 4.4.1"},
		"null MX":              {directory{mxErr: resolver.ErrNullMX, addrs: known}, "[]", "rejected 0 5.1.10"},
		"DNS down":             {directory{mxErr: errors.New("time-out")}, "[]", "deferred 0 4.4.3"},
		"no such domain":       {directory{mxErr: resolver.ErrNotFound, err: resolver.ErrNotFound}, "[]", "rejected 0 5.4.4"},
		"addresses unknown":    {directory{mxErr: resolver.ErrNotFound, err: errors.New("time-out")}, "[]", "deferred 0 4.4.3"},
		"one host without any": {directory{mx: []resolver.MX{{Host: "gone.example"}, {Pref: 1, Host: "m1.example"}}, addrs: known, err: resolver.ErrNotFound}, "[192.0.2.1:2525]", "deferred 0 4.4.1"},
		"we are best":          {directory{mx: []resolver.MX{{Pref: 10, Host: "US.example"}, {Pref: 10, Host: "m1.example"}, {Pref: 20, Host: "m2.example"}}, addrs: known}, "[]", "rejected 0 5.4.6"},
		"we are second":        {directory{mx: []resolver.MX{{Pref: 10, Host: "m1.example"}, {Pref: 20, Host: "us.example"}, {Pref: 30, Host: "m2.example"}}, addrs: known}, "[192.0.2.1:2525]", "deferred 0 4.4.1"},
		"0.0.0.0 is ourselves": {directory{mx: []resolver.MX{{Host: "nowhere.example"}}, addrs: known}, "[]", "deferred 0 4.4.4"},
	} {
		t.Run(name, func(t *testing.T) {
			var dials []string
			o := relay.Options{Hostname: "us.example", Port: 2525, Resolver: &c.d}
			o.Dial = func(_ context.Context, _, address string) (net.Conn, error) {
				dials = append(dials, address)
				return nil, errors.New("connection refused")
			}
			got := relay.New(o).Deliver(t.Context(), consignment(t, "a@x.example", "b@y.example", text("a: b\r\n\r\n")))
			if s := fmt.Sprint(dials); s != c.dials {
				t.Errorf("called %s, want %s", s, c.dials)
			}
			if a := describe(got.At[0]); !strings.HasPrefix(a, c.want+" ") {
				t.Errorf("got %q, want %q", a, c.want)
			}
		})
	}
}

// play dials one scripted server for each script, in the order they are to be called.
func play(t *testing.T, scripts ...string) (dial func(context.Context, string, string) (net.Conn, error), end func()) {
	return playFor(t, time.Minute, scripts...)
}

func playFor(t *testing.T, patience time.Duration, scripts ...string) (dial func(context.Context, string, string) (net.Conn, error), end func()) {
	t.Helper()
	done := make(chan error, len(scripts))
	next := 0
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
			if next >= len(scripts) {
				return nil, errors.New("no more servers")
			}
			steps, err := smtptest.Parse(scripts[next])
			if err != nil {
				return nil, err
			}
			next++
			us, them := net.Pipe()
			go func() { done <- smtptest.Play(smtptest.Server, them, nil, steps, patience) }()
			return us, nil
		}, func() {
			t.Helper()
			for range next {
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
			if next != len(scripts) {
				t.Errorf("%d servers called, want %d", next, len(scripts))
			}
		}
}

const untilMail = "S: 220 m.example\nC: EHLO us.example\nS: 250 m.example\nC: MAIL FROM:<a@x.example>\n"

// Next host on failure, and none after a reply that was lost.
func TestNextHost(t *testing.T) {
	mx := &directory{mx: []resolver.MX{{Pref: 1, Host: "m1.example"}, {Pref: 2, Host: "m2.example"}},
		addrs: map[string][]netip.Addr{"m1.example": {netip.MustParseAddr("192.0.2.1")}, "m2.example": {netip.MustParseAddr("192.0.2.2")}}}
	send := "C: RCPT TO:<%s@y.example>\nS: 250 ok\nC: DATA\nS: 354 go\nC~ a: b\\r\\n\\r\\n.\\r\\n\n"
	good := untilMail + "S: 250 ok\n" + fmt.Sprintf(send, "b") + "S: 250 2.0.0 ok\nC: QUIT\n"
	for name, c := range map[string]struct {
		scripts []string
		want    string
	}{
		"greeting":     {[]string{"S: 421 busy\nC: EOF\n", good}, "delivered 250 2.0.0 ok"},
		"greeting 554": {[]string{"S: 554 no\nC: EOF\n", good}, "delivered 250 2.0.0 ok"},
		"closed":       {[]string{"S: EOF\n", good}, "delivered 250 2.0.0 ok"},
		"MAIL 4yz":     {[]string{untilMail + "S: 451 4.3.0 later\nC: EOF\n", good}, "delivered 250 2.0.0 ok"},
		"RCPT 4yz": {[]string{untilMail + "S: 250 ok\nC: RCPT TO:<b@y.example>\nS: 450 4.2.0 later\nC: RSET\nS: 250 ok\nC: QUIT\n", good},
			"delivered 250 2.0.0 ok"},
		"RCPT 4yz, then down": {[]string{untilMail + "S: 250 ok\nC: RCPT TO:<b@y.example>\nS: 450 4.2.0 later\nC: RSET\nS: 250 ok\nC: QUIT\n", "S: EOF\n"},
			"deferred 450 4.2.0 later"},
		"RCPT 5yz": {[]string{untilMail + "S: 250 ok\nC: RCPT TO:<b@y.example>\nS: 550 5.1.1 no\nC: RSET\nS: 250 ok\nC: QUIT\n"}, "rejected 550 5.1.1 no"},
		"end lost": {[]string{untilMail + "S: 250 ok\n" + fmt.Sprintf(send, "b") + "S: EOF\n"},
			"deferred 0 4.4.2 waiting for the reply to the end of data: the server closed the connection; the message may have arrived"},
		"TLS offered but broken": {[]string{"S: 220 m.example\nC: EHLO us.example\nS~ 250-m.example\\r\\n250 STARTTLS\\r\\n\nC: STARTTLS\nS: 220 go\nC~ \\x16\nS: EOF\n", good},
			"delivered 250 2.0.0 ok"}, // the same host once more, in clear
		"too big for one": {[]string{"S: 220 m.example\nC: EHLO us.example\nS~ 250-m.example\\r\\n250 SIZE 3\\r\\n\nC: EOF\n", good}, "delivered 250 2.0.0 ok"},
	} {
		t.Run(name, func(t *testing.T) {
			o := relay.Options{Hostname: "us.example", Resolver: mx}
			var end func()
			o.Dial, end = play(t, c.scripts...)
			got := relay.New(o).Deliver(t.Context(), consignment(t, "a@x.example", "b@y.example", text("a: b\r\n\r\n")))
			end()
			if a := describe(got.At[0]); a != c.want {
				t.Errorf("got %q, want %q", a, c.want)
			}
		})
	}
}

// RFC 5321 §4.5.3.1.8: at most a hundred recipients a transaction.
func TestManyRecipients(t *testing.T) {
	var to []string
	for i := range 150 {
		to = append(to, fmt.Sprintf("r%d@y.example", i))
	}
	script := "S: 220 m.example\nC: EHLO us.example\nS~ 250-m.example\\r\\n250 PIPELINING\\r\\n\n"
	for _, part := range [][]string{to[:100], to[100:]} {
		script += "C: MAIL FROM:<a@x.example>\nC: RCPT TO:<" + strings.Join(part, ">\nC: RCPT TO:<") + ">\nC: DATA\nS: 250 ok\n" +
			strings.Repeat("S: 250 ok\n", len(part)) + "S: 354 go\nC~ a: b\\r\\n\\r\\n.\\r\\n\nS: 250 2.0.0 ok\n"
	}
	o := relay.Options{Hostname: "us.example", Routes: map[addr.Domain]string{"y.example": "m.example:25"}}
	var end func()
	o.Dial, end = play(t, script+"C: QUIT\n")
	got := relay.New(o).Deliver(t.Context(), consignment(t, "a@x.example", strings.Join(to, " "), text("a: b\r\n\r\n")))
	end()
	if i := slices.IndexFunc(got.At, func(a transit.Answer) bool { return a.Result != transit.Delivered }); i >= 0 || got.Host != "m.example" {
		t.Errorf("%d: %s at %s", i, describe(got.At[i]), got.Host)
	}
}

// A lost lease stops before the final dot.
func TestProgressStops(t *testing.T) {
	o := relay.Options{Hostname: "us.example", Routes: map[addr.Domain]string{"y.example": "m.example:25"}}
	var end func()
	o.Dial, end = play(t, untilMail+"S: 250 ok\nC: RCPT TO:<b@y.example>\nS: 250 ok\nC: DATA\nS: 354 go\nC: EOF\n")
	d := consignment(t, "a@x.example", "b@y.example", text("a: b\r\n\r\n"))
	d.Progress = func(sent int64) error {
		if sent == d.Body.Size() {
			return errors.New("lease lost")
		}
		return nil
	}
	got := relay.New(o).Deliver(t.Context(), d)
	end()
	if a := describe(got.At[0]); a != "deferred 0 4.3.2 stopped by our own side: lease lost" {
		t.Error(a)
	}
}
