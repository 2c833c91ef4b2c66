package agent_test

import (
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/agent"
	"carepost/internal/transit"
	"carepost/smime"
	"carepost/trust"
	"carepost/trust/certtest"
)

// ATT-11: chains are judged at the time of receipt, whatever time the signer writes into the signature; one of the day after tomorrow
// is refused.
func TestSigningTimeIsNoClock(t *testing.T) {
	w := newWorld(t)
	day := 24 * time.Hour
	current := w.ca.Issue(t, "lab@h.example").Certificate
	expired := w.ca.Issue(t, "lab@h.example", func(c *x509.Certificate) { c.NotBefore, c.NotAfter = now.Add(-30*day), now.Add(-2*day) }).Certificate
	later := w.ca.Issue(t, "lab@h.example", func(c *x509.Certificate) { c.NotBefore, c.NotAfter = now.Add(2*day), now.Add(30*day) }).Certificate
	for _, tc := range []struct {
		name   string
		cert   *x509.Certificate
		signed time.Time
		want   trust.Status
		clause string
	}{
		{"now", current, now, trust.Trusted, ""},
		{"not said", current, time.Time{}, trust.Trusted, ""},
		{"years ago", current, now.Add(-3000 * day), trust.Trusted, ""},
		{"a clock that is fast", current, now.Add(day), trust.Trusted, ""},
		{"a day and more ahead", current, now.Add(day + time.Second), trust.Refused, "RFC 5652 §11.3"},
		{"the end of time", current, time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), trust.Refused, "RFC 5652 §11.3"},
		{"expired, signed while it was valid", expired, now.Add(-10 * day), trust.Refused, "Direct 4 (1)"},
		{"not yet valid, signed when it will be", later, now.Add(day), trust.Refused, "Direct 4 (1)"},
	} {
		s := good(tc.cert)
		s.SigningTime = tc.signed
		in := agent.Arrival{
			Envelope: transit.Envelope{From: addr.Path{Address: at(t, "lab@h.example")}},
			Opened:   &smime.Opened{Header: header(t, "From: lab@h.example"), Signatures: []smime.Signature{s}},
		}
		if v := w.Inbound(t.Context(), w.party, in, now).Verdict; v.Status != tc.want || !strings.Contains(v.Clause, tc.clause) {
			t.Errorf("%s: %s by %q: %s", tc.name, v.Status, v.Clause, v.Reason)
		}
	}
}

// ATT-16: the certificates of a message choose no anchor: a bag with a whole hierarchy of the attacker's, under the names of ours, leads
// nowhere, and what the bag holds beside a good path does no harm.
func TestBagOfTheAttacker(t *testing.T) {
	w := newWorld(t)
	forged := certtest.NewCA(t, "Trial CA") // the anchor's name, another key
	leaf := forged.Issue(t, "lab@h.example").Certificate
	honest := w.ca.Issue(t, "lab@h.example").Certificate
	for _, tc := range []struct {
		name string
		cert *x509.Certificate
		bag  []*x509.Certificate
		want trust.Status
	}{
		{"its own root in the bag", leaf, []*x509.Certificate{leaf, forged.Certificate}, trust.Refused},
		{"our anchor in the bag as well", leaf, []*x509.Certificate{forged.Certificate, w.ca.Certificate}, trust.Refused},
		{"a forged root beside an honest signer", honest, []*x509.Certificate{forged.Certificate, honest}, trust.Trusted},
		{"an authority that signs mail", w.ca.Certificate, []*x509.Certificate{w.ca.Certificate}, trust.Refused},
	} {
		in := agent.Arrival{
			Envelope: transit.Envelope{From: addr.Path{Address: at(t, "lab@h.example")}},
			Opened:   &smime.Opened{Header: header(t, "From: lab@h.example"), Certificates: tc.bag, Signatures: []smime.Signature{good(tc.cert)}},
		}
		if v := w.Inbound(t.Context(), w.party, in, now).Verdict; v.Status != tc.want {
			t.Errorf("%s: %s by %q: %s", tc.name, v.Status, v.Clause, v.Reason)
		}
	}
}
