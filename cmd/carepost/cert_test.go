package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"carepost/addr"
	"carepost/internal/dnsd"
	"carepost/trust/certtest"
)

// publish serves a zone of h.example on loopback and returns the server's host:port.
func publish(t *testing.T, certs ...dnsd.CERT) string {
	t.Helper()
	s, err := dnsd.New(dnsd.Options{Zones: []dnsd.Zone{{Origin: "h.example", CERT: certs}}})
	if err != nil {
		t.Fatal(err)
	}
	var p net.PacketConn
	var l net.Listener
	for range 10 { // the port of the one may be taken for the other
		if p, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		if l, err = net.Listen("tcp", p.LocalAddr().String()); err == nil {
			break
		}
		p.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Serve(ctx, p, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return p.LocalAddr().String()
}

// certFindOut runs `carepost cert find` and returns its output and exit code.
func certFindOut(t *testing.T, args ...string) (string, int, error) {
	t.Helper()
	cmd := newRoot()
	cmd.RemoveCommand(cmd.Commands()...)
	cmd.AddCommand(newCertCmd())
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(append([]string{"cert", "find"}, args...))
	err := cmd.ExecuteContext(t.Context())
	return out.String(), exitCode(err), err
}

// DIR-11, DIR-42: the search step by step, the verdict, and the exit code.
func TestCertFind(t *testing.T) {
	ca, stranger := certtest.NewCA(t, "Trial CA"), certtest.NewCA(t, "Other CA")
	web := certtest.NewServer(t)
	lab, org := ca.Issue(t, "lab@h.example"), ca.Issue(t, "h.example")
	pointed := certtest.NewCA(t, "Pointed CA")
	pointed.Publish(t, web)
	desk, revoked := pointed.Issue(t, "desk@h.example"), pointed.Issue(t, "gone@h.example")
	pointed.Revoke(t, revoked.Certificate)
	middle := ca.Intermediate(t, "Middle CA")
	mid := middle.Issue(t, "mid@h.example")
	web.Put("/lab.cer", lab.Certificate.Raw)
	at := func(endpoint string, c *x509.Certificate) dnsd.CERT {
		return dnsd.CERT{For: addr.Address{Endpoint: endpoint, Domain: "h.example"}, Certificate: c.Raw}
	}
	server := publish(t, at("lab", lab.Certificate), at("", org.Certificate), at("desk", desk.Certificate), at("gone", revoked.Certificate), at("mid", mid.Certificate),
		dnsd.CERT{For: addr.Address{Endpoint: "url", Domain: "h.example"}, URL: web.URL + "/lab.cer"})
	list := certtest.WriteCRL(t, t.TempDir(), "list.crl", pointed.CRL(t, revoked.Certificate))
	between := certtest.WriteCertificates(t, t.TempDir(), "between.pem", middle.Certificate)
	empty := publish(t)
	dir := t.TempDir()
	root := certtest.WriteCertificates(t, dir, "root.pem", ca.Certificate, pointed.Certificate)
	other := filepath.Join(dir, "other.der")
	if err := os.WriteFile(other, stranger.Certificate.Raw, 0o600); err != nil {
		t.Fatal(err)
	}
	closed := func() string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return l.Addr().String()
	}()
	allow := strings.TrimPrefix(web.URL, "http://")
	for _, tc := range []struct {
		name string
		args []string
		exit int
		want []string
	}{
		{"found, not judged", []string{"lab@h.example", "--dns", server}, exitDone, []string{"lab.h.example", "address-bound", "RSA 2048", "Trust was not judged"}},
		{"trusted", []string{"lab@h.example", "--dns", server, "--anchor", root}, exitDone, []string{"TRUSTED", "CN=Trial CA", "ok  binding"}},
		{"the organisation's", []string{"front@h.example", "--dns", server, "--anchor", root}, exitDone, []string{"no certificate record", "organizationally-bound", "TRUSTED"}},
		{"another anchor", []string{"lab@h.example", "--dns", server, "--anchor", other}, exitRefused, []string{"REFUSED", "Refused:"}},
		{"at a time of expiry", []string{"lab@h.example", "--dns", server, "--anchor", root, "--at", "2051-01-01T00:00:00Z"}, exitRefused, []string{"REFUSED"}},
		{"revocation unknown", []string{"desk@h.example", "--dns", server, "--anchor", root}, exitNotNow, []string{"UNDECIDED", "Undecided:"}},
		{"revocation fetched", []string{"desk@h.example", "--dns", server, "--anchor", root, "--fetch", "--fetch-allow", allow}, exitDone, []string{"TRUSTED"}},
		{"revocation list at hand", []string{"desk@h.example", "--dns", server, "--anchor", root, "--crl", list}, exitDone, []string{"TRUSTED"}},
		{"revoked by the list at hand", []string{"gone@h.example", "--dns", server, "--anchor", root, "--crl", list}, exitRefused, []string{"REFUSED"}},
		{"issuer at hand", []string{"mid@h.example", "--dns", server, "--anchor", root, "--intermediate", between}, exitDone, []string{"TRUSTED"}},
		{"issuer not at hand", []string{"mid@h.example", "--dns", server, "--anchor", root}, exitRefused, []string{"REFUSED"}},
		{"revoked", []string{"gone@h.example", "--dns", server, "--anchor", root, "--fetch", "--fetch-allow", allow}, exitRefused, []string{"REFUSED"}},
		{"by URL, no fetching", []string{"url@h.example", "--dns", server}, exitNotNow, []string{"a URL, not fetched", "No answer now", "with --fetch alone"}},
		{"by URL, somebody else's", []string{"url@h.example", "--dns", server, "--fetch", "--fetch-allow", allow}, exitDone, []string{"somebody else", "organizationally-bound"}},
		{"nothing", []string{"lab@h.example", "--dns", empty, "--anchor", root}, exitRefused, []string{"Nothing is published"}},
		{"no server", []string{"lab@h.example", "--dns", closed}, exitNotNow, []string{"No answer now"}},
		{"not its zone", []string{"lab@other.example", "--dns", server}, exitNotNow, []string{"REFUSED"}},
		{"no address", []string{"lab"}, exitUsage, nil},
		{"none", nil, exitUsage, nil},
		{"no time", []string{"lab@h.example", "--at", "noon"}, exitUsage, nil},
		{"no anchor", []string{"lab@h.example", "--anchor", filepath.Join(dir, "none.pem")}, exitUsage, nil},
		{"no certificate", []string{"lab@h.example", "--anchor", certtest.WriteKey(t, dir, "k.pem", lab.Key)}, exitUsage, nil},
		{"no flag", []string{"lab@h.example", "--frobnicate"}, exitUsage, nil},
		{"no fetching", []string{"lab@h.example", "--fetch-allow", allow}, exitUsage, nil},
		{"no port", []string{"lab@h.example", "--dns", "127.0.0.1:dns"}, exitUsage, nil},
		{"no list", []string{"lab@h.example", "--crl", other}, exitUsage, nil},
		{"no prefix", []string{"lab@h.example", "--fetch-allow", "h.example"}, exitUsage, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out, exit, err := certFindOut(t, tc.args...)
			if exit != tc.exit {
				t.Errorf("exit %d (%v), want %d\n%s", exit, err, tc.exit, out)
			}
			for _, want := range tc.want {
				if !strings.Contains(fmt.Sprintln(out, err), want) {
					t.Errorf("no %q in\n%s\n%v", want, out, err)
				}
			}
			if tc.exit == exitUsage || len(tc.args) == 0 {
				return
			}
			out, again, _ := certFindOut(t, append(tc.args, "--json")...)
			var r certReport
			if err := json.Unmarshal([]byte(out), &struct {
				*certReport
				Certificates []any `json:"certificates"`
			}{certReport: &r}); err != nil || again != exit || r.Result == "" || len(r.Steps) == 0 {
				t.Errorf("JSON, exit %d: %v\n%s", again, err, out)
			}
		})
	}
}

// What strangers write into a certificate does not reach the terminal as control characters.
func TestPrintable(t *testing.T) {
	if got := printable("CN=a\x1b[2Jb\u202ec\x9bd\ne ü"); got != "CN=a\uFFFD[2Jb\uFFFDc\uFFFDd\uFFFDe ü" {
		t.Errorf("%q", got)
	}
}
