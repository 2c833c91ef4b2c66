package bundle_test

import (
	"context"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"carepost/certificate"
	"carepost/internal/audit"
	"carepost/internal/bundle"
	"carepost/internal/fetch"
	"carepost/internal/store"
	"carepost/internal/store/storetest"
	"carepost/internal/transit"
	"carepost/trust/certtest"
)

// giver is the server of who gives a bundle out.
type giver struct {
	*httptest.Server
	handler atomic.Pointer[http.HandlerFunc]
	t       *testing.T
}

func newGiver(t *testing.T) *giver {
	g := &giver{t: t}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*g.handler.Load())(w, r) }))
	t.Cleanup(g.Close)
	return g
}

func (g *giver) does(h http.HandlerFunc) { g.handler.Store(&h) }
func (g *giver) gives(body []byte) {
	g.does(func(w http.ResponseWriter, _ *http.Request) { w.Write(body) })
}

// p7b is a bundle as OpenSSL makes it; signed by somebody unless he is nil.
func p7b(t *testing.T, signer *certtest.Pair, certs ...*x509.Certificate) []byte {
	t.Helper()
	dir := t.TempDir()
	certtest.WriteCertificates(t, dir, "anchors.pem", certs...)
	run := func(args ...string) {
		t.Helper()
		cmd := exec.Command("openssl", args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("openssl %v: %v\n%s", args, err, out)
		}
	}
	run("crl2pkcs7", "-nocrl", "-certfile", "anchors.pem", "-outform", "DER", "-out", "out")
	if signer != nil {
		certtest.WriteCertificates(t, dir, "signer.pem", signer.Certificate)
		certtest.WriteKey(t, dir, "signer.key", signer.Key)
		run("cms", "-sign", "-binary", "-nodetach", "-in", "out", "-signer", "signer.pem", "-inkey", "signer.key", "-outform", "DER", "-out", "signed")
		return file(t, dir, "signed")
	}
	return file(t, dir, "out")
}

func file(t *testing.T, dir, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// house is an installation's store with its bundles, at a time that stands still.
type house struct {
	*bundle.Service
	t     *testing.T
	store *store.Store
	now   time.Time
	owner store.Owner
}

func newHouse(t *testing.T, g *giver) *house {
	h := &house{t: t, store: storetest.SQLite(t), now: time.Now(), owner: store.Owner{Domain: "north.example"}}
	u, _ := url.Parse(g.URL)
	port, _ := strconv.ParseUint(u.Port(), 10, 16)
	client := func() *fetch.Client { // a new one each time: it remembers failures for seconds
		return fetch.New(fetch.Options{AllowPrefixes: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, AllowPorts: []uint16{uint16(port)}, Timeout: time.Second})
	}
	h.Service = bundle.New(bundle.Options{Store: h.store, Clock: func() time.Time { return h.now },
		Fetcher: fetcher(func(ctx context.Context, url string, max int64) ([]byte, error) { return client().Fetch(ctx, url, max) })})
	return h
}

type fetcher func(ctx context.Context, url string, max int64) ([]byte, error)

func (f fetcher) Fetch(ctx context.Context, url string, max int64) ([]byte, error) {
	return f(ctx, url, max)
}

func (h *house) add(w bundle.Wanted) {
	h.t.Helper()
	w.Owner = h.owner
	if _, err := h.Add(h.t.Context(), "test", w); err != nil {
		h.t.Fatal(err)
	}
}

// anchors are those that count for mail of one direction, by their subjects.
func (h *house) anchors(d transit.Direction) string {
	h.t.Helper()
	var names []string
	err := h.store.View(h.t.Context(), func(tx *store.Tx) error {
		all, err := tx.Anchors(h.owner, d)
		for _, a := range all {
			c, _ := x509.ParseCertificate(a.DER)
			names = append(names, c.Subject.CommonName)
		}
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return strings.Join(sorted(names), " ")
}

func sorted(s []string) []string {
	for i := range s {
		for j := i; j > 0 && s[j] < s[j-1]; j-- {
			s[j], s[j-1] = s[j-1], s[j]
		}
	}
	return s
}

// audited counts the entries of an action.
func (h *house) audited(action string) (n int) {
	h.t.Helper()
	err := h.store.View(h.t.Context(), func(tx *store.Tx) error {
		all, err := audit.List(tx, audit.Filter{Action: action})
		n = len(all)
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

func cas(t *testing.T, names ...string) (out []*x509.Certificate) {
	for _, n := range names {
		out = append(out, certtest.NewCA(t, n).Certificate)
	}
	return out
}

// What comes takes the place of what was there; what is not good changes nothing, and alarms until it is. DIR-37, DIR-59.
func TestRefresh(t *testing.T) {
	g := newGiver(t)
	h := newHouse(t, g)
	certs := cas(t, "A", "B", "C", "D", "E", "F")
	ended := certtest.NewCA(t, "Z", certtest.Until(certtest.NotBefore.AddDate(1, 0, 0))).Certificate
	signer, stranger := certtest.SelfSigned(t, "h.example"), certtest.SelfSigned(t, "h.example")
	h.add(bundle.Wanted{Name: "network", URL: g.URL + "/b.p7m", Direction: transit.Inbound, Every: time.Hour, Signers: []*x509.Certificate{signer.Certificate}})
	alarm := ""
	refresh := func(what, anchors, refused string, accept bool) bundle.Change {
		t.Helper()
		c, err := h.Refresh(t.Context(), "test", "network", accept)
		var r *bundle.Refused
		switch {
		case refused == "" && err != nil, refused != "" && (!errors.As(err, &r) || !strings.Contains(r.Reason, refused)):
			t.Errorf("%s: %v, want %q", what, err, refused)
		}
		if got := h.anchors(transit.Inbound); got != anchors {
			t.Errorf("%s: anchors %q, want %q", what, got, anchors)
		}
		w, err := h.Warnings(t.Context())
		if err != nil || len(w) != min(len(refused), 1) || refused != "" && !strings.Contains(w[0], refused) {
			t.Errorf("%s: warnings %q, %v", what, w, err)
		}
		alarm = refused
		return c
	}
	g.gives(p7b(t, nil, certs...))
	refresh("unsigned", "", "not signed", false)
	g.gives(p7b(t, &stranger, certs...))
	refresh("signed by a stranger of the same name", "", "not a good one", false)
	g.gives(p7b(t, &signer, append(certs, ended)...))
	if c := refresh("good", "A B C D E F Z", "", false); len(c.Added) != 7 || c.Expired != 1 || c.Same {
		t.Errorf("%+v", c)
	}
	if c := refresh("again", "A B C D E F Z", "", false); !c.Same {
		t.Errorf("%+v", c)
	}
	if got := h.anchors(transit.Outbound); got != "" {
		t.Errorf("outbound %q", got)
	}
	g.gives(p7b(t, &signer, certs[:4]...))
	if c := refresh("two of six gone, and one that had ended", "A B C D", "", false); len(c.Removed) != 3 {
		t.Errorf("%+v", c)
	}
	for what, h2 := range map[string]http.HandlerFunc{
		"not there": http.NotFound,
		"hangs":     func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"redirects inside": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://10.0.0.1/b.p7m", http.StatusFound)
		},
		"redirects to other port": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:25/", http.StatusFound)
		},
		"endless": func(w http.ResponseWriter, r *http.Request) {
			for _, err := w.Write(make([]byte, 64<<10)); err == nil; _, err = w.Write(make([]byte, 64<<10)) {
			}
		},
	} {
		g.does(h2)
		refresh(what, "A B C D", "could not be fetched", false)
	}
	for what, body := range map[string][]byte{"a page": []byte("<html>"), "nothing": {}, "cut": p7b(t, &signer, certs...)[:900]} {
		g.gives(body)
		refresh(what, "A B C D", "no trust bundle", false)
	}
	refused := h.audited("bundle.refuse")
	refresh("the same again", "A B C D", "no trust bundle", false)
	if n := h.audited("bundle.refuse"); n != refused {
		t.Errorf("one reason is told %d times", 1+n-refused)
	}
	g.gives(p7b(t, &signer, certs[0], certs[5]))
	refresh("three of four gone", "A B C D", "3 of its 4 anchors are gone", false)
	refresh("let through", "A F", "", true)
	if alarm != "" || h.audited("bundle.replace") != 3 {
		t.Errorf("%d entries of replacing", h.audited("bundle.replace"))
	}
	g.gives(empty(t, &signer))
	refresh("empty", "A F", "it is empty", false)
	refresh("empty, and shrinking is accepted", "A F", "it is empty", true)
	h.now = certtest.NotAfter.AddDate(1, 0, 0)
	g.gives(p7b(t, &signer, certs...))
	refresh("the signer has ended", "A F", "has ended", false)
	if err := h.Remove(t.Context(), "test", "network"); err != nil || h.anchors(transit.Inbound) != "" {
		t.Errorf("removed: %v, %q", err, h.anchors(transit.Inbound))
	}
	if _, err := h.Refresh(t.Context(), "test", "network", false); !errors.Is(err, bundle.ErrNoBundle) {
		t.Error(err)
	}
}

// empty is a signed bundle that holds nothing.
func empty(t *testing.T, signer *certtest.Pair) []byte {
	t.Helper()
	dir := t.TempDir()
	certtest.WriteCertificates(t, dir, "signer.pem", signer.Certificate)
	certtest.WriteKey(t, dir, "signer.key", signer.Key)
	// SignedData, version 1, no digests, id-data, no certificates, no signers.
	none := []byte{0x30, 0x22, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02, 0xa0, 0x15, 0x30, 0x13, 0x02, 0x01, 0x01, 0x31, 0x00,
		0x30, 0x0b, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01, 0x31, 0x00}
	none[1], none[14], none[16] = byte(len(none)-2), byte(len(none)-15), byte(len(none)-17)
	if err := os.WriteFile(filepath.Join(dir, "none"), none, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("openssl", "cms", "-sign", "-binary", "-nodetach", "-in", "none", "-signer", "signer.pem", "-inkey", "signer.key", "-outform", "DER", "-out", "signed")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("openssl: %v\n%s", err, out)
	}
	return file(t, dir, "signed")
}

// A bundle is fetched when it is due, and sooner after a failure; by hand alone where that is wanted.
func TestDue(t *testing.T) {
	g := newGiver(t)
	h := newHouse(t, g)
	signer := certtest.SelfSigned(t, "h.example")
	g.gives(p7b(t, &signer, cas(t, "A")...))
	h.add(bundle.Wanted{Name: "daily", URL: g.URL + "/b", Every: 24 * time.Hour, Signers: []*x509.Certificate{signer.Certificate}})
	h.add(bundle.Wanted{Name: "hand", URL: g.URL + "/b", Signers: []*x509.Certificate{signer.Certificate}})
	next := func() time.Duration {
		t.Helper()
		if err := h.Due(t.Context()); err != nil {
			t.Fatal(err)
		}
		all, err := h.List(t.Context(), "test")
		if err != nil || len(all) != 2 || all[0].Name != "daily" {
			t.Fatal(all, err)
		}
		if !all[1].Detail.Tried.IsZero() {
			t.Error("fetched although it is by hand")
		}
		return all[0].Detail.Next.Sub(h.now)
	}
	if d := next(); d < 21*time.Hour || d > 27*time.Hour || h.anchors(transit.Outbound) != "A" {
		t.Errorf("next in %v", d)
	}
	h.now = h.now.Add(28 * time.Hour)
	g.does(http.NotFound)
	if d := next(); d < 4*time.Minute || d > 6*time.Minute {
		t.Errorf("after a failure in %v", d)
	}
	h.now = h.now.Add(7 * time.Minute)
	if d := next(); d < 9*time.Minute || d > 11*time.Minute {
		t.Errorf("after two in %v", d)
	}
}

// What an operator cannot ask for.
func TestAddRefuses(t *testing.T) {
	h := newHouse(t, newGiver(t))
	good := bundle.Wanted{Name: "network", URL: "https://network.example/b.p7b", Owner: h.owner}
	for what, edit := range map[string]func(*bundle.Wanted){
		"no name":               func(w *bundle.Wanted) { w.Name = "" },
		"a path":                func(w *bundle.Wanted) { w.Name = "../x" },
		"a file":                func(w *bundle.Wanted) { w.URL = "file:///etc/passwd" },
		"no URL":                func(w *bundle.Wanted) { w.URL = "network" },
		"a password in the URL": func(w *bundle.Wanted) { w.URL = "https://a:b@network.example/" },
		"http, and not signed":  func(w *bundle.Wanted) { w.URL = "http://network.example/b.p7b" },
		"every second":          func(w *bundle.Wanted) { w.Every = time.Second },
		"a share of 200":        func(w *bundle.Wanted) { w.Shrink = 200 },
	} {
		w := good
		edit(&w)
		var invalid *bundle.Invalid
		if _, err := h.Add(t.Context(), "test", w); !errors.As(err, &invalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	h.add(good)
	if _, err := h.Add(t.Context(), "test", good); !errors.Is(err, bundle.ErrTaken) {
		t.Error(err)
	}
}

// A signed bundle is not followed by an older one, which would bring back what was taken out since; nor by one of a time to come.
func TestOlderBundle(t *testing.T) {
	g := newGiver(t)
	h := newHouse(t, g)
	signer := certtest.SelfSigned(t, "h.example")
	h.add(bundle.Wanted{Name: "network", URL: g.URL + "/b.p7m", Signers: []*x509.Certificate{signer.Certificate}})
	g.gives(p7b(t, &signer, cas(t, "A", "B")...))
	h.now = time.Now()
	for _, c := range []struct {
		last, now time.Time
		refused   string
	}{
		{time.Time{}, time.Now(), ""},
		{time.Now().Add(time.Hour), time.Now(), "older than the one"},
		{time.Time{}, time.Now().AddDate(0, 0, -2), "yet to come"},
		{time.Now().Add(-time.Hour), time.Now(), ""},
	} {
		h.now = c.now
		err := h.store.Tx(t.Context(), func(tx *store.Tx) error {
			b, err := tx.Bundle("network")
			if err != nil {
				return err
			}
			if b.Detail.Signed = c.last; len(b.Detail.Signers) != 1 {
				t.Errorf("%d signers", len(b.Detail.Signers))
			}
			return tx.SetBundle(b.ID, b.Detail)
		})
		if err != nil {
			t.Fatal(err)
		}
		_, err = h.Refresh(t.Context(), "test", "network", true)
		var r *bundle.Refused
		if c.refused == "" && err != nil || c.refused != "" && (!errors.As(err, &r) || !strings.Contains(r.Reason, c.refused)) {
			t.Errorf("%v, want %q", err, c.refused)
		}
	}
}

// A signer with an odd certificate is one whose signature can be missing, as any other.
func TestOddSigner(t *testing.T) {
	g := newGiver(t)
	h := newHouse(t, g)
	ca := certtest.NewCA(t, "A")
	odd, err := certificate.Parse(ca.Odd(t, ca.Certificate, func(t *certtest.TBS) { t.Serial = asn1.RawValue{FullBytes: []byte("\x02\x01\xff")} }))
	if err != nil {
		t.Fatal(err)
	}
	h.add(bundle.Wanted{Name: "network", URL: g.URL + "/b.p7m", Signers: []*x509.Certificate{odd}})
	g.gives(p7b(t, nil, ca.Certificate))
	var r *bundle.Refused
	if _, err := h.Refresh(t.Context(), "test", "network", false); !errors.As(err, &r) {
		t.Error(err)
	}
}
