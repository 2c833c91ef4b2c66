package trust_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"carepost/addr"
	"carepost/trust"
	"carepost/trust/certtest"
)

var lab = addr.Address{Endpoint: "lab", Domain: "h.example"}

// A bag full of authorities with the issuer's name costs a hundred signature checks, no more, and changes no verdict for the better.
// ATT-24.
func TestFloodOfIssuers(t *testing.T) {
	root := certtest.NewCA(t, "R")
	leaf := root.Issue(t, "lab@h.example")
	var flood []*x509.Certificate
	for range 120 {
		flood = append(flood, certtest.NewCA(t, "R", func(c *x509.Certificate) { c.SubjectKeyId = root.Certificate.SubjectKeyId }).Certificate)
	}
	q := trust.Question{Certificate: leaf.Certificate, Address: lab, Now: now, Intermediates: flood}
	q.Anchors = []*x509.Certificate{flood[0]}
	if v := trust.NewJudge(nil).Judge(t.Context(), q); v.Status != trust.Refused || v.Clause != "Direct 4.2.3" || !strings.Contains(v.Reason, "100 signature checks") {
		t.Errorf("%v %s %s", v.Status, v.Clause, v.Reason)
	}
	q.Anchors = []*x509.Certificate{root.Certificate} // anchors come first: an honest path is found in any crowd
	if v := trust.NewJudge(nil).Judge(t.Context(), q); v.Status != trust.Trusted {
		t.Errorf("%v %s", v.Status, v.Reason)
	}
}

// A lattice of cross-signed authorities has more paths than anybody can walk. ATT-24.
func TestLattice(t *testing.T) {
	layer := []*certtest.CA{certtest.NewCA(t, "L0a"), certtest.NewCA(t, "L0b")}
	var bag []*x509.Certificate
	for depth := 1; depth < 7; depth++ {
		name := fmt.Sprint("L", depth)
		key := certtest.ECDSA(t)
		a, b := layer[0].Intermediate(t, name+"a", certtest.Key(key)), layer[1].Intermediate(t, name+"b")
		for range 3 { // the same authority again and again, each time with another key above and below
			x := layer[1].Intermediate(t, name+"a", certtest.Key(key))
			bag = append(bag, x.Certificate)
		}
		bag = append(bag, a.Certificate, b.Certificate)
		layer = []*certtest.CA{a, b}
	}
	leaf := layer[0].Issue(t, "lab@h.example")
	q := trust.Question{Certificate: leaf.Certificate, Address: lab, Now: now, Intermediates: bag,
		Anchors: []*x509.Certificate{certtest.NewCA(t, "Elsewhere").Certificate}}
	start := time.Now()
	if v := trust.NewJudge(nil).Judge(t.Context(), q); v.Status != trust.Refused {
		t.Errorf("%v %s", v.Status, v.Reason)
	}
	if d := time.Since(start); d > time.Second {
		t.Errorf("took %v", d)
	}
}

// Equal questions get equal verdicts, in whatever order the candidates come.
func TestVerdictsAreDeterministic(t *testing.T) {
	root, other := certtest.NewCA(t, "R"), certtest.NewCA(t, "R")
	key := certtest.ECDSA(t)
	var bag []*x509.Certificate
	for i := range 6 {
		bag = append(bag, root.Intermediate(t, "I", certtest.Key(key), certtest.Until(now.AddDate(0, 0, i-3))).Certificate,
			other.Intermediate(t, "I", certtest.Key(key)).Certificate)
	}
	issuer := root.Intermediate(t, "I", certtest.Key(key))
	for _, edit := range []certtest.Edit{func(*x509.Certificate) {}, certtest.Until(now.AddDate(0, 0, -1))} {
		leaf := issuer.Issue(t, "lab@h.example", edit)
		var first trust.Verdict
		for i := range 10 {
			mathrand.Shuffle(len(bag), func(i, k int) { bag[i], bag[k] = bag[k], bag[i] })
			v := trust.NewJudge(nil).Judge(t.Context(), trust.Question{Certificate: leaf.Certificate, Address: lab, Now: now,
				Anchors: []*x509.Certificate{root.Certificate}, Intermediates: bag})
			if i == 0 {
				first = v
			} else if !reflect.DeepEqual(v, first) {
				t.Fatalf("%v %s, then %v %s", first.Status, first.Reason, v.Status, v.Reason)
			}
		}
	}
}

// A zero verdict trusts nobody, and neither does a question with nothing in it.
func TestZeroes(t *testing.T) {
	if (trust.Verdict{}).Status != trust.Undecided {
		t.Error("a zero verdict")
	}
	var j trust.Judge
	if v := j.Judge(t.Context(), trust.Question{}); v.Status != trust.Refused {
		t.Errorf("no certificate: %v", v.Status)
	}
	leaf := certtest.SelfSigned(t, "lab@h.example").Certificate
	anchors := []*x509.Certificate{nil, leaf}
	if v := j.Judge(t.Context(), trust.Question{Certificate: leaf, Anchors: anchors, Now: now}); v.Clause != "Direct 4.1" {
		t.Errorf("no address: %v %s", v.Status, v.Clause)
	}
	if v := j.Judge(t.Context(), trust.Question{Certificate: leaf, Anchors: anchors, Address: lab}); v.Clause != "Direct 4 (1)" {
		t.Errorf("no moment: %v %s", v.Status, v.Clause)
	}
}

// CRLs are fetched once, by however many ask, and again after an hour; a fetched list is not followed by an older one.
func TestCRLCache(t *testing.T) {
	server := certtest.NewServer(t)
	root := certtest.NewCA(t, "R")
	root.Publish(t, server)
	leaf := root.Issue(t, "lab@h.example")
	path := strings.TrimPrefix(root.CDP[0], server.URL)
	j := trust.NewJudge(server)
	judge := func(at time.Time) trust.Verdict {
		return j.Judge(t.Context(), trust.Question{Certificate: leaf.Certificate, Address: lab, Now: at, Anchors: []*x509.Certificate{root.Certificate}})
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if v := judge(now); v.Status != trust.Trusted {
				t.Errorf("%v %s", v.Status, v.Reason)
			}
		})
	}
	all.Wait()
	if n := server.Hits(path); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
	later := root.EditedCRL(t, func(l *x509.RevocationList) { l.ThisUpdate = now }, leaf.Certificate)
	server.Put(path, later.Raw)
	if v := judge(now.Add(59 * time.Minute)); v.Status != trust.Trusted {
		t.Errorf("within the hour: %v %s", v.Status, v.Reason)
	}
	if v := judge(now.Add(61 * time.Minute)); v.Status != trust.Refused {
		t.Errorf("after an hour: %v %s", v.Status, v.Reason)
	}
	root.Publish(t, server) // the old, empty list again
	if v := judge(now.Add(3 * time.Hour)); v.Status != trust.Refused {
		t.Errorf("an older list undid a revocation: %v %s", v.Status, v.Reason)
	}
}

// A CRL that is not the issuer's never gets into the cache, so it cannot stand in the way of a good one.
func TestForgedCRLIsNotKept(t *testing.T) {
	server := certtest.NewServer(t)
	root := certtest.NewCA(t, "R")
	root.Publish(t, server)
	leaf := root.Issue(t, "lab@h.example")
	path := strings.TrimPrefix(root.CDP[0], server.URL)
	good := root.CRL(t).Raw
	server.Put(path, certtest.NewCA(t, "R").EditedCRL(t, func(l *x509.RevocationList) { l.ThisUpdate = now }).Raw)
	j := trust.NewJudge(server)
	q := trust.Question{Certificate: leaf.Certificate, Address: lab, Now: now, Anchors: []*x509.Certificate{root.Certificate}}
	if v := j.Judge(t.Context(), q); v.Status != trust.Undecided {
		t.Errorf("forged: %v %s", v.Status, v.Reason)
	}
	server.Put(path, good)
	if v := j.Judge(t.Context(), q); v.Status != trust.Trusted {
		t.Errorf("good: %v %s", v.Status, v.Reason)
	}
}

// A context that ends while the network is silent: Undecided, and at once.
func TestCancelWhileFetching(t *testing.T) {
	silent := fetcher(func(ctx context.Context) ([]byte, error) { <-ctx.Done(); return nil, ctx.Err() })
	root := certtest.NewCA(t, "R")
	leaf := root.Issue(t, "lab@h.example", certtest.Points(nil, []string{"http://h.example/r.crl"}))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	v := trust.NewJudge(silent).Judge(ctx, trust.Question{Certificate: leaf.Certificate, Address: lab, Now: now, Anchors: []*x509.Certificate{root.Certificate}})
	if v.Status != trust.Undecided {
		t.Errorf("%v %s", v.Status, v.Reason)
	}
}

type fetcher func(context.Context) ([]byte, error)

func (f fetcher) Fetch(ctx context.Context, _ string, _ int64) ([]byte, error) { return f(ctx) }

// A large CRL takes little more memory than its bytes, and is searched quickly.
func TestLargeCRL(t *testing.T) {
	root := certtest.NewCA(t, "R")
	leaf := root.Issue(t, "lab@h.example", certtest.Points(nil, []string{"http://h.example/r.crl"}))

	body := root.EditedCRL(t, func(l *x509.RevocationList) {
		entries := make([]x509.RevocationListEntry, 200_000)
		for i := range entries {
			entries[i] = x509.RevocationListEntry{SerialNumber: new(big.Int).Add(big.NewInt(1), new(big.Int).Lsh(big.NewInt(int64(i)), 64)), RevocationTime: now}
		}
		entries[150_000].SerialNumber = leaf.Certificate.SerialNumber
		l.RevokedCertificateEntries = entries
	}).Raw
	j := trust.NewJudge(fetcher(func(context.Context) ([]byte, error) { return body, nil }))
	q := trust.Question{Certificate: leaf.Certificate, Address: lab, Now: now, Anchors: []*x509.Certificate{root.Certificate}}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	start := time.Now()
	v := j.Judge(t.Context(), q)
	d := time.Since(start)
	runtime.ReadMemStats(&after)
	if v.Status != trust.Refused {
		t.Fatalf("%v %s", v.Status, v.Reason)
	}
	t.Logf("%d bytes: %v, %d bytes allocated", len(body), d, after.TotalAlloc-before.TotalAlloc)
	if after.TotalAlloc-before.TotalAlloc > uint64(len(body)) {
		t.Errorf("%d bytes allocated for a list of %d", after.TotalAlloc-before.TotalAlloc, len(body))
	}
}

// Hostile names in certificates stay harmless in what people and logs read.
func TestNamesAreQuoted(t *testing.T) {
	root := certtest.NewCA(t, "R\r\nrefused: no\x1b[2J"+strings.Repeat("x", 200))
	leaf := root.Issue(t, "lab@h.example")
	v := trust.NewJudge(nil).Judge(t.Context(), trust.Question{Certificate: leaf.Certificate, Address: lab, Now: now, Anchors: []*x509.Certificate{root.Certificate}})
	if v.Status != trust.Trusted || strings.ContainsAny(v.Reason, "\r\n\x1b") || len(v.Reason) > 300 {
		t.Errorf("%v %q", v.Status, v.Reason)
	}
}

func BenchmarkJudge(b *testing.B) {
	key, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		b.Fatal(err)
	}
	root := certtest.NewCA(b, "R", certtest.Key(key))
	leaf := root.Issue(b, "lab@h.example")
	revoked := slices.Repeat([]*x509.Certificate{root.Issue(b, "other@h.example").Certificate}, 1000)
	q := trust.Question{Certificate: leaf.Certificate, Address: lab, Now: now, Anchors: []*x509.Certificate{root.Certificate}}
	b.Run("cold", func(b *testing.B) {
		for b.Loop() {
			trust.NewJudge(nil).Judge(b.Context(), q)
		}
	})
	j := trust.NewJudge(nil)
	b.Run("signatures-known", func(b *testing.B) { // each question is a new one
		for i := 0; b.Loop(); i++ {
			q := q
			q.Now = q.Now.Add(-time.Duration(i))
			j.Judge(b.Context(), q)
		}
	})
	b.Run("path-known", func(b *testing.B) {
		for b.Loop() {
			j.Judge(b.Context(), q)
		}
	})
	q.CRLs = []*x509.RevocationList{root.CRL(b, revoked...)}
	b.Run("list-of-1000/signatures-known", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			q := q
			q.Now = q.Now.Add(-time.Duration(i))
			j.Judge(b.Context(), q)
		}
	})
	b.Run("list-of-1000/path-known", func(b *testing.B) {
		for b.Loop() {
			j.Judge(b.Context(), q)
		}
	})
}

// A verdict that was written down is read back the same, and nothing else is read as one.
func TestWords(t *testing.T) {
	for _, s := range []trust.Status{trust.Undecided, trust.Trusted, trust.Refused} {
		var back trust.Status
		if text, _ := s.MarshalText(); back.UnmarshalText(text) != nil || back != s {
			t.Errorf("%v became %v", s, back)
		}
	}
	for _, b := range []trust.Binding{trust.Unbound, trust.AddressBound, trust.OrgBound} {
		var back trust.Binding
		if text, _ := b.MarshalText(); back.UnmarshalText(text) != nil || back != b {
			t.Errorf("%v became %v", b, back)
		}
	}
	var s trust.Status
	if s.UnmarshalText([]byte("Trusted ")) == nil || s != trust.Undecided {
		t.Errorf("an unknown word became %v", s)
	}
}
