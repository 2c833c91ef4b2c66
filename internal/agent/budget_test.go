package agent_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"math/big"
	"strings"
	"sync/atomic"
	"testing"

	"carepost/addr"
	"carepost/internal/agent"
	"carepost/internal/transit"
	"carepost/smime"
	"carepost/trust"
	"carepost/trust/certtest"
)

// greedy is a network of the attacker's: it answers nothing that helps, and counts how often it is asked.
type greedy struct{ asked atomic.Int64 }

func (g *greedy) Fetch(context.Context, string, int64) ([]byte, error) {
	g.asked.Add(1)
	return nil, trust.ErrAbsent
}

func (g *greedy) Post(context.Context, string, string, []byte, int64) ([]byte, error) {
	g.asked.Add(1)
	return nil, trust.ErrAbsent
}

// many are URLs that no other certificate names.
func many(n int, who, what string) (urls []string) {
	for i := range n {
		urls = append(urls, fmt.Sprintf("http://%s-%d.example/%s", who, i, what))
	}
	return urls
}

// One hostile mail whose sixteen signers point to hundreds of issuers, lists and responders, sent to many recipients with anchors of their
// own, costs one budget of fetches. ATT-23.
func TestBudgetOfAnArrival(t *testing.T) {
	w := newWorld(t)
	net := &greedy{}
	w.Agent.Judge = trust.NewJudge(net)
	stranger := certtest.NewCA(t, "Strange CA")
	w.ca.AIA, w.ca.CDP = nil, nil
	var parties []agent.Party
	for range 5 { // recipients: other anchors, another question each
		parties = append(parties, agent.Party{Anchors: []*x509.Certificate{w.ca.Certificate, certtest.NewCA(t, "Other CA").Certificate}})
	}
	var signatures []smime.Signature
	for i := range 16 {
		ca, who := w.ca, fmt.Sprint("s", i) // half of them under an anchor: their lists and responders are asked
		if i%2 == 0 {
			ca = stranger // the others not: their issuers are
		}
		signatures = append(signatures, good(ca.Issue(t, "lab@h.example", certtest.Points(many(8, who, "i.cer"), many(8, who, "r.crl")),
			func(c *x509.Certificate) { c.OCSPServer = many(8, who, "ocsp") }).Certificate))
	}
	arrival := func(b *trust.Budget) agent.Arrival {
		return agent.Arrival{Envelope: transit.Envelope{From: addr.Path{Address: at(t, "lab@h.example")}}, Budget: b,
			Opened: &smime.Opened{Header: header(t, "From: lab@h.example"), Signatures: signatures}}
	}
	const budget = 64
	shared := agent.NewBudget()
	if shared.Left() != budget {
		t.Fatalf("a budget of %d", shared.Left())
	}
	for i, p := range parties {
		v := w.Inbound(t.Context(), p, arrival(shared), now).Verdict
		if v.Status == trust.Trusted || v.Reason == "" {
			t.Errorf("recipient %d: %v %s", i, v.Status, v.Reason)
		}
	}
	if n := net.asked.Load(); n != budget || shared.Left() != 0 {
		t.Errorf("%d fetches for one message, %d left; want %d, and none", n, shared.Left(), budget)
	}
	// Without the budget the same mail costs far more: that is what it is for.
	net.asked.Store(0)
	for _, p := range parties {
		w.Inbound(t.Context(), p, arrival(nil), now)
	}
	if n := net.asked.Load(); n != 5*budget {
		t.Errorf("%d fetches of five messages, want %d", n, 5*budget)
	}
	// Who had no fetch left is undecided and says so: it is no verdict on the certificate.
	v := w.Inbound(t.Context(), w.party, agent.Arrival{Envelope: arrival(nil).Envelope, Budget: shared,
		Opened: &smime.Opened{Header: header(t, "From: lab@h.example"), Signatures: signatures[1:2]}}, now).Verdict
	if v.Status != trust.Undecided || !strings.Contains(v.Reason, "all its fetches") {
		t.Errorf("%v %s", v.Status, v.Reason)
	}
}

// A recipient who publishes many certificates, each with many pointers, costs one budget too. ATT-23.
func TestBudgetOfARecipient(t *testing.T) {
	w := newWorld(t)
	net := &greedy{}
	w.Agent.Judge = trust.NewJudge(net)
	w.ca.AIA, w.ca.CDP = nil, nil
	for i := range 12 {
		who := fmt.Sprint("c", i)
		w.publish(t, w.ca, "lab@h.example", certtest.Points(nil, many(8, who, "r.crl")),
			func(c *x509.Certificate) { c.SerialNumber, c.OCSPServer = big.NewInt(int64(i+1)), many(8, who, "ocsp") })
	}
	d := w.Outbound(t.Context(), w.party, agent.Outgoing{To: []addr.Address{at(t, "lab@h.example")}, Now: now})
	if len(d.Groups) != 0 {
		t.Errorf("%d groups", len(d.Groups))
	}
	if n := net.asked.Load(); n != 32 {
		t.Errorf("%d fetches for one recipient, want 32", n)
	}
}
