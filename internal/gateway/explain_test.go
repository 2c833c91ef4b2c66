package gateway_test

import (
	"io"
	"strings"
	"testing"

	"carepost/addr"
	"carepost/internal/audit"
	"carepost/internal/flow"
	"carepost/internal/gateway/gatewaytest"
	"carepost/internal/transit"
	"carepost/trust"
)

// A sealed mail is explained as it is judged: by the same keys, anchors and clauses, without a word of what it holds; and the question
// is audited.
func TestExplain(t *testing.T) {
	w := gatewaytest.New(t, "north.example", "south.example")
	a, b := w.All[0], w.All[1]
	a.Admit(t, b) // one-way: b knows nothing of a
	w.Run()
	r := a.Await(t, a.Submit(t, a.Letter("x-ray", "secret-of-the-letter", b.Address), b.Address), b.Address, transit.Sent)
	body, err := a.Sealed(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	_, own := identity(t, a)
	ask := func() (mail, cert flow.Explanation) {
		t.Helper()
		ours := flow.Explanation{Ours: b.Address, Use: trust.Signing}
		mail, err := b.Flow().ExplainMail(t.Context(), gatewaytest.Actor, ours, io.NewSectionReader(body, 0, body.Size()))
		if err != nil {
			t.Fatal(err)
		}
		ours.Address = a.Address
		if cert, err = b.Flow().Explain(t.Context(), gatewaytest.Actor, ours, own, nil); err != nil {
			t.Fatal(err)
		}
		return mail, cert
	}
	for _, e := range explained(ask()) {
		if e.Verdict.Status != trust.Refused || e.Verdict.Clause != "Direct 4.2.3" || len(e.Anchors) != 1 {
			t.Errorf("before: %v %s: %s, %d anchors", e.Verdict.Status, e.Verdict.Clause, e.Verdict.Reason, len(e.Anchors))
		}
	}
	b.Admit(t, a)
	for i, e := range explained(ask()) {
		if e.Verdict.Status != trust.Trusted || len(e.Verdict.Path) != 2 || !e.Address.Equal(a.Address) {
			t.Errorf("after: %v %s: %s, path of %d, for %s, %d events", e.Verdict.Status, e.Verdict.Clause, e.Verdict.Reason, len(e.Verdict.Path), e.Address, len(e.Events))
		}
		if i == 0 && len(e.Signatures) != 1 {
			t.Errorf("%d signatures", len(e.Signatures))
		}
	}
	e, err := b.Flow().ExplainMail(t.Context(), gatewaytest.Actor, flow.Explanation{Ours: b.Address}, strings.NewReader(a.Letter("s", "plain", b.Address)))
	if err != nil || e.Verdict.Status != trust.Refused || e.Verdict.Clause != "Direct 2.4" {
		t.Errorf("in the open: %v, %v %s", err, e.Verdict.Status, e.Verdict.Clause)
	}
	asked := 0
	log, err := b.Audit(t.Context(), audit.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range log {
		if entry.Action == "trust.explain" {
			asked++
		}
	}
	if asked != 5 {
		t.Errorf("%d questions in the audit, want 5", asked)
	}
}

func explained(mail, cert flow.Explanation) []flow.Explanation { return []flow.Explanation{mail, cert} }

// The audit keeps of each decision what was looked for and what was checked: of the recipient that got the letter, and of the one for whom
// nothing is published.
func TestEvidenceInAudit(t *testing.T) {
	w := gatewaytest.New(t, "north.example", "south.example")
	w.Trust()
	w.Run()
	a, b := w.All[0], w.All[1]
	nobody := addr.Address{Endpoint: "desk", Domain: "nowhere.south.example"}
	id := a.Submit(t, a.Letter("s", "text", b.Address, nobody), b.Address, nobody)
	a.Await(t, id, b.Address, transit.Processed)
	a.Await(t, id, nobody, transit.Failed)
	b.Quiet(t)
	for action, want := range map[string][]string{
		"recipient.seal": {"steps\x00DNS CERT south.example", "checks\x00trusted binding (Direct 4.1.2)", "checks\x00trusted revocation"},
		"recipient.fail": {"steps\x00DNS CERT nowhere.south.example: ", "clause\x00Direct 2.3"},
	} {
		log, err := a.Audit(t.Context(), audit.Filter{Action: action})
		if err != nil || len(log) != 1 {
			t.Fatalf("%s: %d entries, %v", action, len(log), err)
		}
		for _, words := range want {
			key, text, _ := strings.Cut(words, "\x00")
			if !strings.Contains(log[0].Detail[key], text) {
				t.Errorf("%s: no %q in %s: %q", action, text, key, log[0].Detail[key])
			}
		}
	}
	log, err := b.Audit(t.Context(), audit.Filter{Action: "recipient.open"})
	if err != nil || len(log) != 1 || !strings.Contains(log[0].Detail["checks"], "trusted path (Direct 4.2.3)") {
		t.Errorf("recipient.open: %d entries, %v: %v", len(log), err, log)
	}
}
