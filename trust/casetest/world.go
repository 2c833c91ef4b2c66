// Package casetest builds what a case of package trust tells of, certificates and lists and a question about them, from lines that
// take no Go: testdata/README.md of trust has the language. The tests of trust and test/pki share it.
package casetest

import (
	"context"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/trust"
	"carepost/trust/certtest"
	"carepost/trust/policy"
)

// Now is the day on which the cases are judged, unless they say another.
var Now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// World is what the lines of a case have built so far.
type World struct {
	testing.TB
	Question trust.Question         // Anchors is complete after Anchored
	Lists    []*x509.RevocationList // given or served
	Served   []*x509.Certificate    // by the web server
	Issued   []*x509.Certificate    // all there are, anchors included
	Garbled  []byte                 // the certificate asked about, where no parser reads it; Question.Certificate is nil then
	Offline  bool                   // nothing is fetched
	Answers  bool                   // an OCSP answer is served
	Deltas   bool                   // a list is a delta CRL
	Split    bool                   // a distribution point is for some reasons
	Stopped  bool                   // the context has ended

	cas      map[string]*certtest.CA
	certs    map[string]*x509.Certificate
	signers  map[*x509.Certificate]*certtest.CA // of what is in Issued, nil: itself
	server   *certtest.Server
	anchored bool
}

// New returns a world with an address and a day, and nothing else.
func New(tb testing.TB) *World {
	w := &World{TB: tb, cas: map[string]*certtest.CA{}, certs: map[string]*x509.Certificate{}, signers: map[*x509.Certificate]*certtest.CA{}}
	w.server = certtest.NewServer(tb)
	w.Question.Now = Now
	w.Question.Address, _ = addr.Parse("lab@h.example")
	return w
}

// Judge is one that knows nothing yet.
func (w *World) Judge() *trust.Judge {
	j := trust.NewJudge(nil)
	if !w.Offline {
		j.Fetcher = w.server
	}
	return j
}

// Anchored gives the question its anchor R where the lines named none.
func (w *World) Anchored() {
	if !w.anchored {
		w.anchored = true
		w.Question.Anchors = append(w.Question.Anchors, w.ca("R").Certificate)
	}
}

// Ask asks j what the lines ask.
func (w *World) Ask(ctx context.Context, j *trust.Judge) trust.Verdict {
	w.Anchored()
	if w.Stopped {
		c, cancel := context.WithCancel(ctx)
		cancel()
		ctx = c
	}
	return j.Judge(ctx, w.Question)
}

// ca finds an authority; R is there without a line of its own.
func (w *World) ca(name string) *certtest.CA {
	if ca, ok := w.cas[name]; ok {
		return ca
	}
	if name != "R" {
		w.Fatalf("no authority %q", name)
	}
	w.keep(name, certtest.NewCA(w, name), nil)
	return w.cas[name]
}

func (w *World) keep(name string, ca *certtest.CA, by *certtest.CA) {
	w.cas[name], w.certs[name] = ca, ca.Certificate
	w.issued(ca.Certificate, by)
}

func (w *World) issued(c *x509.Certificate, by *certtest.CA) {
	w.Issued = append(w.Issued, c)
	w.signers[c] = by
}

func (w *World) cert(name string) *x509.Certificate {
	if name == "R" {
		return w.ca("R").Certificate
	}
	c, ok := w.certs[name]
	if !ok {
		w.Fatalf("no certificate %q", name)
	}
	return c
}

// Line obeys one line but "want".
func (w *World) Line(verb string, args []string) {
	w.Helper()
	switch verb {
	case "root", "ca":
		w.authority(verb, args)
	case "leaf":
		w.leaf(args)
	case "responder":
		w.responder(args)
	case "anchor":
		w.anchored = true
		for _, name := range args {
			w.Question.Anchors = append(w.Question.Anchors, w.cert(name))
		}
	case "give":
		for _, name := range args {
			w.Question.Intermediates = append(w.Question.Intermediates, w.cert(name))
		}
	case "crl":
		w.Question.CRLs = append(w.Question.CRLs, w.crl(args))
	case "serve":
		w.serve(args)
	default:
		w.ask(verb, args)
	}
}

// ask obeys the lines about the question.
func (w *World) ask(verb string, args []string) {
	switch verb {
	case "for":
		a, err := addr.Parse(args[0])
		if err != nil {
			w.Fatal(err)
		}
		w.Question.Address = a
	case "at":
		w.Question.Now = w.time(args[0])
	case "policy":
		w.Question.Policy = map[string]trust.Policy{"v1.2": trust.V12, "v1.3": trust.V13, "lenient": trust.Lenient}[args[0]]
	case "use":
		w.Question.Use = map[string]trust.Use{"any": trust.AnyUse, "signing": trust.Signing, "encryption": trust.Encryption}[args[0]]
	case "revocation":
		w.revocationAsked(args)
	case "filter":
		e, err := policy.Parse(strings.Join(args, " "))
		if err != nil {
			w.Fatal(err)
		}
		w.Question.Filter = e
	case "initial-policies":
		for _, p := range args {
			w.Question.Policies.Initial = append(w.Question.Policies.Initial, w.oid(p))
		}
	case "initial-demand":
		w.Question.Policies.Explicit = true
	case "initial-inhibit-mapping":
		w.Question.Policies.InhibitMapping = true
	case "initial-inhibit-any":
		w.Question.Policies.InhibitAny = true
	case "tolerant":
		w.Question.Tolerant = true
	case "offline":
		w.Offline = true
	case "cancelled":
		w.Stopped = true
	default:
		w.Fatalf("unknown verb %q", verb)
	}
}

// url reads "/x.crl" as a path on the case's server, "dead:/x" as one on a port where nobody listens, and takes others as they are.
func (w *World) url(s string) string {
	switch {
	case strings.HasPrefix(s, "/"):
		return w.server.URL + s
	case strings.HasPrefix(s, "dead:"):
		return "http://127.0.0.1:1" + strings.TrimPrefix(s, "dead:")
	}
	return s
}

func (w *World) time(s string) time.Time {
	w.Helper()
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		w.Fatal(err)
	}
	return t
}

func option(args []string, key, otherwise string) string {
	if o := options(args, key); len(o) > 0 {
		return o[0]
	}
	return otherwise
}

func options(args []string, key string) (values []string) {
	for _, a := range args {
		if v, ok := strings.CutPrefix(a, key+"="); ok {
			values = append(values, v)
		}
	}
	return values
}

func has(args []string, word string) bool {
	for _, a := range args {
		if a == word {
			return true
		}
	}
	return false
}
