package gateway_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	netsmtp "net/smtp"
	"strings"
	"testing"

	"carepost/addr"
	"carepost/internal/audit"
	"carepost/internal/gateway"
	"carepost/internal/gateway/gatewaytest"
	"carepost/internal/rule"
	"carepost/internal/transit"
)

// A mail server of the house hands over everything that goes out: each recipient is sealed for, or refused while that server still has the
// message. Nothing leaves in clear, and nobody else sends without signing in. DIR-55; ATT-37.
func TestEncryptOrReject(t *testing.T) {
	closed := addr.Domain("east.example")
	at := map[addr.Domain]string{}
	w := gatewaytest.NewWith(t, func(o *gateway.Options) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		o.Listeners.Submission, at[o.Domain] = l, l.Addr().String()
		if o.Domain == "north.example" {
			o.Hosts = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
			o.Rules = rule.Rules{{Refuse: "not by Direct", With: rule.Who{Domains: map[addr.Domain]bool{closed: true}}, Direction: transit.Outbound}}
		}
	}, "north.example", "south.example", "west.example")
	a, b := w.All[0], w.All[1]
	a.Admit(t, b)
	b.Admit(t, a)
	w.Run()

	c := dialSubmission(t, at["north.example"])
	defer c.Close()
	for _, from := range []string{"", "nobody@north.example", "desk@south.example"} {
		if err := c.Mail(from); err == nil || !strings.HasPrefix(err.Error(), "553 ") {
			t.Errorf("from %q: %v", from, err)
		}
	}
	if err := c.Mail("desk@north.example"); err != nil {
		t.Fatal(err)
	}
	for to, want := range map[string]string{
		"desk@south.example": "",
		"desk@west.example":  "no path leads", // it has a certificate, of an authority that is not trusted
		"x@east.example":     "lets no such mail pass: not by Direct",
	} {
		err := c.Rcpt(to)
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), "550 ") || !strings.Contains(err.Error(), want)) {
			t.Errorf("to %q: %v", to, err)
		}
	}
	d, err := c.Data()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Write([]byte(a.Letter("by the server of the house", "sealed or refused", b.Address))); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if text := b.Text(t, b.Inbox(t, 1)[0]); !strings.Contains(text, "sealed or refused") {
		t.Errorf("%q", text)
	}

	// Who signs in there acts as himself, and in no other name.
	if err := a.SetPassword(t.Context(), a.Address, "correct horse battery"); err != nil {
		t.Fatal(err)
	}
	signed := dialSubmission(t, at["north.example"])
	defer signed.Close()
	if err := signed.Auth(netsmtp.PlainAuth("", a.Address.String(), "correct horse battery", "mx.example")); err != nil {
		t.Fatal(err)
	}
	if err := signed.Mail("lab@north.example"); err == nil || !strings.HasPrefix(err.Error(), "553 ") {
		t.Errorf("in another's name: %v", err)
	}
	hand(t, signed, a.Address.String(), b.Address.String(), a.Letter("by himself", "sealed or refused", b.Address))
	entries, err := a.Audit(t.Context(), audit.Filter{Action: "message.accept"})
	if err != nil {
		t.Fatal(err)
	}
	actors := map[string]bool{}
	for _, e := range entries {
		actor, _, _ := strings.Cut(string(e.Actor), ":")
		actors[actor] = true
	}
	if !actors["host"] || !actors["account"] {
		t.Errorf("who handed over: %v", actors)
	}

	// Elsewhere the same client is nobody.
	other := dialSubmission(t, at["south.example"])
	defer other.Close()
	if err := other.Mail("desk@south.example"); err == nil || !strings.HasPrefix(err.Error(), "530 ") {
		t.Errorf("without signing in: %v", err)
	}
	// Nor does a server of the house send in clear to us.
	conn, err := net.Dial("tcp", at["north.example"])
	if err != nil {
		t.Fatal(err)
	}
	plain, err := netsmtp.NewClient(conn, "mx.north.example")
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if err := plain.Mail("desk@north.example"); err == nil || !strings.HasPrefix(err.Error(), "530 ") {
		t.Errorf("in clear: %v", err)
	}
}

// hand hands over one message.
func hand(t *testing.T, c *netsmtp.Client, from, to, text string) {
	t.Helper()
	d, err := io.WriteCloser(nil), c.Mail(from)
	if err == nil {
		err = c.Rcpt(to)
	}
	if err == nil {
		d, err = c.Data()
	}
	if err == nil {
		_, err = io.WriteString(d, text)
	}
	if err == nil {
		err = d.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

func dialSubmission(t *testing.T, at string) *netsmtp.Client {
	t.Helper()
	conn, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	c, err := netsmtp.NewClient(conn, "mx.example")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.StartTLS(&tls.Config{InsecureSkipVerify: true}); err != nil { // whose it is, is for other tests
		t.Fatal(err)
	}
	return c
}
