package fetch_test

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
	"sync"
	"sync/atomic"
	"testing"

	"carepost/addr"
	"carepost/discovery"
	"carepost/internal/fetch"
	"carepost/resolver/resolvertest"
	"carepost/trust"
	"carepost/trust/certtest"
)

// enemy is an HTTP server that does as its trick of that path says, and counts what it was asked and could get rid of.
type enemy struct {
	at    netip.AddrPort
	conns atomic.Int64
	bytes atomic.Int64

	mu     sync.Mutex
	tricks map[string]trick
	open   map[net.Conn]bool
}

// trick answers one request; it ends when a write fails.
type trick func(w io.Writer)

func listen(t *testing.T, host string) *enemy {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	e := &enemy{at: netip.MustParseAddrPort(l.Addr().String()), tricks: map[string]trick{}, open: map[net.Conn]bool{}}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			e.conns.Add(1)
			e.mu.Lock()
			e.open[c] = true
			e.mu.Unlock()
			all.Go(func() { e.serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		e.mu.Lock()
		for c := range e.open {
			c.Close()
		}
		e.mu.Unlock()
		all.Wait()
	})
	return e
}

func (e *enemy) serve(c net.Conn) {
	defer func() {
		c.Close()
		e.mu.Lock()
		delete(e.open, c)
		e.mu.Unlock()
	}()
	r, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil {
		return
	}
	name, _, _ := strings.Cut(r.URL.Path[1:], "/") // an OCSP request by GET stands behind it
	e.mu.Lock()
	f := e.tricks[name]
	e.mu.Unlock()
	if f != nil {
		f(counting{c, &e.bytes})
	}
}

type counting struct {
	w io.Writer
	n *atomic.Int64
}

func (c counting) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n.Add(int64(n))
	return n, err
}

// witness is a Client that remembers what it said.
type witness struct {
	*fetch.Client
	mu   sync.Mutex
	errs []error
}

func (w *witness) note(body []byte, err error) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.errs = append(w.errs, err)
	return body, err
}

func (w *witness) Fetch(ctx context.Context, url string, max int64) ([]byte, error) {
	return w.note(w.Client.Fetch(ctx, url, max))
}

func (w *witness) Post(ctx context.Context, url, kind string, body []byte, max int64) ([]byte, error) {
	return w.note(w.Client.Post(ctx, url, kind, body, max))
}

// kinds are the ways in which strangers have us fetch a URL. Each asks for url, and says whether anything came of it.
type kinds struct {
	root  *certtest.CA
	dns   *resolvertest.Server
	count int
}

type kind struct {
	name  string
	limit int64 // bytes of one answer
	ask   func(t *testing.T, by trust.Fetcher, url string) (believed bool)
}

func (k *kinds) all(t *testing.T) []kind {
	now := certtest.NotBefore.AddDate(6, 0, 0)
	judge := func(t *testing.T, by trust.Fetcher, ca *certtest.CA, edit certtest.Edit) bool {
		leaf := ca.Issue(t, "lab@h.example", edit).Certificate
		v := trust.NewJudge(by).Judge(t.Context(), trust.Question{Certificate: leaf, Address: addr.Address{Endpoint: "lab", Domain: "h.example"},
			Now: now, Anchors: []*x509.Certificate{k.root.Certificate}})
		return v.Status == trust.Trusted
	}
	k.root, k.dns = certtest.NewCA(t, "R"), resolvertest.Start(t)
	stranger := certtest.NewCA(t, "X")
	return []kind{
		{"AIA", 64 << 10, func(t *testing.T, by trust.Fetcher, url string) bool {
			return judge(t, by, stranger, certtest.Points([]string{url}, nil))
		}},
		{"CRL", 32 << 20, func(t *testing.T, by trust.Fetcher, url string) bool {
			return judge(t, by, k.root, certtest.Points(nil, []string{url}))
		}},
		{"OCSP", 64 << 10, func(t *testing.T, by trust.Fetcher, url string) bool {
			return judge(t, by, k.root, func(c *x509.Certificate) { c.OCSPServer = []string{url} })
		}},
		{"IPKIX", 64 << 10, func(t *testing.T, by trust.Fetcher, url string) bool {
			k.count++
			name := fmt.Sprintf("c%d", k.count)
			k.dns.AddCERT(t, name+".h.example", 4, []byte(url))
			found, _, _ := (&discovery.Finder{Resolver: k.dns.Client(), Fetcher: by}).Lookup(t.Context(), addr.Address{Endpoint: name, Domain: "h.example"})
			return len(found) > 0
		}},
	}
}
