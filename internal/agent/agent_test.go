package agent_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"carepost/addr"
	"carepost/discovery"
	"carepost/internal/agent"
	"carepost/message"
	"carepost/trust"
	"carepost/trust/certtest"
)

var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// directory answers by address, then by domain. It stands for the network; certificates and judgement are real.
type directory struct {
	certs map[string][]*x509.Certificate
	err   map[string]error
	asked atomic.Int32
}

func (d *directory) Lookup(ctx context.Context, a addr.Address) (out []discovery.Found, steps []discovery.Step, err error) {
	d.asked.Add(1)
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	for _, name := range []string{a.String(), a.Domain.String()} {
		if err := d.err[name]; err != nil {
			return nil, nil, err
		}
		for _, c := range d.certs[name] {
			out = append(out, discovery.Found{Certificate: c, Source: "DNS CERT", Name: name})
		}
		if len(out) > 0 {
			break
		}
	}
	return out, []discovery.Step{{Name: a.Domain.String(), Source: "DNS CERT", Outcome: "asked"}}, nil
}

// world is an agent, the directory it asks, and an authority that its party trusts.
type world struct {
	*agent.Agent
	*directory
	ca    *certtest.CA
	party agent.Party
}

func newWorld(t *testing.T) *world {
	t.Helper()
	server := certtest.NewServer(t)
	ca := certtest.NewCA(t, "Trial CA")
	ca.Publish(t, server)
	d := &directory{certs: map[string][]*x509.Certificate{}, err: map[string]error{}}
	return &world{
		Agent: &agent.Agent{Directory: d, Judge: trust.NewJudge(server)}, directory: d, ca: ca,
		party: agent.Party{Anchors: []*x509.Certificate{ca.Certificate}},
	}
}

// publish issues a certificate to a name and puts it into the directory.
func (w *world) publish(t *testing.T, ca *certtest.CA, name string, edits ...certtest.Edit) *x509.Certificate {
	t.Helper()
	c := ca.Issue(t, name, edits...).Certificate
	w.certs[name] = append(w.certs[name], c)
	return c
}

func at(t *testing.T, s string) addr.Address {
	t.Helper()
	var a addr.Address
	if err := a.UnmarshalText([]byte(s)); err != nil {
		t.Fatal(err)
	}
	return a
}

func header(t *testing.T, fields ...string) message.Header {
	t.Helper()
	h, err := message.ReadHeader(bufio.NewReader(strings.NewReader(strings.Join(fields, "\r\n")+"\r\n\r\n")), message.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// Each recipient is decided on its own, in the order asked: DIR-11, DIR-38, DIR-41; Direct 4.2.2.
func TestOutboundDecidesEachAlone(t *testing.T) {
	w := newWorld(t)
	strange := certtest.NewCA(t, "Strange CA")
	silent := certtest.NewCA(t, "Silent CA")
	silent.CDP = []string{"http://127.0.0.1:1/silent.crl"} // nobody answers there
	w.party.Anchors = append(w.party.Anchors, silent.Certificate)

	w.publish(t, w.ca, "good.example")
	w.publish(t, strange, "strange.example")
	w.publish(t, w.ca, "expired.example", certtest.Until(now.Add(-time.Hour)))
	w.publish(t, w.ca, "curve.example", certtest.Key(certtest.ECDSA(t)), certtest.Usage(x509.KeyUsageDigitalSignature|x509.KeyUsageKeyAgreement))
	odd, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	w.publish(t, w.ca, "odd.example", certtest.Key(odd), certtest.Usage(x509.KeyUsageDigitalSignature|x509.KeyUsageKeyAgreement))
	w.publish(t, silent, "silent.example")
	w.err["down.example"] = errors.New("no server answers")
	w.publish(t, strange, "several.example")
	w.publish(t, w.ca, "several.example")
	w.publish(t, strange, "rash.example")
	w.publish(t, silent, "rash.example")
	w.certs["other.example"] = w.certs["good.example"] // published under a name that it is not bound to

	for _, tc := range []struct {
		domain string
		want   trust.Status
		clause string
	}{
		{"good.example", trust.Trusted, ""},
		{"nobody.example", trust.Refused, "Direct 2.3"},
		{"strange.example", trust.Refused, "Direct 4.2.3"},
		{"expired.example", trust.Refused, "Direct 4"},
		{"curve.example", trust.Trusted, ""},            // by key agreement
		{"odd.example", trust.Refused, "RFC 8551 §2.3"}, // trusted, but nothing can be encrypted to it
		{"silent.example", trust.Undecided, ""},         // a pointer without an answer is no answer yet: DIR-33
		{"down.example", trust.Undecided, ""},
		{"several.example", trust.Trusted, ""}, // one trusted certificate suffices
		{"rash.example", trust.Undecided, ""},  // while one is undecided nobody is refused
		{"other.example", trust.Refused, "Direct 4.1"},
	} {
		t.Run(tc.domain, func(t *testing.T) {
			to := []addr.Address{at(t, "x@"+tc.domain), at(t, "y@good.example")}
			d := w.Outbound(t.Context(), w.party, agent.Outgoing{To: to, Named: to, Now: now})
			v := d.Recipients[0].Verdict
			if v.Status != tc.want || !strings.HasPrefix(v.Clause, tc.clause) || tc.want != trust.Trusted && v.Reason == "" {
				t.Errorf("%s by %q: %s; want %s by %q", v.Status, v.Clause, v.Reason, tc.want, tc.clause)
			}
			if strings.Contains(v.Reason, "@") {
				t.Errorf("the reason names an address: %s", v.Reason)
			}
			if d.Recipients[0].Address != to[0] || d.Recipients[1].Verdict.Status != trust.Trusted {
				t.Errorf("the good one beside it: %+v", d.Recipients[1].Verdict)
			}
			sealed := map[addr.Address]bool{}
			for _, g := range d.Groups {
				for _, a := range g.To {
					sealed[a] = true
				}
			}
			if sealed[to[0]] != (tc.want == trust.Trusted) || !sealed[to[1]] {
				t.Errorf("sealed for %v", sealed)
			}
		})
	}
}

// Who trusts nobody sends to nobody; a zero Party is safe. DIR-37.
func TestZeroParty(t *testing.T) {
	w := newWorld(t)
	w.publish(t, w.ca, "good.example")
	d := w.Outbound(t.Context(), agent.Party{}, agent.Outgoing{To: []addr.Address{at(t, "x@good.example")}, Now: now})
	if d.Recipients[0].Verdict.Status != trust.Refused || len(d.Groups) != 0 {
		t.Errorf("%+v", d)
	}
}

// One group for each domain; whom the message does not name is alone in his: DIR-10. Only what is trusted is sealed for.
func TestGroups(t *testing.T) {
	w := newWorld(t)
	org := w.publish(t, w.ca, "h.example")
	w.publish(t, certtest.NewCA(t, "Strange CA"), "h.example")
	own := w.publish(t, w.ca, "lab@h.example")
	w.publish(t, w.ca, "i.example")
	named := []addr.Address{at(t, "desk@h.example"), at(t, "lab@h.example"), at(t, "a@i.example"), at(t, "ward@h.example")}
	blind := []addr.Address{at(t, "auditor@h.example"), at(t, "chief@h.example")}
	d := w.Outbound(t.Context(), w.party, agent.Outgoing{To: append(blind, named...), Named: named, Now: now})

	var got []string
	for _, g := range d.Groups {
		var to []string
		for _, a := range g.To {
			to = append(to, a.String())
		}
		got = append(got, fmt.Sprintf("%s %s %d", g.Domain, strings.Join(to, ","), len(g.Certificates)))
	}
	want := []string{"h.example auditor@h.example 1", "h.example chief@h.example 1",
		"h.example desk@h.example,lab@h.example,ward@h.example 2", "i.example a@i.example 1"}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("groups\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, c := range d.Groups[2].Certificates {
		if !c.Equal(org) && !c.Equal(own) {
			t.Error("sealed for a certificate that is not trusted")
		}
	}
}

// Large groups are split, by recipients and by certificates: readers have limits.
func TestGroupsAreBounded(t *testing.T) {
	w := newWorld(t)
	w.publish(t, w.ca, "h.example")
	var to []addr.Address
	for i := range 250 {
		to = append(to, at(t, fmt.Sprintf("x%d@h.example", i)))
	}
	for i := range 20 {
		name := fmt.Sprintf("x%d@many.example", i)
		to = append(to, at(t, name))
		for range 30 {
			w.publish(t, w.ca, name)
		}
	}
	d := w.Outbound(t.Context(), w.party, agent.Outgoing{To: to, Named: to, Now: now})
	served := 0
	for _, g := range d.Groups {
		if len(g.To) > 100 || len(g.Certificates) > 200 {
			t.Errorf("a group of %d recipients with %d certificates", len(g.To), len(g.Certificates))
		}
		served += len(g.To)
	}
	if served != len(to) || len(d.Groups) != 3+4 {
		t.Errorf("%d of %d served in %d groups", served, len(to), len(d.Groups))
	}
}

// Two certificates of one name with different keys are not sealed together: a reader finds his part by that name (RFC 5652 §6.2.1).
func TestSameNameOtherKey(t *testing.T) {
	w := newWorld(t)
	serial := func(c *x509.Certificate) { c.SerialNumber = big.NewInt(7) }
	for _, name := range []string{"a@h.example", "b@h.example"} {
		w.publish(t, w.ca, name, serial)
	}
	to := []addr.Address{at(t, "a@h.example"), at(t, "b@h.example")}
	d := w.Outbound(t.Context(), w.party, agent.Outgoing{To: to, Named: to, Now: now})
	if len(d.Groups) != 2 || len(d.Groups[0].Certificates) != 1 || len(d.Groups[1].Certificates) != 1 ||
		d.Groups[0].Certificates[0].Equal(d.Groups[1].Certificates[0]) {
		t.Errorf("%d groups: one of them could not open his message", len(d.Groups))
	}
}

// When the lease is lost the asking ends, and who is left is undecided, not refused.
func TestOutboundIsStopped(t *testing.T) {
	w := newWorld(t)
	w.publish(t, w.ca, "h.example")
	var to []addr.Address
	for i := range 1000 {
		to = append(to, at(t, fmt.Sprintf("x%d@h.example", i)))
	}
	d := w.Outbound(t.Context(), w.party, agent.Outgoing{To: to, Now: now, Progress: func() error { return errors.New("lease lost") }})
	if n := w.asked.Load(); n > 200 {
		t.Errorf("%d look-ups after the lease was lost", n)
	}
	count := map[trust.Status]int{}
	for _, j := range d.Recipients {
		count[j.Verdict.Status]++
	}
	if count[trust.Refused] != 0 || count[trust.Undecided] < 800 {
		t.Errorf("%v", count)
	}

	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, j := range w.Outbound(gone, w.party, agent.Outgoing{To: to[:3], Now: now}).Recipients {
		if j.Verdict.Status != trust.Undecided || j.Verdict.Reason == "" {
			t.Errorf("without time: %+v", j.Verdict)
		}
	}
}

func TestWhere(t *testing.T) {
	if got := agent.Where(nil); got != "" {
		t.Errorf("nothing was found at %q", got)
	}
	if got := agent.Where([]discovery.Found{{Source: "DNS CERT", Name: "h.example"}}); got != "DNS CERT h.example" {
		t.Errorf("%q", got)
	}
	ldap := discovery.Found{Source: "LDAP", Name: "lab@h.example", Server: "d.h.example:389", Stale: true}
	if got := agent.Where([]discovery.Found{ldap}); got != "LDAP d.h.example:389, outdated" { // it goes into the audit: no address
		t.Errorf("%q", got)
	}
}

// crowd is a directory that answers nobody before many ask at a time, as if the network took that long.
type crowd struct {
	*directory
	mu        sync.Mutex
	now, most int
	full      chan struct{} // closed once enough were there
}

const enough = 128

func (c *crowd) Lookup(ctx context.Context, a addr.Address) ([]discovery.Found, []discovery.Step, error) {
	c.mu.Lock()
	if c.now++; c.now > c.most {
		if c.most = c.now; c.most == enough {
			close(c.full)
		}
	}
	c.mu.Unlock()
	defer func() { c.mu.Lock(); c.now--; c.mu.Unlock() }()
	select {
	case <-c.full:
	case <-ctx.Done():
	}
	return c.directory.Lookup(ctx, a)
}

// DIR-11: many recipients are looked up at a time; what waits for the network does not wait for what judges.
func TestLookupsInParallel(t *testing.T) {
	w := newWorld(t)
	w.publish(t, w.ca, "h.example", certtest.Key(certtest.ECDSA(t)), certtest.Usage(x509.KeyUsageKeyAgreement))
	c := &crowd{directory: w.directory, full: make(chan struct{})}
	w.Agent.Directory = c
	var to []addr.Address
	for i := range 2 * enough {
		to = append(to, at(t, fmt.Sprintf("x%d@h.example", i)))
	}
	d := w.Outbound(t.Context(), w.party, agent.Outgoing{To: to, Named: to, Now: now})
	for _, j := range d.Recipients {
		if j.Verdict.Status != trust.Trusted {
			t.Fatalf("%+v", j.Verdict)
		}
	}
	if c.most != enough {
		t.Errorf("%d look-ups at a time", c.most)
	}
}
