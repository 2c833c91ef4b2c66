// Package ett plays the Edge Testing Tool of the ONC and the accreditation suites of DirectTrust before Carepost. Sub-tests bear the names and
// numbers of their cases: MT47, DTS128, SMTP16. The tool's side is OpenSSL, which makes and opens its messages, a mail server
// that is written out by hand here, BIND with the tool's certificates, and Python's email package, which looks at what Carepost sends. docs/ett.md
// lists the cases, and which of them wait for what is not built yet.
package ett

import (
	"bytes"
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net/mail"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"carepost/resolver/resolvertest"
	"carepost/trust/certtest"
)

const (
	good      = "good.ett.example"      // trusted, its certificate in DNS
	untrusted = "untrusted.ett.example" // a certificate of another authority
	nocert    = "nocert.ett.example"    // none
	newer     = "newer.ett.example"     // trusted, by the profile v1.3
	older     = "older.ett.example"     // trusted, by the profile lenient
	demanding = "demanding.ett.example" // trusted; its certificates must name where to ask whether they are revoked
)

// tool is the test tool: its authority, its name server, its mail server, and who answers there.
type tool struct {
	t        testing.TB
	dir      string
	web      *certtest.Server
	ca       *certtest.CA
	strange  *certtest.CA // nobody trusts it
	org      identity     // of the trusted domains, published
	dns      string
	mx       *server
	under    *sut
	numbers  atomic.Int64
	busy     atomic.Int64 // transactions that are being looked at
	mu       sync.Mutex
	got      []arrival
	later    map[string][]func() // what answerers do when time has passed, by its name
	troubles []string
}

// arrival is what came from the installation under test, opened.
type arrival struct {
	transaction
	turn int64 // in which they came
	opened
	header mail.Header // of the wrapped message
	id     string
}

func newTool(t testing.TB) *tool {
	t.Helper()
	x := &tool{t: t, dir: t.TempDir(), web: certtest.NewServer(t), later: map[string][]func(){}}
	x.ca, x.strange = certtest.NewCA(t, "ETT"), certtest.NewCA(t, "Elsewhere")
	x.ca.Publish(t, x.web)
	x.strange.Publish(t, x.web)
	org := x.ca.Issue(t, good, func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, demanding, newer, older) })
	x.org = keep(t, x.dir, "org", org)
	host := x.ca.Issue(t, "mx.ett.example")
	x.mx = &server{refuses: func(to string) bool { return strings.HasPrefix(to, "bad") }, take: x.take,
		cert: tls.Certificate{Certificate: [][]byte{host.Certificate.Raw}, PrivateKey: host.Key}}
	x.mx.listen(t)
	record := func(name string, p certtest.Pair) string {
		return name + " IN CERT PKIX 0 0 " + base64.StdEncoding.EncodeToString(p.Certificate.Raw) + "\n"
	}
	x.dns = resolvertest.Named(t, map[string]string{"ett.example": "$TTL 60\n@ IN SOA ns hostmaster 1 60 60 600 60\n@ IN NS ns\nns IN A 127.0.0.1\n" +
		"good IN MX 10 ns\nuntrusted IN MX 10 ns\nnocert IN MX 10 ns\ndemanding IN MX 10 ns\nnewer IN MX 10 ns\nolder IN MX 10 ns\n" +
		record("good", org) + record("demanding", org) + record("newer", org) + record("older", org) + record("untrusted", x.strange.Issue(t, untrusted))})
	return x
}

// person issues a certificate of the tool's authority, or of another, for an address.
func (x *tool) person(address string, ca *certtest.CA, edits ...certtest.Edit) identity {
	x.t.Helper()
	return keep(x.t, x.dir, fmt.Sprintf("person%d", x.numbers.Add(1)), ca.Issue(x.t, address, edits...))
}

// rsaKey and ecKey are keys of sizes that the pool of certtest does not have.
func (x *tool) rsaKey(bits int) certtest.Edit {
	x.t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		x.t.Fatal(err)
	}
	return certtest.Key(k)
}

func (x *tool) ecKey(c elliptic.Curve) certtest.Edit {
	x.t.Helper()
	k, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		x.t.Fatal(err)
	}
	return certtest.Key(k)
}

// newID is a Message-ID of the tool's.
func (x *tool) newID() string {
	return fmt.Sprintf("<%d.%d@ett.example>", time.Now().UnixNano(), x.numbers.Add(1))
}

// trouble is something that the tool itself could not do, or that it could not open.
func (x *tool) trouble(format string, args ...any) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.troubles = append(x.troubles, fmt.Sprintf(format, args...))
}

// take opens what came, keeps it, and answers as its recipients do.
func (x *tool) take(tr transaction) {
	x.busy.Add(1)
	turn := x.numbers.Add(1)
	go func() {
		defer x.busy.Add(-1)
		o, err := open(x.dir, tr.data, x.org, x.under.anchor)
		if err != nil {
			x.trouble("a message from %s cannot be opened: %v", tr.from, err)
			return
		}
		a := arrival{transaction: tr, turn: turn, opened: o}
		m, err := mail.ReadMessage(bytes.NewReader(o.inner))
		if err != nil {
			x.trouble("a message from %s is not wrapped: %v", tr.from, err)
			return
		}
		a.header, a.id = m.Header, m.Header.Get("Message-ID")
		x.mu.Lock()
		x.got = append(x.got, a)
		x.mu.Unlock()
		if strings.HasPrefix(a.header.Get("Content-Type"), "multipart/report") {
			return
		}
		for _, to := range tr.to {
			x.answer(a, to)
		}
	}()
}

// arrivals are the messages that came so far and fit, in the order of their coming.
func (x *tool) arrivals(fits func(arrival) bool) (out []arrival) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, a := range x.got {
		if fits(a) {
			out = append(out, a)
		}
	}
	slices.SortFunc(out, func(a, b arrival) int { return cmp.Compare(a.turn, b.turn) })
	return out
}

// deliver hands a message to the mail server of the installation.
func (x *tool) deliver(from, to string, message []byte) error {
	c, err := dial(x.under.mx)
	if err != nil {
		return err
	}
	defer c.close()
	if code, text, err := c.say("EHLO mx.ett.example"); err != nil || code != 250 {
		return fmt.Errorf("EHLO: %d %s, %v", code, text, err)
	}
	_, err = c.send(from, []string{to}, message)
	return err
}

// reply seals a report for whoever sent an arrival, about a message, and delivers it.
func (x *tool) reply(a arrival, about, from, envelope, entity string) {
	l := letter{from: from, to: a.from, id: x.newID(), subject: "A report", fields: []string{"In-Reply-To: " + about}, entity: entity}
	sealed, err := l.sealed(form{signers: []identity{x.org}}, x.under.certificate)
	if err == nil {
		err = x.deliver(strings.Trim(or(envelope, from), "<>"), a.from, sealed)
	}
	if err != nil {
		x.trouble("a report from %s: %v", from, err)
	}
}

// put off has something done when the tool is told that so much time has passed.
func (x *tool) putOff(when string, do func()) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.later[when] = append(x.later[when], do)
}

// now does what was put off until then.
func (x *tool) now(when string) {
	x.mu.Lock()
	all := x.later[when]
	delete(x.later, when)
	x.mu.Unlock()
	for _, do := range all {
		do()
	}
}

// settle waits until nothing is under way on either side.
func (x *tool) settle(t testing.TB) {
	t.Helper()
	for {
		before := len(x.arrivals(func(arrival) bool { return true }))
		x.under.idle(t, func() bool { return x.busy.Load() == 0 })
		if x.busy.Load() == 0 && len(x.arrivals(func(arrival) bool { return true })) == before {
			break
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, trouble := range x.troubles {
		t.Error(trouble)
	}
	x.troubles = nil
}

// write keeps bytes in a file.
func write(t testing.TB, path string, b []byte) string {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
