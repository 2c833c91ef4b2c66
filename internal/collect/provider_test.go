package collect

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"io/fs"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/audit"
	"carepost/internal/blob"
	"carepost/internal/flow"
	"carepost/internal/store"
	"carepost/internal/store/storetest"
	"carepost/sasl"
	"carepost/smtp/smtptest"
)

// lies is a mail at a provider.
type lies struct {
	uid, text string
	size      int // that the provider says; 0: the right one
}

// provider is a POP3 server over TLS. on, if set, may answer in its place: "" leaves the answer to it, and with end the connection is cut after
// the answer.
type provider struct {
	t     *testing.T
	roots *x509.CertPool
	at    string

	mu       sync.Mutex
	mails    []lies
	sessions int
	password string
	on       func(session int, line string) (answer string, end bool)
	pour     func(line string, to io.Writer) bool // answers without end, and says whether that is over
}

func newProvider(t *testing.T, mails ...lies) *provider {
	t.Helper()
	cert, roots, err := smtptest.Certificate()
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	p := &provider{t: t, roots: roots, at: l.Addr().String(), mails: mails, password: "their secret"}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { defer conn.Close(); p.serve(conn) })
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return p
}

func (p *provider) set(do func()) { p.mu.Lock(); defer p.mu.Unlock(); do() }

// answers has on answer the sessions to come.
func (p *provider) answers(on func(session int, line string) (answer string, end bool)) {
	p.set(func() { p.on = on })
}

// lying are the unique ids of what lies there.
func (p *provider) lying() (out []string) {
	p.set(func() {
		for _, m := range p.mails {
			out = append(out, m.uid)
		}
	})
	return out
}

// serve is one session.
func (p *provider) serve(conn net.Conn) {
	var mails []lies
	var number int
	var on func(int, string) (string, bool)
	var pour func(string, io.Writer) bool
	p.set(func() {
		p.sessions++
		mails, number, on, pour = slices.Clone(p.mails), p.sessions, p.on, p.pour
	})
	var deleted []string
	in := bufio.NewScanner(conn)
	for line := "(connected)"; ; line = in.Text() {
		if pour != nil && pour(line, conn) {
			return
		}
		if on != nil {
			if answer, end := on(number, line); end || answer != "" {
				if io.WriteString(conn, answer); end {
					return
				}
				if answer != "" && in.Scan() {
					continue
				}
				return
			}
		}
		io.WriteString(conn, p.answer(line, mails, &deleted))
		if line == "QUIT" || !in.Scan() {
			return
		}
	}
}

func (p *provider) answer(line string, mails []lies, deleted *[]string) string {
	word, args, _ := strings.Cut(line, " ")
	var n int
	fmt.Sscan(args, &n)
	switch word {
	case "CAPA":
		return "+OK\r\nUIDL\r\nUSER\r\n.\r\n"
	case "PASS":
		if args != p.password {
			return "-ERR no: north with " + args + "\r\n"
		}
	case "UIDL", "LIST":
		out := "+OK\r\n"
		for i, m := range mails {
			if word == "UIDL" {
				out += fmt.Sprintf("%d %s\r\n", i+1, m.uid)
			} else {
				out += fmt.Sprintf("%d %d\r\n", i+1, max(m.size, len(m.text)))
			}
		}
		return out + ".\r\n"
	case "RETR":
		return "+OK\r\n" + mails[n-1].text + "\r\n.\r\n"
	case "DELE":
		*deleted = append(*deleted, mails[n-1].uid)
	case "QUIT":
		p.set(func() {
			p.mails = slices.DeleteFunc(p.mails, func(m lies) bool { return slices.Contains(*deleted, m.uid) })
		})
	}
	return "+OK\r\n"
}

// house is an installation as far as fetching wants it.
type house struct {
	*Service
	t     *testing.T
	dir   string
	mu    sync.Mutex
	time  time.Time
	blobs *blob.Store
	rows  *store.Store
}

var desk = addr.Address{Endpoint: "desk", Domain: "north.example"}

// newHouse fetches by hand from p.
func newHouse(t *testing.T, p *provider, edits ...func(*Source)) *house {
	t.Helper()
	h := &house{t: t, dir: storetest.Dir(t, filepath.Join(t.TempDir(), "data")), time: time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)}
	x := Source{Name: "provider", For: desk, POP3: true, Implicit: true, Manual: true, Credentials: sasl.Credentials{User: "north", Password: "their secret"}}
	if p != nil {
		x.Address, x.TLS = p.at, &tls.Config{RootCAs: p.roots}
	}
	for _, edit := range edits {
		edit(&x)
	}
	var err error
	h.rows, err = store.Open(t.Context(), store.Options{Dir: h.dir, KEK: storetest.Keeper(t), Clock: h.now})
	h.must(err)
	t.Cleanup(func() { h.rows.Close() })
	h.blobs, err = blob.New(blob.Options{Dir: h.dir, Box: h.rows.Box(), Clock: h.now})
	h.must(err)
	h.Service = h.node(x)
	return h
}

// node is one more process over the same rows.
func (h *house) node(x Source) *Service {
	f := flow.New(flow.Options{Store: h.rows, Blobs: h.blobs, Hostname: "mx.north.example", Clock: h.now})
	return New(Options{Store: h.rows, Flow: f, Sources: []Source{x}, Hostname: "mx.north.example", Clock: h.now})
}

func (h *house) now() time.Time { h.mu.Lock(); defer h.mu.Unlock(); return h.time }

func (h *house) pass(d time.Duration) { h.mu.Lock(); defer h.mu.Unlock(); h.time = h.time.Add(d) }

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// round is one, and what should come of it; reason is part of the error, "" for none.
func (h *house) round(taken, refused, removed int, reason string) {
	h.t.Helper()
	h.roundIn(h.t.Context(), Fetched{taken, refused, removed}, reason)
}

func (h *house) roundIn(ctx context.Context, want Fetched, reason string) {
	h.t.Helper()
	got := h.Now(ctx)[0]
	if got.Fetched != want || reason == "" && got.Error != "" || !strings.Contains(got.Error, reason) {
		h.t.Errorf("%+v %q, want %+v %q", got.Fetched, got.Error, want, reason)
	}
}

// told is how the source stands.
func (h *house) told() Told {
	h.t.Helper()
	all, err := h.List(h.t.Context())
	h.must(err)
	return all[0]
}

// entries are those of the audit with an action.
func (h *house) entries(action string) (out []audit.Record) {
	h.t.Helper()
	h.must(h.rows.View(h.t.Context(), func(tx *store.Tx) (err error) {
		out, err = audit.List(tx, audit.Filter{Action: action})
		return err
	}))
	return out
}

// texts are the mails that are ours, without our trace field.
func (h *house) texts() (out []string) {
	h.t.Helper()
	for _, e := range h.entries("message.accept") {
		var row store.Blob
		h.must(h.rows.View(h.t.Context(), func(tx *store.Tx) error {
			m, err := tx.Message(strings.TrimPrefix(e.Object, "message:"))
			if err == nil {
				row, err = tx.Blob(m.Raw)
			}
			return err
		}))
		b, err := h.blobs.Open(blob.Ref(row))
		h.must(err)
		text, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
		b.Close()
		h.must(err)
		_, rest, found := strings.Cut(string(text), "+0000\r\n")
		if !found || !strings.HasPrefix(string(text), "Received: from 127.0.0.1\r\n\tby mx.north.example with ") {
			h.t.Errorf("no trace field: %.200q", text)
		}
		out = append(out, rest)
	}
	return out
}

// drafts counts what is half written.
func (h *house) drafts() (n int) {
	h.must(filepath.WalkDir(filepath.Join(h.dir, "drafts"), func(_ string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			n++
		}
		return err
	}))
	return n
}

// letter is a mail whose text says which.
func letter(name string) lies {
	return lies{uid: name, text: "Return-Path: <lab@south.example>\r\nFrom: lab@south.example\r\nSubject: " + name + "\r\n\r\ntext of " + name}
}

func letters(names ...string) (out []lies) {
	for _, n := range names {
		out = append(out, letter(n))
	}
	return out
}
