package agent_test

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"carepost/addr"
	"carepost/cms"
	"carepost/internal/agent"
	"carepost/internal/transit"
	"carepost/message"
	"carepost/smime"
	"carepost/trust"
	"carepost/trust/certtest"
)

func good(c *x509.Certificate) smime.Signature { return smime.Signature{Certificate: c} }

func wrong(c *x509.Certificate, err error) smime.Signature {
	return smime.Signature{Certificate: c, Err: fmt.Errorf("%w: this and that", err)}
}

func bad(c *x509.Certificate) smime.Signature {
	return smime.Signature{Certificate: c, Err: errors.New("digest differs")}
}

// Whom a signature must be bound to, and what several signatures are worth: DIR-13, DIR-16, DIR-34, DIR-35; Direct 4 (2). ATT-12, ATT-13,
// ATT-16.
func TestInbound(t *testing.T) {
	w := newWorld(t)
	strange := certtest.NewCA(t, "Strange CA")
	silent := certtest.NewCA(t, "Silent CA")
	silent.CDP = []string{"http://127.0.0.1:1/silent.crl"}
	w.party.Anchors = append(w.party.Anchors, silent.Certificate)
	org := w.ca.Issue(t, "h.example").Certificate
	lab := w.ca.Issue(t, "lab@h.example").Certificate
	both := w.ca.Issue(t, "h.example", func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, "i.example") }).Certificate
	foreign := strange.Issue(t, "h.example").Certificate
	mute := silent.Issue(t, "h.example").Certificate
	curve := w.ca.Issue(t, "h.example", certtest.Key(certtest.ECDSA(t))).Certificate

	const labHeader, deskHeader, otherHeader = "From: lab@h.example", "From: desk@h.example", "From: chief@i.example"
	for _, tc := range []struct {
		name, envelope, from string
		signatures           []smime.Signature
		want                 trust.Status
		clause               string
	}{
		{"organisation", "lab@h.example", labHeader, []smime.Signature{good(org)}, trust.Trusted, ""},
		{"address", "lab@h.example", labHeader, []smime.Signature{good(lab)}, trust.Trusted, ""},
		{"case of the address", "LAB@h.example", labHeader, []smime.Signature{good(lab)}, trust.Trusted, ""},
		{"a curve signs", "lab@h.example", labHeader, []smime.Signature{good(curve)}, trust.Trusted, ""},
		{"null envelope", "", labHeader, []smime.Signature{good(lab)}, trust.Trusted, ""},
		{"null envelope, other From", "", deskHeader, []smime.Signature{good(lab)}, trust.Refused, "Direct 4.1"},
		{"other envelope", "chief@i.example", labHeader, []smime.Signature{good(lab)}, trust.Refused, "Direct 4.1"},
		{"other From", "lab@h.example", otherHeader, []smime.Signature{good(org)}, trust.Refused, "Direct 4.1"},
		{"other From of one domain", "lab@h.example", deskHeader, []smime.Signature{good(lab)}, trust.Refused, "Direct 4.1"},
		{"bound to envelope and From", "lab@h.example", otherHeader, []smime.Signature{good(both)}, trust.Trusted, ""},
		{"two From fields", "lab@h.example", labHeader + "\r\n" + labHeader, []smime.Signature{good(lab)}, trust.Refused, "Direct 2.2"},
		{"two authors", "lab@h.example", labHeader + ", desk@h.example", []smime.Signature{good(org)}, trust.Refused, "Direct 2.2"},
		{"no From", "lab@h.example", "Subject: s", []smime.Signature{good(lab)}, trust.Refused, "Direct 2.2"},
		{"unreadable From", "lab@h.example", "From: <lab@@>", []smime.Signature{good(lab)}, trust.Refused, "Direct 2.2"},
		{"unsigned", "lab@h.example", labHeader, nil, trust.Refused, "Direct 2.4"},
		{"no certificate", "lab@h.example", labHeader, []smime.Signature{{Err: errors.New("not included")}}, trust.Refused, "Direct 2.5.2"},
		{"no certificate, no error", "lab@h.example", labHeader, []smime.Signature{{}}, trust.Refused, "Direct 2.5.2"},
		{"changed content", "lab@h.example", labHeader, []smime.Signature{bad(lab)}, trust.Refused, "Direct 4 (2)"},
		{"stranger", "lab@h.example", labHeader, []smime.Signature{good(foreign)}, trust.Refused, "Direct 4.2"},
		{"undecided", "lab@h.example", labHeader, []smime.Signature{good(mute)}, trust.Undecided, ""},
		{"one of two is trusted", "lab@h.example", labHeader, []smime.Signature{good(foreign), good(lab)}, trust.Trusted, ""},
		{"trusted beside undecided", "lab@h.example", labHeader, []smime.Signature{good(mute), good(lab)}, trust.Trusted, ""},
		{"stranger beside undecided", "lab@h.example", labHeader, []smime.Signature{good(foreign), good(mute)}, trust.Undecided, ""},
		{"trusted beside another's bad one", "lab@h.example", labHeader, []smime.Signature{bad(foreign), good(lab)}, trust.Trusted, ""},
		{"trusted, and bad by the same key", "lab@h.example", labHeader, []smime.Signature{good(lab), bad(lab)}, trust.Refused, "RFC 5652 §5.6"},
		{"seventeenth", "lab@h.example", labHeader, append(slices.Repeat([]smime.Signature{good(foreign)}, 16), good(lab)), trust.Refused, "Direct 4.2"},
		{"after sixteen bad ones", "lab@h.example", labHeader, append(slices.Repeat([]smime.Signature{bad(foreign)}, 16), good(lab)), trust.Trusted, ""},
		{"an algorithm", "lab@h.example", labHeader, []smime.Signature{wrong(lab, cms.ErrAlgorithm)}, trust.Refused, "Direct 2.6"},
		{"its attributes", "lab@h.example", labHeader, []smime.Signature{wrong(lab, cms.ErrAttributes)}, trust.Refused, "RFC 5652 §5.3"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in := agent.Arrival{Opened: &smime.Opened{Header: header(t, tc.from), Signatures: tc.signatures}}
			if tc.envelope != "" {
				in.Envelope = transit.Envelope{From: addr.Path{Address: at(t, tc.envelope)}}
			}
			j := w.Inbound(t.Context(), w.party, in, now)
			if j.Verdict.Status != tc.want || !strings.HasPrefix(j.Verdict.Clause, tc.clause) || tc.want != trust.Trusted && j.Verdict.Reason == "" {
				t.Errorf("%s by %q: %s; want %s by %q", j.Verdict.Status, j.Verdict.Clause, j.Verdict.Reason, tc.want, tc.clause)
			}
			if tc.clause != "Direct 2.2" && len(j.Signatures) != len(tc.signatures) {
				t.Errorf("%d signatures are told of, of %d", len(j.Signatures), len(tc.signatures))
			}
			for i, s := range j.Signatures {
				if s.Verdict.Status != trust.Trusted && s.Verdict.Reason == "" || s.Err != nil && s.Verdict.Status != trust.Refused {
					t.Errorf("signature %d: %s: %q", i, s.Verdict.Status, s.Verdict.Reason)
				}
			}
			if tc.want == trust.Trusted && (j.Verdict.Certificate == nil || len(j.Senders) == 0 || j.Senders[0] != j.Address) {
				t.Errorf("bound to %v, by %v", j.Senders, j.Verdict.Certificate)
			}
		})
	}
	in := agent.Arrival{Opened: &smime.Opened{Header: header(t, labHeader), Signatures: []smime.Signature{good(lab)}}}
	if j := w.Inbound(t.Context(), agent.Party{}, in, now); j.Verdict.Status != trust.Refused {
		t.Errorf("who trusts nobody: %s", j.Verdict.Status)
	}
}

// Of a triple-wrapped message the inner signer is judged; what is around the ciphertext must hold as well, whoever made it. DCM-21.
func TestOuterSignatures(t *testing.T) {
	w := newWorld(t)
	lab, relay := w.ca.Issue(t, "lab@h.example").Certificate, certtest.NewCA(t, "Relay").Issue(t, "relay.example").Certificate
	another := relay
	second := func(s smime.Signature) smime.Signature { s.Signer = 1; return s }
	for name, tc := range map[string]struct {
		outer []smime.Signature
		want  trust.Status
	}{
		"none":                             {nil, trust.Trusted},
		"good, of a stranger":              {[]smime.Signature{good(relay)}, trust.Trusted},
		"bad":                              {[]smime.Signature{bad(relay)}, trust.Refused},
		"without certificate":              {[]smime.Signature{{Err: errors.New("not included")}}, trust.Refused},
		"two certificates of one name":     {[]smime.Signature{bad(another), good(relay)}, trust.Trusted},
		"one signer good, the other not":   {[]smime.Signature{good(relay), second(bad(relay))}, trust.Refused},
		"bad, by the inner signer himself": {[]smime.Signature{bad(lab)}, trust.Refused},
	} {
		j := w.Inbound(t.Context(), w.party, agent.Arrival{Opened: &smime.Opened{
			Header: header(t, "From: lab@h.example"), Signatures: []smime.Signature{good(lab)}, OuterSignatures: tc.outer}}, now)
		if j.Verdict.Status != tc.want {
			t.Errorf("%s: %s: %s", name, j.Verdict.Status, j.Verdict.Reason)
		}
	}
	j := w.Inbound(t.Context(), w.party, agent.Arrival{Opened: &smime.Opened{
		Header: header(t, "From: lab@h.example"), Signatures: []smime.Signature{good(relay)}, OuterSignatures: []smime.Signature{good(lab)}}}, now)
	if j.Verdict.Status != trust.Refused {
		t.Errorf("the outer signer speaks for the inner: %s", j.Verdict.Status)
	}
}

// The forms beside Direct's are read under the policy lenient alone; algorithms go with the policy, unless configured.
func TestParty(t *testing.T) {
	for _, p := range []trust.Policy{trust.V12, trust.V13, trust.Lenient} {
		o := agent.Party{Policy: p}.Open()
		if (o.Forms != 0) != (p == trust.Lenient) {
			t.Errorf("%d: forms %s", p, o.Forms)
		}
		if got := o.Algorithms.Use(cms.SHA1); (got != cms.Refuse) != (p == trust.Lenient) {
			t.Errorf("%d: SHA-1: %s", p, got)
		}
	}
	configured, err := cms.V12.Algorithms().With(cms.SHA1, cms.Accept)
	if err != nil {
		t.Fatal(err)
	}
	if o := (agent.Party{Configured: configured}).Open(); o.Algorithms.Use(cms.SHA1) != cms.Accept || o.Forms != 0 {
		t.Errorf("configured: SHA-1: %s, forms %s", o.Algorithms.Use(cms.SHA1), o.Forms)
	}
}

// Both addresses that are spoken for are named, for those who know more of one of them. DIR-13.
func TestSenders(t *testing.T) {
	w := newWorld(t)
	in := agent.Arrival{Envelope: transit.Envelope{From: addr.Path{Address: at(t, "a@h.example")}}, Opened: &smime.Opened{Header: header(t, "From: b@i.example")}}
	if j := w.Inbound(t.Context(), w.party, in, now); len(j.Senders) != 2 || j.Senders[1] != at(t, "b@i.example") {
		t.Errorf("%v", j.Senders)
	}
}

func TestNamed(t *testing.T) {
	h := header(t, "To: A <a@h.example>, b@h.example", "Cc: A@h.example, team: c@h.example, d@i.example;", "Bcc: secret@h.example")
	var got []string
	for _, a := range agent.Named(h) {
		got = append(got, a.String())
	}
	if want := "a@h.example b@h.example c@h.example d@i.example"; strings.Join(got, " ") != want {
		t.Errorf("%v, want %s", got, want)
	}
	if n := agent.Named(header(t, "To: undisclosed-recipients:;")); len(n) != 0 {
		t.Errorf("%v", n)
	}
}

// DIR-09.
func TestMissing(t *testing.T) {
	all := []string{"From: a@h.example", "Date: Sat, 21 Nov 2026 10:00:00 +0000", "Message-ID: <1@h.example>", "To: b@h.example"}
	for i, want := range []string{"From", "Date", "Message-ID", "To"} {
		if got := agent.Missing(header(t, slices.Delete(slices.Clone(all), i, i+1)...)); strings.Join(got, " ") != want {
			t.Errorf("without %s: %v are missing", want, got)
		}
	}
	if got := agent.Missing(header(t, append(all[:3:3], "Cc: b@h.example")...)); len(got) != 0 {
		t.Errorf("with Cc alone: %v are missing", got)
	}
	if got := agent.Missing(message.Header{}); len(got) != 4 {
		t.Errorf("of nothing: %v", got)
	}
}

// DIR-22: MDN and DSN are never answered, other multipart/report and automatic mail are mail.
func TestIsReport(t *testing.T) {
	for text, want := range map[string]bool{
		"Content-Type: multipart/report; report-type=disposition-notification; boundary=b": true,
		"Content-Type: Multipart/Report; Report-Type=\"Delivery-Status\"; boundary=b":      true,
		"Content-Type: multipart/report; boundary=b":                                       true,
		"Content-Type: multipart/report; report-type=feedback-report; boundary=b":          false,
		"Content-Type: multipart/mixed; boundary=b":                                        false,
		"Auto-Submitted: auto-replied":                                                     false,
		"Subject: Processed":                                                               false,
	} {
		if got := agent.IsReport(header(t, text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}
