package certd

import (
	"bufio"
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/fetch"
	"carepost/trust"
	"carepost/trust/certtest"
)

// start serves ca as "pilot" and returns the address.
func start(t *testing.T, ca *certtest.CA, crl []byte) *net.TCPAddr {
	t.Helper()
	only := func(der []byte) func(context.Context, string) ([]byte, bool) {
		return func(_ context.Context, name string) ([]byte, bool) { return der, name == "pilot" }
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- New(Options{Certificate: only(ca.Certificate.Raw), CRL: only(crl), MaxAge: time.Minute}).Serve(ctx, l)
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().(*net.TCPAddr)
}

// DIR-52, DIR-53: what the CA points to is served, and package trust, through the guarded client, comes to its verdict with it.
func TestPublishesWhatTrustNeeds(t *testing.T) {
	root := certtest.NewCA(t, "Root")
	pilot := root.Intermediate(t, "Pilot")
	var at *net.TCPAddr
	point := func(c *x509.Certificate) {
		certtest.Points([]string{fmt.Sprintf("http://%v/pilot.cer", at)}, []string{fmt.Sprintf("http://%v/pilot.crl", at)})(c)
	}
	at = start(t, pilot, pilot.CRL(t).Raw)
	leaf := pilot.Issue(t, "h.example", point)
	j := trust.NewJudge(fetch.New(fetch.Options{
		AllowPrefixes: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, AllowPorts: []uint16{uint16(at.Port)}}))
	v := j.Judge(t.Context(), trust.Question{Certificate: leaf.Certificate, Address: addr.Address{Endpoint: "lab", Domain: "h.example"},
		Anchors: []*x509.Certificate{root.Certificate}, Now: time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)})
	if v.Status != trust.Trusted || len(v.Path) != 3 {
		t.Errorf("%v %s: %s", v.Status, v.Clause, v.Reason)
	}
}

func TestAnswers(t *testing.T) {
	ca := certtest.NewCA(t, "Pilot")
	base := "http://" + start(t, ca, []byte("list")).String()
	for _, c := range []struct {
		method, path string
		status       int
		kind, body   string
	}{
		{"GET", "/pilot.cer", 200, "application/pkix-cert", string(ca.Certificate.Raw)},
		{"GET", "/pilot.crl", 200, "application/pkix-crl", "list"},
		{"HEAD", "/pilot.crl", 200, "application/pkix-crl", ""},
		{"GET", "/pilot.crl?x=y", 200, "application/pkix-crl", "list"},
		{"GET", "/", 404, "text/plain; charset=utf-8", "not found\n"},
		{"GET", "/pilot", 404, "text/plain; charset=utf-8", "not found\n"},
		{"GET", "/pilot.key", 404, "text/plain; charset=utf-8", "not found\n"},
		{"GET", "/other.cer", 404, "text/plain; charset=utf-8", "not found\n"},
		{"GET", "/.cer", 404, "text/plain; charset=utf-8", "not found\n"},
		{"GET", "/x/pilot.cer", 404, "text/plain; charset=utf-8", "not found\n"},
		{"GET", "/%2e%2e%2fpilot.cer", 404, "text/plain; charset=utf-8", "not found\n"},
		{"GET", "/" + strings.Repeat("x", 100) + ".cer", 404, "text/plain; charset=utf-8", "not found\n"},
		{"POST", "/pilot.crl", 405, "text/plain; charset=utf-8", "method not allowed\n"},
		{"PUT", "/pilot.crl", 405, "text/plain; charset=utf-8", "method not allowed\n"},
		{"DELETE", "/pilot.crl", 405, "text/plain; charset=utf-8", "method not allowed\n"},
		{"OPTIONS", "/", 405, "text/plain; charset=utf-8", "method not allowed\n"},
	} {
		req, _ := http.NewRequest(c.method, base+c.path, nil)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != c.status || resp.Header.Get("Content-Type") != c.kind || string(body) != c.body {
			t.Errorf("%s %s: %d %s %q", c.method, c.path, resp.StatusCode, resp.Header.Get("Content-Type"), body)
		}
		if cached := resp.Header.Get("Cache-Control") == "public, max-age=60"; cached != (c.status == 200) {
			t.Errorf("%s %s: Cache-Control %q", c.method, c.path, resp.Header.Get("Cache-Control"))
		}
	}
}

func TestOptionsAndNonsense(t *testing.T) {
	at := start(t, certtest.NewCA(t, "Pilot"), nil)
	for request, status := range map[string]string{
		"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n":                                                "405",
		"GET pilot.cer HTTP/1.1\r\nHost: x\r\n\r\n":                                            "400",
		"GET /pilot.cer HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 20<<10) + "\r\n\r\n": "431",
	} {
		c, err := net.Dial("tcp", at.String())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, request)
		line, _ := bufio.NewReader(c).ReadString('\n')
		c.Close()
		if !strings.Contains(line, status) {
			t.Errorf("%.40q: %q, want %s", request, line, status)
		}
	}
}

func TestAClosedListenerIsAnError(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if New(Options{}).Serve(t.Context(), l) == nil {
		t.Error("served on a closed listener")
	}
}

func FuzzFind(f *testing.F) {
	f.Add("/pilot.cer")
	f.Add("/../x.crl")
	f.Fuzz(func(t *testing.T, path string) {
		name := ""
		s := New(Options{Certificate: func(_ context.Context, n string) ([]byte, bool) { name = n; return nil, true }})
		if _, _, ok := s.find(t.Context(), path); ok && (name == "" || strings.ContainsAny(name, "/\\\x00%") || strings.Contains(name, "..")) {
			t.Fatalf("%q asks for %q", path, name)
		}
	})
}
