//go:build linux

package crashfs_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"carepost/addr"
	"carepost/cms"
	"carepost/discovery"
	"carepost/internal/blob"
	"carepost/internal/flow"
	"carepost/internal/keyring"
	"carepost/internal/mailbox"
	"carepost/internal/queue"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/internal/vault"
	"carepost/smime"
	"carepost/trust"
	"carepost/trust/certtest"
)

var (
	desk  = addr.Address{Endpoint: "desk", Domain: "north.example"} // our account
	there = addr.Domain("south.example")                            // where everybody else is
)

// world is what lies outside an office: certificates, and the far side that mail is handed to.
type world struct {
	server *certtest.Server
	ca     *certtest.CA
	own    certtest.Pair
	other  certtest.Pair

	mu   sync.Mutex
	sent []parcel
}

// parcel is something the far side has said 250 to.
type parcel struct {
	delivery string
	to       addr.Address
	sum      [sha256.Size]byte
}

func newWorld(t *testing.T) *world {
	w := &world{server: certtest.NewServer(t), ca: certtest.NewCA(t, "Trial CA")}
	w.ca.Publish(t, w.server)
	w.own, w.other = w.ca.Issue(t, desk.Domain.String()), w.ca.Issue(t, there.String())
	return w
}

// Lookup is the directory.
func (w *world) Lookup(context.Context, addr.Address) ([]discovery.Found, []discovery.Step, error) {
	return []discovery.Found{{Certificate: w.other.Certificate, Source: "test", Name: there.String()}}, nil, nil
}

// Deliver is the network.
func (w *world) Deliver(_ context.Context, c transit.Consignment) (o transit.Outcome) {
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(c.Body, 0, c.Body.Size())); err != nil {
		return o
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, to := range c.To {
		w.sent = append(w.sent, parcel{c.ID, to, [sha256.Size]byte(h.Sum(nil))})
		o.At = append(o.At, transit.Answer{To: to, Result: transit.Delivered, Code: 250})
	}
	return o
}

// seen is what the far side has by now.
func (w *world) seen() []parcel {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]parcel(nil), w.sent...)
}

// sealed is the nth mail from outside; its sender names it.
func (w *world) sealed(t *testing.T, n, size int) (from addr.Address, text []byte) {
	t.Helper()
	from = addr.Address{Endpoint: fmt.Sprintf("lab-%d", n), Domain: there}
	var out bytes.Buffer
	if err := smime.Seal(&out, strings.NewReader(letter(from, desk, n, size)), smime.SealOptions{
		Signers:    []cms.Signer{{Key: w.other.Key, Certificate: w.other.Certificate, Time: time.Now()}},
		Recipients: []*x509.Certificate{w.own.Certificate}, Rand: rand.Reader,
	}); err != nil {
		t.Fatal(err)
	}
	return from, out.Bytes()
}

func letter(from, to addr.Address, n, size int) string {
	line := fmt.Sprintf("letter %d has lines that say nothing but are many of them\r\n", n)
	return fmt.Sprintf("From: %s\r\nTo: %s\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-ID: <%d@%s>\r\nSubject: letter %d\r\n"+
		"MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n%s", from, to, n, from.Domain, n, strings.Repeat(line, size/len(line)+1))
}

// office is an installation in a folder: real stores, keys and steps.
type office struct {
	*flow.Flow
	t     *testing.T
	dir   string
	queue *queue.Queue
}

// open opens the installation in dir, or makes it.
func (w *world) open(t *testing.T, dir string, unsafe bool) (*office, error) {
	t.Helper()
	kek, err := vault.OpenKEK(filepath.Join(dir, "keys", "kek"))
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	rows, err := store.Open(t.Context(), store.Options{Dir: data, KEK: kek, Unsafe: unsafe})
	if err != nil {
		return nil, err
	}
	blobs, err := blob.New(blob.Options{Dir: data, Box: rows.Box(), Reserve: -1})
	if err != nil {
		rows.Close()
		return nil, err
	}
	o := &office{t: t, dir: dir, Flow: flow.New(flow.Options{
		Store: rows, Blobs: blobs, Keys: keyring.New(rows), Mailboxes: &mailbox.Service{Store: rows, Blobs: blobs},
		Directory: w, Judge: trust.NewJudge(w.server), Transport: w, Hostname: "mx.north.example",
	})}
	if o.queue, err = queue.New(queue.Options{Store: rows, TTL: 6 * time.Second}, o.Handlers()...); err != nil {
		rows.Close()
		return nil, err
	}
	return o, nil
}

// mustOpen opens the installation in dir; it is closed with the test at the latest.
func (w *world) mustOpen(t *testing.T, dir string, unsafe bool) *office {
	t.Helper()
	o, err := w.open(t, dir, unsafe)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Store.Close() })
	return o
}

// found makes the domain, its account, key and anchors.
func (w *world) found(o *office) {
	o.t.Helper()
	o.must(o.Store.Tx(o.t.Context(), func(tx *store.Tx) error {
		key, err := o.Keys.Import(o.t.Context(), tx, w.own.Key)
		if err != nil {
			return err
		}
		if err := tx.InsertDomain(desk.Domain); err != nil {
			return err
		}
		if _, err := tx.InsertAccount(desk); err != nil {
			return err
		}
		owner := store.Owner{Domain: desk.Domain}
		for _, d := range []transit.Direction{transit.Inbound, transit.Outbound} {
			if err := tx.InsertAnchor(&store.Anchor{Owner: owner, Direction: d, DER: w.ca.Certificate.Raw, Source: "test"}); err != nil {
				return err
			}
		}
		c := w.own.Certificate
		return tx.InsertCert(&store.Cert{Owner: owner, Key: key, DER: c.Raw, NotBefore: c.NotBefore, NotAfter: c.NotAfter})
	}))
}

func (o *office) must(err error) {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
}

// run works the queue until the returned function is called.
func (o *office) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- o.queue.Run(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			o.t.Error(err)
		}
	})
}

// read checks a body by its SHA-256 and returns that; an error where it is missing or damaged.
func (o *office) read(id string) (sum [sha256.Size]byte, err error) {
	var row store.Blob
	if err := o.Store.View(o.t.Context(), func(tx *store.Tx) (err error) { row, err = tx.Blob(id); return err }); err != nil {
		return sum, err
	}
	b, err := o.Blobs.Open(blob.Ref(row))
	if err != nil {
		return sum, err
	}
	defer b.Close()
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(b, 0, b.Size())); err != nil {
		return sum, err
	}
	if sum = [sha256.Size]byte(h.Sum(nil)); !bytes.Equal(sum[:], row.SHA256) {
		return sum, errors.New("the SHA-256 differs")
	}
	return sum, nil
}

// works lists the work of a kind in one state.
func (o *office) works(state store.WorkState, kind string) (out []store.Work) {
	o.t.Helper()
	o.must(o.Store.View(o.t.Context(), func(tx *store.Tx) error {
		all, err := tx.Works(state, 1<<20)
		for _, w := range all {
			if kind == "" || w.Kind == kind {
				out = append(out, w)
			}
		}
		return err
	}))
	return out
}

// close closes the stores and has the engine check its file.
func (o *office) close() {
	o.t.Helper()
	o.must(o.Store.Close())
	integrity(o.t, filepath.Join(o.dir, "data", "carepost.db"))
}

// integrity has SQLite check a file.
func integrity(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, check := range []string{"PRAGMA integrity_check", "SELECT count(*) FROM pragma_foreign_key_check"} {
		var said string
		if err := db.QueryRow(check).Scan(&said); err != nil || said != "ok" && said != "0" {
			t.Errorf("%s: %s: %q, %v", path, check, said, err)
		}
	}
}
