package flow_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/cms"
	"carepost/discovery"
	"carepost/internal/agent"
	"carepost/internal/audit"
	"carepost/internal/blob"
	"carepost/internal/flow"
	"carepost/internal/keyring"
	"carepost/internal/mailbox"
	"carepost/internal/queue"
	"carepost/internal/store"
	"carepost/internal/store/storetest"
	"carepost/internal/transit"
	"carepost/internal/vault"
	"carepost/smime"
	"carepost/trust"
	"carepost/trust/certtest"
)

const by = audit.Actor("test")

var (
	desk  = addr.Address{Endpoint: "desk", Domain: "north.example"} // the account of the side
	lab   = addr.Address{Endpoint: "lab", Domain: "south.example"}  // a stranger, trusted
	ward  = addr.Address{Endpoint: "ward", Domain: "west.example"}  // another
	large = strings.Repeat("a line of a body that is no longer kept in a row of the database\r\n", 1000)
)

// side is one installation whose steps the test runs, one at a time: real stores, keys and certificates. The network is the test's.
type side struct {
	*flow.Flow
	t        *testing.T
	dir      string
	queue    *queue.Queue
	handlers map[string]func(context.Context, *queue.Job) error
	now      time.Time

	ca     *certtest.CA
	own    certtest.Pair                 // of north.example
	others map[addr.Domain]certtest.Pair // of strangers, all by ca

	judge  agent.Judge
	keeper vault.Keeper

	reply func(transit.Consignment) transit.Outcome
	tell  func(what string, done, total int64)
}

// newSide changes its own certificate by edits.
func newSide(t *testing.T, edits ...certtest.Edit) *side {
	t.Helper()
	s := &side{t: t, dir: storetest.Dir(t, filepath.Join(t.TempDir(), "data")), now: time.Now(), handlers: map[string]func(context.Context, *queue.Job) error{}}
	server := certtest.NewServer(t)
	s.ca = certtest.NewCA(t, "Trial CA")
	s.ca.Publish(t, server)
	s.own = s.ca.Issue(t, desk.Domain.String(), edits...)
	s.others = map[addr.Domain]certtest.Pair{lab.Domain: s.ca.Issue(t, lab.Domain.String()), ward.Domain: s.ca.Issue(t, ward.Domain.String())}
	s.reply = func(c transit.Consignment) transit.Outcome { return answers(c, transit.Delivered, 250) }
	s.tell = func(string, int64, int64) {}

	s.judge, s.keeper = trust.NewJudge(server), storetest.Keeper(t)
	s.start()
	t.Cleanup(func() { s.Store.Close() })
	s.settle()
	return s
}

// start is what a start does; restart what a process does that ends and is started again.
func (s *side) start() {
	clock := func() time.Time { return s.now }
	rows, err := store.Open(s.t.Context(), store.Options{Dir: s.dir, KEK: s.keeper, Clock: clock})
	s.must(err)
	blobs, err := blob.New(blob.Options{Dir: s.dir, Box: rows.Box(), Clock: clock})
	s.must(err)
	s.Flow = flow.New(flow.Options{
		Store: rows, Blobs: blobs, Keys: keyring.New(rows), Mailboxes: &mailbox.Service{Store: rows, Blobs: blobs},
		Directory: s, Judge: s.judge, Transport: s, Hostname: "mx.north.example", Clock: clock,
		Progress: func(what string, done, total int64) { s.tell(what, done, total) },
	})
	s.queue, err = queue.New(queue.Options{Store: rows}, s.Handlers()...)
	s.must(err)
	for _, h := range s.Handlers() {
		s.handlers[h.Kind] = h.Do
	}
}

func (s *side) restart() {
	before := s.Options
	s.must(s.Store.Close())
	s.start()
	s.Patience, s.Rules = before.Patience, before.Rules
}

// settle makes the domain, its account, key and anchors.
func (s *side) settle() {
	s.tx(func(tx *store.Tx) error {
		key, err := s.Keys.Import(s.t.Context(), tx, s.own.Key)
		if err != nil {
			return err
		}
		if err := tx.InsertDomain(desk.Domain); err != nil {
			return err
		}
		if _, err := tx.InsertAccount(desk); err != nil {
			return err
		}
		for _, d := range []transit.Direction{transit.Inbound, transit.Outbound} {
			err := tx.InsertAnchor(&store.Anchor{Owner: store.Owner{Domain: desk.Domain}, Direction: d, DER: s.ca.Certificate.Raw, Source: "test"})
			if err != nil {
				return err
			}
		}
		c := s.own.Certificate
		return tx.InsertCert(&store.Cert{Owner: store.Owner{Domain: desk.Domain}, Key: key, DER: c.Raw, NotBefore: c.NotBefore, NotAfter: c.NotAfter})
	})
}

// Lookup is the directory of strangers.
func (s *side) Lookup(_ context.Context, a addr.Address) ([]discovery.Found, []discovery.Step, error) {
	p, ok := s.others[a.Domain]
	if !ok {
		return nil, nil, nil
	}
	return []discovery.Found{{Certificate: p.Certificate, Source: "test", Name: a.Domain.String()}}, nil, nil
}

// Deliver is the network.
func (s *side) Deliver(_ context.Context, c transit.Consignment) transit.Outcome { return s.reply(c) }

func answers(c transit.Consignment, r transit.Result, code int) (o transit.Outcome) {
	o.Host, o.TLS = "mx."+c.Domain.String(), "TLS 1.3"
	for _, a := range c.To {
		o.At = append(o.At, transit.Answer{To: a, Result: r, Code: code, Text: "scripted"})
	}
	return o
}

func (s *side) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *side) tx(fn func(*store.Tx) error) {
	s.t.Helper()
	s.must(s.Store.Tx(s.t.Context(), fn))
}

var letters int

func letter(from addr.Address, text string, to ...addr.Address) string {
	letters++
	var names []string
	for _, a := range to {
		names = append(names, a.String())
	}
	return fmt.Sprintf("From: %s\r\nTo: %s\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-ID: <%d@%s>\r\nSubject: the subject\r\n"+
		"MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n%s", from, strings.Join(names, ", "), letters, from.Domain, text)
}

func (s *side) submit(text string, to ...addr.Address) (id string) {
	s.t.Helper()
	id, err := s.Submit(s.t.Context(), by, transit.Envelope{From: addr.Path{Address: desk}, To: to}, strings.NewReader(letter(desk, text, to...)))
	s.must(err)
	return id
}

// seal makes what a stranger would send: text signed by his key, for our certificate.
func (s *side) seal(text string, signer certtest.Pair) []byte {
	s.t.Helper()
	var out bytes.Buffer
	s.must(smime.Seal(&out, strings.NewReader(text), smime.SealOptions{
		Signers:    []cms.Signer{{Key: signer.Key, Certificate: signer.Certificate, Time: s.now}},
		Recipients: []*x509.Certificate{s.own.Certificate}, Rand: rand.Reader,
	}))
	return out.Bytes()
}

func (s *side) accept(from addr.Address, sealed []byte) (id string) {
	s.t.Helper()
	id, err := s.Accept(s.t.Context(), transit.Envelope{From: addr.Path{Address: from}, To: []addr.Address{desk}}, bytes.NewReader(sealed))
	s.must(err)
	return id
}

// claim leases the next piece of work of a kind.
func (s *side) claim(kind string) *queue.Job {
	s.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond) // the engine's clock, not ours, says when work is due
	defer tick.Stop()
	for range 1000 {
		for _, lane := range []store.Lane{store.Small, store.Huge} {
			jobs, err := s.queue.Claim(s.t.Context(), kind, lane, 1)
			s.must(err)
			if len(jobs) > 0 {
				return jobs[0]
			}
		}
		if s.works(kind) == 0 {
			break
		}
		<-tick.C
	}
	s.t.Fatalf("there is no %s work to do", kind)
	return nil
}

// step does the next piece of work of a kind, and then once more: a step that is run twice takes effect once.
func (s *side) step(kind string) {
	s.t.Helper()
	j := s.claim(kind)
	s.must(s.run(s.t.Context(), j))
	before := s.works("")
	if err := s.run(s.t.Context(), j); err != nil && !errors.Is(err, store.ErrLeaseLost) {
		s.t.Errorf("%s run again: %v", kind, err)
	}
	if after := s.works(""); after != before {
		s.t.Errorf("%s run again: %d pieces of work instead of %d", kind, after, before)
	}
}

// run does a piece of work as the queue does: when its handler says nil and has not settled it, it is finished.
func (s *side) run(ctx context.Context, j *queue.Job) error {
	if err := s.handlers[j.Kind](ctx, j); err != nil {
		return err
	}
	if err := s.Store.Tx(ctx, j.Finish); !errors.Is(err, store.ErrLeaseLost) {
		return err
	}
	return nil
}

// works counts the work that waits: of a kind, or any.
func (s *side) works(kind string) (n int) {
	s.t.Helper()
	s.must(s.Store.View(s.t.Context(), func(tx *store.Tx) error {
		all, err := tx.Works(store.Ready, 1000)
		n = 0
		for _, w := range all {
			if kind == "" || w.Kind == kind {
				n++
			}
		}
		return err
	}))
	return n
}

// stolen takes a lease away, as when the process slept for too long.
func (s *side) stolen(*queue.Job) {
	s.tx(func(tx *store.Tx) error { _, err := tx.ReleaseWork("another owner"); return err })
}

func (s *side) recipient(id string, a addr.Address) store.Recipient {
	s.t.Helper()
	l, err := s.Timeline(s.t.Context(), by, id)
	s.must(err)
	i := slices.IndexFunc(l.Recipients, func(r store.Recipient) bool { return r.Address == a })
	if i < 0 {
		s.t.Fatalf("the message is not for %s", a)
	}
	return l.Recipients[i]
}

func (s *side) inbox() []store.Mail {
	s.t.Helper()
	mails, err := s.Mailboxes.List(s.t.Context(), by, desk, mailbox.Inbox, 0, 100)
	s.must(err)
	return mails
}

func (s *side) text(m store.Mail) string {
	s.t.Helper()
	b, err := s.Mailboxes.Open(s.t.Context(), by, m)
	s.must(err)
	defer b.Close()
	text := make([]byte, b.Size())
	if _, err := b.ReadAt(text, 0); err != nil && b.Size() == 0 {
		s.t.Fatal(err)
	}
	return string(text)
}

// files lists the bodies on the disk, finished or not.
func (s *side) files() (names []string) {
	s.t.Helper()
	s.must(filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(s.dir, path)
		if err == nil && !d.IsDir() && (strings.HasPrefix(rel, "b"+string(filepath.Separator)) || strings.HasPrefix(rel, "drafts")) {
			names = append(names, path)
		}
		return err
	}))
	return names
}

// file is where a body lies on the disk.
func (s *side) file(id string) string {
	s.t.Helper()
	var row store.Blob
	s.must(s.Store.View(s.t.Context(), func(tx *store.Tx) (err error) { row, err = tx.Blob(id); return err }))
	if row.Key == "" {
		s.t.Fatal("the body is kept in its row")
	}
	return filepath.Join(s.dir, row.Key)
}

func (s *side) audited(action string) (n int) {
	s.t.Helper()
	s.must(s.Store.View(s.t.Context(), func(tx *store.Tx) error {
		all, err := audit.List(tx, audit.Filter{Action: action, Limit: 1000})
		n = len(all)
		return err
	}))
	return n
}
