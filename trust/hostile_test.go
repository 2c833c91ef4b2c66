package trust_test

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"carepost/trust"
	"carepost/trust/certtest"
)

// web is a network of our making: what it gives, and when.
type web func(ctx context.Context, url string) ([]byte, error)

func (w web) Fetch(ctx context.Context, url string, _ int64) ([]byte, error) { return w(ctx, url) }

// silent answers nobody; it gives up after ten seconds, as package fetch does.
func silent(ctx context.Context, _ string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	<-ctx.Done()
	return nil, ctx.Err()
}

func eight(path string) (urls []string) {
	for i := range 8 {
		urls = append(urls, fmt.Sprintf("http://h%d.example/%s", i, path))
	}
	return urls
}

// A stranger's certificate names servers that never answer: he has twelve seconds of us, not ten for each. DIR-39. ATT-23.
func TestTimeForStrangers(t *testing.T) {
	root := certtest.NewCA(t, "R")
	leaf := certtest.NewCA(t, "X").Issue(t, "lab@h.example", certtest.Points(eight("x.cer"), nil))
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		v := trust.NewJudge(web(silent)).Judge(t.Context(), trust.Question{Certificate: leaf.Certificate, Address: lab, Now: now, Anchors: []*x509.Certificate{root.Certificate}})
		if d := time.Since(start); d > 12*time.Second {
			t.Errorf("it took %v", d)
		}
		if v.Status != trust.Undecided || v.Clause != "Direct 4.2.2" {
			t.Errorf("%v %s %s", v.Status, v.Clause, v.Reason)
		}
	})
}

// However many distribution points are dead, the lists of one question take 24 seconds. DIR-33. ATT-23.
func TestTimeForLists(t *testing.T) {
	root := certtest.NewCA(t, "R")
	leaf := root.Issue(t, "lab@h.example", certtest.Points(nil, eight("r.crl")))
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		v := trust.NewJudge(web(silent)).Judge(t.Context(), trust.Question{Certificate: leaf.Certificate, Address: lab, Now: now, Anchors: []*x509.Certificate{root.Certificate}})
		if d := time.Since(start); d > 24*time.Second {
			t.Errorf("it took %v", d)
		}
		if v.Status != trust.Undecided || v.Clause != "Direct 4 (3)" {
			t.Errorf("%v %s %s", v.Status, v.Clause, v.Reason)
		}
	})
}

// Two dead servers before a live one cost time, and no verdict: of issuers as of lists. DIR-33, DIR-39.
func TestThirdServerAnswers(t *testing.T) {
	root := certtest.NewCA(t, "R")
	mid := root.Intermediate(t, "I", certtest.Points(nil, eight("r.crl")[5:]))
	leaf := mid.Issue(t, "lab@h.example", certtest.Points(eight("i.cer")[5:], nil))
	crl := root.CRL(t).Raw
	synctest.Test(t, func(t *testing.T) {
		j := trust.NewJudge(web(func(ctx context.Context, url string) ([]byte, error) {
			switch url {
			case "http://h7.example/i.cer":
				return mid.Certificate.Raw, nil
			case "http://h7.example/r.crl":
				return crl, nil
			}
			return silent(ctx, url)
		}))
		v := j.Judge(t.Context(), trust.Question{Certificate: leaf.Certificate, Address: lab, Now: now, Anchors: []*x509.Certificate{root.Certificate}})
		if v.Status != trust.Trusted {
			t.Errorf("%v %s %s", v.Status, v.Clause, v.Reason)
		}
	})
}

// Two authorities name one URL, where now the list of the one lies, now that of the other: neither list stands in the other's way,
// however young it says it is.
func TestListsOfTwoIssuersAtOneURL(t *testing.T) {
	const u = "http://h.example/r.crl"
	a, b := certtest.NewCA(t, "A"), certtest.NewCA(t, "B")
	var body []byte
	j := trust.NewJudge(web(func(context.Context, string) ([]byte, error) { return body, nil }))
	judge := func(ca *certtest.CA, at time.Time) trust.Verdict {
		leaf := ca.Issue(t, "lab@h.example", certtest.Points(nil, []string{u}))
		return j.Judge(t.Context(), trust.Question{Certificate: leaf.Certificate, Address: lab, Now: at, Anchors: []*x509.Certificate{ca.Certificate}})
	}
	body = a.EditedCRL(t, func(l *x509.RevocationList) { l.ThisUpdate = now }).Raw
	if v := judge(a, now); v.Status != trust.Trusted {
		t.Fatalf("%v %s", v.Status, v.Reason)
	}
	body = b.CRL(t).Raw
	for _, at := range []time.Time{now.Add(time.Minute), now.Add(2 * time.Hour)} {
		if v := judge(b, at); v.Status != trust.Trusted {
			t.Errorf("%v %s", v.Status, v.Reason)
		}
	}
}

// An issuer whose clock was wrong once is not believed for ever: a list dated tomorrow does not hide the revocations of today.
func TestListFromTheFuture(t *testing.T) {
	root := certtest.NewCA(t, "R")
	leaf := root.Issue(t, "lab@h.example", certtest.Points(nil, []string{"http://h.example/r.crl"}))
	body := root.EditedCRL(t, func(l *x509.RevocationList) { l.ThisUpdate = now.AddDate(1, 0, 0) }).Raw
	j := trust.NewJudge(web(func(context.Context, string) ([]byte, error) { return body, nil }))
	judge := func(at time.Time) trust.Verdict {
		return j.Judge(t.Context(), trust.Question{Certificate: leaf.Certificate, Address: lab, Now: at, Anchors: []*x509.Certificate{root.Certificate}})
	}
	judge(now)
	later := now.Add(2 * time.Hour)
	body = root.EditedCRL(t, func(l *x509.RevocationList) { l.ThisUpdate = later }, leaf.Certificate).Raw
	if v := judge(later); v.Status != trust.Refused || v.Clause != "Direct 4 (3)" {
		t.Errorf("%v %s", v.Status, v.Reason)
	}
}

// Plain HTTP brings anything: a certificate that is not the issuer's is not kept in the issuer's place. DIR-39.
func TestWrongIssuerIsNotKept(t *testing.T) {
	root := certtest.NewCA(t, "R")
	mid := root.Intermediate(t, "I")
	mid.AIA = []string{"http://h.example/i.cer"}
	leaf := mid.Issue(t, "lab@h.example")
	answers := [][]byte{
		certtest.NewCA(t, "X").Certificate.Raw,             // another authority
		root.Intermediate(t, "I").Certificate.Raw,          // one of that name, with another key
		mid.Certificate.Raw,                                // the issuer, which is kept
		certtest.NewCA(t, "not asked for").Certificate.Raw, // so this is not seen
	}
	asked := 0
	j := trust.NewJudge(web(func(context.Context, string) ([]byte, error) { asked++; return answers[asked-1], nil }))
	for i, want := range []trust.Status{trust.Refused, trust.Refused, trust.Trusted, trust.Trusted} {
		v := j.Judge(t.Context(), trust.Question{Certificate: leaf.Certificate, Address: lab, Now: now, Anchors: []*x509.Certificate{root.Certificate}})
		if v.Status != want {
			t.Errorf("%d: %v %s, want %v", i+1, v.Status, v.Reason, want)
		}
	}
	if asked != 3 {
		t.Errorf("%d requests, want 3", asked)
	}
}

// A crowd of authorities of one name and key, each with names to compare: the comparisons are counted for the question, not for
// each of its paths. ATT-24.
func TestNamesOfManyPaths(t *testing.T) {
	root, key := certtest.NewCA(t, "R"), certtest.ECDSA(t)
	names := func(n int, domain string) (out []string) {
		for i := range n {
			out = append(out, fmt.Sprintf("a%d@%s", i, domain))
		}
		return out
	}
	var bag []*x509.Certificate
	var mid *certtest.CA
	for range 90 {
		mid = root.Intermediate(t, "I", certtest.Key(key), func(c *x509.Certificate) {
			c.ExcludedEmailAddresses = append(names(310, "x.example"), "z@h.example")
		})
		bag = append(bag, mid.Certificate)
	}
	leaf := mid.Issue(t, "lab@h.example", func(c *x509.Certificate) {
		c.EmailAddresses = append(append(c.EmailAddresses, names(310, "h.example")...), "z@h.example")
	})
	start := time.Now()
	v := trust.NewJudge(nil).Judge(t.Context(), trust.Question{Certificate: leaf.Certificate, Address: lab, Now: now, Intermediates: bag, Anchors: []*x509.Certificate{root.Certificate}})
	d := time.Since(start)
	if v.Status != trust.Refused || !strings.HasPrefix(v.Clause, "RFC 5280 §6.1.3 (c)") {
		t.Errorf("%v %s %s", v.Status, v.Clause, v.Reason)
	}
	if t.Log(d); d > time.Second {
		t.Errorf("took %v", d)
	}
}

// Authorities that constrain dear names in many kinds, and a certificate that has them: the work is counted, over all paths. ATT-24.
func TestDearNames(t *testing.T) {
	alternative, constraints := asn1.ObjectIdentifier{2, 5, 29, 17}, asn1.ObjectIdentifier{2, 5, 29, 30}
	name := func(i, long int) string { // a directory name in letters that are dear to compare
		text := element(0x0c, fmt.Sprint(i)+strings.Repeat("ẞﬃ", long))
		return element(0xa4, element(0x30, element(0x31, element(0x30, "\x06\x03\x55\x04\x0a"+text))))
	}
	many := func(n int, one func(i int) string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(one(i))
		}
		return b.String()
	}
	tree := func(n int, one func(i int) string) string {
		return element(0x30, element(0xa1, many(n, func(i int) string { return element(0x30, one(i)) })))
	}
	kind := func(i int) string { return element(0xa0, fmt.Sprintf("\x06\x03\x2a%c%c", 1+i/100, 1+i%100)) }
	mail := func(int) string { return element(0x81, "lab@h.example") }
	for what, tc := range map[string]struct{ constraints, names string }{
		"directory names": {tree(300, func(i int) string { return name(i, 100) }), element(0x30, mail(0)+many(300, func(i int) string { return name(i+300, 100) }))},
		"one long name":   {tree(300, func(i int) string { return name(i, 1) }), element(0x30, mail(0)+name(300, 100_000))},
		"kinds":           {tree(10_000, kind), element(0x30, many(10_000, mail))},
		"names":           {tree(30, kind), element(0x30, many(40_000, mail))},
	} {
		t.Run(what, func(t *testing.T) {
			root, key := certtest.NewCA(t, "R"), certtest.ECDSA(t)
			var bag []*x509.Certificate
			var mid *certtest.CA
			for range 5 {
				mid = root.Intermediate(t, "I", certtest.Key(key), func(c *x509.Certificate) {
					c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: constraints, Value: []byte(tc.constraints)})
				})
				bag = append(bag, mid.Certificate)
			}
			leaf := mid.Issue(t, "lab@h.example", func(c *x509.Certificate) {
				c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: alternative, Value: []byte(tc.names)})
			})
			start := time.Now()
			v := trust.NewJudge(nil).Judge(t.Context(), trust.Question{Certificate: leaf.Certificate, Address: lab, Now: now, Intermediates: bag, Anchors: []*x509.Certificate{root.Certificate}})
			d := time.Since(start)
			if v.Status != trust.Refused || !strings.HasPrefix(v.Clause, "RFC 5280 §6.1.3 (b)") {
				t.Errorf("%v %s %s", v.Status, v.Clause, v.Reason)
			}
			if t.Log(d); d > 5*time.Second {
				t.Errorf("took %v", d)
			}
		})
	}
}

// element is one DER element.
func element(tag int, content string) string {
	der, err := asn1.Marshal(asn1.RawValue{Class: tag >> 6, IsCompound: tag&0x20 != 0, Tag: tag & 0x1f, Bytes: []byte(content)})
	if err != nil {
		panic(err)
	}
	return string(der)
}
