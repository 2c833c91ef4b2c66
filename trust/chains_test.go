package trust_test

import (
	"context"
	"crypto/x509"
	"os"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"carepost/addr"
	"carepost/trust"
	"carepost/trust/casetest"
	"carepost/trust/certtest"
)

// Who has answered before answers as who has not, evidence included: every case, asked again, and asked around every date in it
// (every third, unless CAREPOST_FULL=1).
func TestKnownPathsChangeNothing(t *testing.T) {
	kept := 0
	for n, c := range casetest.Glob(t, "testdata/*.txtar") {
		t.Run(c.Name, func(t *testing.T) {
			c.Each(t, func(w *casetest.World, _ casetest.Want) {
				if w.Garbled != nil {
					return
				}
				j := w.Judge()
				cold := w.Ask(t.Context(), j)
				same(t, "again", w.Ask(t.Context(), j), cold)
				if (cold.Status != trust.Trusted) && j.Chains() != 0 {
					t.Errorf("a %v verdict is kept", cold.Status)
				}
				kept += j.Chains()
				if n%3 == 0 || os.Getenv("CAREPOST_FULL") != "" {
					around(t, w, j)
				}
			})
		})
	}
	if kept < 30 {
		t.Errorf("%d paths were kept: nothing has been shown", kept)
	}
}

// around asks j and one who knows nothing before, at and after every date of the case, forwards and backwards in time.
func around(t *testing.T, w *casetest.World, j *trust.Judge) {
	was := w.Question.Now
	moments := []time.Time{was, was.Add(time.Minute), was.Add(9 * time.Minute), was.Add(11 * time.Minute), was.Add(2 * time.Hour)}
	add := func(ts ...time.Time) {
		for _, at := range ts {
			moments = append(moments, at.Add(-time.Minute), at.Add(-time.Second), at, at.Add(time.Second), at.Add(time.Minute))
		}
	}
	for _, c := range slices.Concat([]*x509.Certificate{w.Question.Certificate}, w.Question.Anchors, w.Question.Intermediates) {
		add(c.NotBefore, c.NotAfter)
	}
	for _, l := range w.Lists {
		add(l.ThisUpdate, l.NextUpdate)
		for _, e := range l.RevokedCertificateEntries {
			add(e.RevocationTime)
		}
	}
	slices.SortFunc(moments, time.Time.Compare)
	backwards := slices.Clone(moments)
	slices.Reverse(backwards)
	for _, at := range slices.Concat(moments, backwards) {
		w.Question.Now = at
		same(t, at.String(), w.Ask(t.Context(), j), w.Ask(t.Context(), w.Judge()))
	}
	w.Question.Now = was
}

func same(t *testing.T, when string, got, want trust.Verdict) {
	t.Helper()
	raws := func(v trust.Verdict) (out []string) {
		for _, c := range append(slices.Clone(v.Path), v.Certificate, v.Anchor) {
			if c == nil {
				out = append(out, "")
			} else {
				out = append(out, string(c.Raw))
			}
		}
		return out
	}
	if !slices.Equal(raws(got), raws(want)) {
		t.Errorf("%s: another path", when)
	}
	got.Path, got.Certificate, got.Anchor, want.Path, want.Certificate, want.Anchor = nil, nil, nil, nil, nil, nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: %+v\nwant %+v", when, got, want)
	}
}

// published is a question that is answered with what its authorities publish.
func published(tb testing.TB) (s *certtest.Server, ca *certtest.CA, q trust.Question) {
	s = certtest.NewServer(tb)
	root := certtest.NewCA(tb, "Root")
	root.Publish(tb, s)
	ca = root.Intermediate(tb, "Clinic CA")
	ca.Publish(tb, s)
	a, err := addr.Parse("lab@h.example")
	if err != nil {
		tb.Fatal(err)
	}
	return s, ca, trust.Question{
		Certificate: ca.Issue(tb, "lab@h.example").Certificate, Address: a, Anchors: []*x509.Certificate{root.Certificate}, Now: now,
	}
}

// A certificate that is not there has its place among the others.
func TestKnownPathBesideNothing(t *testing.T) {
	s, _, q := published(t)
	j := trust.NewJudge(s)
	root := q.Anchors[0]
	for _, anchors := range [][]*x509.Certificate{{root, nil}, {nil, root}} {
		q.Anchors = anchors
		same(t, "with nothing beside the anchor", j.Judge(t.Context(), q), trust.NewJudge(s).Judge(t.Context(), q))
	}
}

// A path by fetched issuers and lists is known for ten minutes and no longer; what its owner does with the verdict harms nobody.
func TestKnownPathByTheNetwork(t *testing.T) {
	s, _, q := published(t)
	j := trust.NewJudge(s)
	first := j.Judge(t.Context(), q)
	if first.Status != trust.Trusted || j.Chains() != 1 {
		t.Fatalf("%v: %s; %d kept", first.Status, first.Reason, j.Chains())
	}
	again := j.Judge(t.Context(), q)
	same(t, "again", again, first)
	again.Path[0], again.Checks[0].Evidence = nil, "scribbled"
	same(t, "after that", j.Judge(t.Context(), q), first)
	if n := s.Hits("/clinic-ca.crl"); n != 1 {
		t.Errorf("the list was fetched %d times", n)
	}
}

// A revocation counts as soon as its list is known, whatever was found before; the list is fetched again after an hour, as ever.
func TestKnownPathRevoked(t *testing.T) {
	s, ca, q := published(t)
	j := trust.NewJudge(s)
	if v := j.Judge(t.Context(), q); v.Status != trust.Trusted {
		t.Fatal(v.Reason)
	}
	ca.Revoke(t, q.Certificate)
	q.Now = now.Add(61 * time.Minute)
	if v := j.Judge(t.Context(), q); v.Status != trust.Refused || v.Clause != "Direct 4 (3)" {
		t.Errorf("after an hour: %v: %s", v.Status, v.Reason)
	}
	// Another question brings the new list early: it counts for this one too.
	s, ca, q = published(t)
	j = trust.NewJudge(s)
	j.Judge(t.Context(), q)
	ca.Revoke(t, q.Certificate)
	other := q
	other.Certificate, other.Now = ca.Issue(t, "lab@h.example").Certificate, now.Add(-2*time.Hour)
	j.Judge(t.Context(), other)
	if v := j.Judge(t.Context(), q); v.Status != trust.Refused {
		t.Errorf("by a list that another question brought: %v: %s", v.Status, v.Reason)
	}
	// A list that was given is part of the question.
	s, ca, q = published(t)
	j = trust.NewJudge(s)
	j.Judge(t.Context(), q)
	q.CRLs = []*x509.RevocationList{ca.CRL(t, q.Certificate)}
	if v := j.Judge(t.Context(), q); v.Status != trust.Refused {
		t.Errorf("by a list that was given: %v: %s", v.Status, v.Reason)
	}
}

// Nothing of one question answers another: address, anchors, use, policy and the certificate itself all count.
func TestKnownPathIsOfOneQuestion(t *testing.T) {
	s, ca, q := published(t)
	j := trust.NewJudge(s)
	j.Judge(t.Context(), q)
	stranger := certtest.NewCA(t, "Stranger").Certificate
	for name, edit := range map[string]func(q *trust.Question){
		"address":     func(q *trust.Question) { q.Address.Endpoint = "desk" },
		"anchors":     func(q *trust.Question) { q.Anchors = []*x509.Certificate{stranger} },
		"no anchors":  func(q *trust.Question) { q.Anchors = nil },
		"certificate": func(q *trust.Question) { q.Certificate = certtest.SelfSigned(t, "lab@h.example").Certificate },
	} {
		other := q
		edit(&other)
		if v := j.Judge(t.Context(), other); v.Status != trust.Refused {
			t.Errorf("%s: %v: %s", name, v.Status, v.Reason)
		}
	}
	sign := q
	sign.Certificate = ca.Issue(t, "lab@h.example", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature }).Certificate
	sign.Use = trust.Signing
	if v := j.Judge(t.Context(), sign); v.Status != trust.Trusted {
		t.Fatal(v.Reason)
	}
	sign.Use = trust.Encryption
	if v := j.Judge(t.Context(), sign); v.Status != trust.Refused {
		t.Errorf("use: %v: %s", v.Status, v.Reason)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if v := j.Judge(stopped, q); v.Status != trust.Undecided {
		t.Errorf("stopped: %v: %s", v.Status, v.Reason)
	}
}

// Many may ask at once, at many moments, while lists change; the cache stays bounded.
func TestKnownPathsTogether(t *testing.T) {
	s, ca, q := published(t)
	j := trust.NewJudge(s)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 50 {
				mine := q
				mine.Now = now.Add(time.Duration(g*i) * time.Minute)
				if v := j.Judge(t.Context(), mine); v.Status != trust.Trusted {
					t.Errorf("%v: %s", v.Status, v.Reason)
				}
			}
		})
	}
	for range 5 {
		ca.Revoke(t, ca.Issue(t, "other@h.example").Certificate)
	}
	wg.Wait()
	for i := range 2100 {
		q.Intermediates = []*x509.Certificate{ca.Certificate}
		q.Anchors = append(q.Anchors[:1:1], make([]*x509.Certificate, i)...)
		j.Judge(t.Context(), q)
	}
	if n := j.Chains(); n > 2048 {
		t.Errorf("%d paths are kept", n)
	}
}
