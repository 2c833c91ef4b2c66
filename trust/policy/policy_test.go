package policy_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"

	"carepost/trust/certtest"
	"carepost/trust/policy"
)

// person is the certificate that the expressions are about.
func person(tb testing.TB) *x509.Certificate {
	ca := certtest.NewCA(tb, "R")
	ca.CDP, ca.AIA = []string{"http://r.example/r.crl"}, []string{"http://r.example/r.cer"}
	serial, _ := new(big.Int).SetString("f74f1c4fe4e1762e", 16)
	statements, err := asn1.Marshal([]any{struct {
		ID         asn1.ObjectIdentifier
		Qualifiers []any
	}{asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 55555, 1}, []any{struct {
		ID  asn1.ObjectIdentifier
		URL string `asn1:"ia5"`
	}{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 2, 1}, "http://h.example/cps"}}}})
	if err != nil {
		tb.Fatal(err)
	}
	return ca.Issue(tb, "lab@h.example", func(c *x509.Certificate) {
		c.SerialNumber, c.SubjectKeyId, c.DNSNames = serial, []byte{1, 2, 3}, []string{"h.example"}
		c.Subject = pkix.Name{CommonName: "Laboratory of the North", Organization: []string{"North (One)"}, OrganizationalUnit: []string{"Ward", `quoted " and \`}}
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 32}, Value: statements})
	}).Certificate
}

// Every operator and field, what holds, what fails and why, and what is no expression. DIR-36.
func TestExpressions(t *testing.T) {
	lines, err := os.ReadFile("testdata/expressions.txt")
	if err != nil {
		t.Fatal(err)
	}
	c := person(t)
	n := 0
	for line := range strings.Lines(string(lines)) {
		want, rest, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if !ok || want == "#" {
			continue
		}
		n++
		text, words := rest, ""
		if i := strings.LastIndex(rest, " | "); i >= 0 && want != "holds" {
			text, words = rest[:i], rest[i+3:]
			if j := strings.Index(rest, " | 32 > 0 | "); j >= 0 { // the operator itself
				text, words = rest[:j+len(" | 32 > 0")], rest[j+len(" | 32 > 0 | "):]
			}
		}
		e, err := policy.Parse(text)
		if want == "wrong" {
			bad := (*policy.Error)(nil)
			if !errors.As(err, &bad) || !strings.HasPrefix(fmt.Sprintf("%d %s", bad.Column, bad.Reason), words) {
				t.Errorf("%s: %v, want %s", text, err, words)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		holds, why := e.Holds(c)
		if holds != (want == "holds") || !strings.Contains(why, words) || holds == (why != "") {
			t.Errorf("%s %s: %v: %s", want, text, holds, why)
		}
		if strings.Contains(why, "h.example\"") && strings.Contains(why, "@") {
			t.Errorf("an address: %s", why)
		}
	}
	if n < 80 {
		t.Errorf("%d expressions", n)
	}
}

// A whole name has every attribute, also those that crypto/x509 has no word for: a condition that excludes one sees it. DIR-36.
func TestWholeName(t *testing.T) {
	c := certtest.NewCA(t, "R").Issue(t, "lab@h.example", func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: "Lab", ExtraNames: []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 25}, Value: "test"}}}
	}).Certificate
	e, err := policy.Parse(`!(X509.TBS.Subject.DN $ "0.9.2342.19200300.100.1.25")`)
	if err != nil {
		t.Fatal(err)
	}
	if holds, _ := e.Holds(c); holds {
		t.Error("an attribute is not seen")
	}
}

// Nothing that is wanted holds of everything; an expression is as it was written.
func TestNil(t *testing.T) {
	var e *policy.Expression
	if holds, _ := e.Holds(person(t)); !holds || e.String() != "" {
		t.Error("nothing is wanted")
	}
	if e, err := policy.Parse(" 1 = 1\n"); err != nil || e.String() != " 1 = 1\n" {
		t.Error(err)
	}
}

// Errors have a line, and what is long, deep or dear is refused or done soon. ATT-20.
func TestLimits(t *testing.T) {
	for name, text := range map[string]string{
		"long":     strings.Repeat(" ", 17<<10) + "1 = 1",
		"deep":     strings.Repeat("(", 100) + "1 = 1" + strings.Repeat(")", 100),
		"not":      strings.Repeat("!", 100) + "(1 = 1)",
		"many":     "(1 = 1)" + strings.Repeat("&&(1=1)", 500),
		"pattern":  `X509.TBS.Subject.CN $ "((a{100}){100}){100}"`,
		"in UTF-8": "1 = \xff",
	} {
		if _, err := policy.Parse(text); err == nil {
			t.Errorf("%s: it is taken", name)
		}
	}
	var bad *policy.Error
	if _, err := policy.Parse("(1 = 1) &&\n  (ü = =\n"); !errors.As(err, &bad) || bad.Line != 2 || bad.Column != 8 {
		t.Error(bad)
	}
	start := time.Now()
	e, err := policy.Parse(`X509.TBS.Subject.CN $ "(a*)*(.*)*(x+x+)+y"`)
	if err != nil {
		t.Fatal(err)
	}
	e.Holds(certtest.NewCA(t, strings.Repeat("x", 10000)).Certificate)
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("a pattern took %v", took)
	}
}

func FuzzParse(f *testing.F) {
	lines, err := os.ReadFile("testdata/expressions.txt")
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(lines)) {
		_, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		f.Add(text)
	}
	c := person(f)
	f.Fuzz(func(t *testing.T, text string) {
		e, err := policy.Parse(text)
		if err != nil {
			if bad := (*policy.Error)(nil); !errors.As(err, &bad) || bad.Line < 1 || bad.Column < 1 || bad.Reason == "" {
				t.Fatal(err)
			}
			return
		}
		holds, why := e.Holds(c)
		if holds == (why != "") {
			t.Fatalf("%v: %q", holds, why)
		}
		if again, more := e.Holds(c); again != holds || more != why {
			t.Fatal("it holds now and then")
		}
	})
}
