package ett

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net"
	"net/url"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/audit"
	"carepost/internal/gateway"
	"carepost/internal/gateway/gatewaytest"
	"carepost/internal/store"
	"carepost/trust"
)

const password = "a password of the edge"

// sut is the installation under test, with the account edge@north.example at which everything is sent and received.
type sut struct {
	*gatewaytest.Practice
	edge        addr.Address
	mx, submits string
	roots       *x509.CertPool
	anchor      string // file, PEM
	certificate string // of the domain, as DNS has it: file, PEM

	ahead atomic.Int64 // of the machine's clock
}

// newSUT opens an installation that trusts the tool, and runs it.
func newSUT(t testing.TB, x *tool) *sut {
	t.Helper()
	s := &sut{}
	x.under = s
	submission, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	web, err := url.Parse(x.web.URL)
	if err != nil {
		t.Fatal(err)
	}
	port, _ := strconv.Atoi(web.Port())
	w := gatewaytest.NewWith(t, func(o *gateway.Options) {
		o.Listeners.Submission = submission
		o.Clock = func() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }
		o.Revocation.Domains = map[addr.Domain]trust.Unknown{demanding: trust.Demand}
		o.Rules = rules()
		o.Network.Stub["ett.example"] = []string{x.dns}
		o.Network.Trial.Ports = append(o.Network.Trial.Ports, uint16(port))
		for _, d := range []addr.Domain{good, untrusted, nocert, demanding, newer, older} {
			o.Network.Routes[d] = x.mx.addr
		}
	}, "north.example")
	s.Practice = w.All[0]
	s.mx, s.submits = s.Hears.MX.Addr().String(), submission.Addr().String()
	s.edge = addr.Address{Endpoint: "edge", Domain: s.Address.Domain}
	must(t, s.AddAccount(t.Context(), gatewaytest.Actor, s.edge))
	must(t, s.Admin().SetPassword(t.Context(), gatewaytest.Actor, s.edge, password))
	must(t, s.Trust(t.Context(), gatewaytest.Actor, x.ca.Certificate, "the tool's"))
	s.roots = x509.NewCertPool()
	s.roots.AddCert(s.Anchor())
	s.Start(t)
	s.anchor = write(t, filepath.Join(x.dir, "anchor.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Anchor().Raw}))
	s.certificate = write(t, filepath.Join(x.dir, "sut.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: dig(t, s.Hears.DNSTCP.Addr().String(), string(s.Address.Domain))}))
	return s
}

// dig is the certificate that DNS has for a name.
func dig(t testing.TB, server, name string) []byte {
	t.Helper()
	ip, port, _ := net.SplitHostPort(server)
	out, err := exec.CommandContext(t.Context(), "dig", "-r", "@"+ip, "-p", port, "+tcp", "+short", "+nosplit", name, "CERT").Output()
	if err != nil {
		t.Fatalf("dig: %v", err)
	}
	_, data, _ := strings.Cut(strings.TrimSpace(string(out)), "PKIX 0 0 ")
	der, err := base64.StdEncoding.DecodeString(data)
	if err != nil || len(der) == 0 {
		t.Fatalf("dig finds no certificate: %v\n%s", err, out)
	}
	return der
}

// signIn opens a session of a mail program: STARTTLS, AUTH PLAIN.
func (s *sut) signIn(user, password string) (c *client, code int, err error) {
	if c, err = dial(s.submits); err != nil {
		return nil, 0, err
	}
	if _, _, err := c.say("EHLO edge.example"); err != nil {
		return nil, 0, err
	}
	if err := c.starttls(&tls.Config{ServerName: "mx." + s.Address.Domain.String(), RootCAs: s.roots}); err != nil {
		return nil, 0, err
	}
	if _, _, err := c.say("EHLO edge.example"); err != nil {
		return nil, 0, err
	}
	code, _, err = c.say("AUTH PLAIN %s", base64.StdEncoding.EncodeToString([]byte("\x00"+user+"\x00"+password)))
	return c, code, err
}

// later has an hour pass, say: the clock goes ahead, and what waited for that time is due.
func (s *sut) later(t testing.TB, d time.Duration) {
	t.Helper()
	s.ahead.Add(int64(d))
	works, err := s.Queue(t.Context())
	must(t, err)
	for _, w := range works {
		if w.Kind == "deadline" && !w.NextAt.After(time.Now().Add(time.Duration(s.ahead.Load()))) {
			must(t, s.Flow().Retry(t.Context(), gatewaytest.Actor, w.ID))
		}
	}
}

// idle waits until nothing is due on the queue, and until also.
func (s *sut) idle(t testing.TB, also func() bool) {
	t.Helper()
	gatewaytest.Until(t, also, func() string { return "the tool to be idle" })
	s.Quiet(t)
	gatewaytest.Until(t, func() bool {
		works, err := s.Queue(t.Context())
		must(t, err)
		for _, w := range works {
			if !w.NextAt.After(time.Now()) {
				return false
			}
		}
		return true
	}, func() string { return "nothing to be due" })
}

// setAside is why, as the audit has it, a message for an address was set aside.
func (s *sut) setAside(t testing.TB, to string) (reason string) {
	t.Helper()
	entries, err := s.Audit(t.Context(), audit.Filter{Action: "recipient.set-aside", Limit: 10_000})
	must(t, err)
	must(t, s.Flow().Store.View(t.Context(), func(tx *store.Tx) error {
		for _, e := range entries {
			r, err := tx.Recipient(strings.TrimPrefix(e.Object, "recipient:"))
			if err != nil {
				return err
			}
			if r.Address.String() == to {
				reason += e.Detail["clause"] + " " + e.Detail["reason"]
			}
		}
		return nil
	}))
	return reason
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
