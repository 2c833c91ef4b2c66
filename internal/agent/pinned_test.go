package agent_test

import (
	"context"
	"crypto/x509"
	"testing"

	"carepost/addr"
	"carepost/discovery"
	"carepost/internal/agent"
	"carepost/trust"
	"carepost/trust/certtest"
)

// nowhere is a directory in which nothing stands.
type nowhere struct{}

func (nowhere) Lookup(context.Context, addr.Address) ([]discovery.Found, []discovery.Step, error) {
	return nil, nil, nil
}

// A pinned certificate speaks for the one address that it is pinned for: not for others that it names, nor for what it has signed.
// Direct 4.2.3, DIR-40.
func TestPinned(t *testing.T) {
	own := certtest.NewCA(t, "Somebody's own", func(c *x509.Certificate) { c.DNSNames = []string{"h.example"} })
	self := certtest.SelfSigned(t, "h.example").Certificate
	network := certtest.NewCA(t, "Network")
	issued := network.Issue(t, "h.example").Certificate
	below := own.Issue(t, "lab@h.example").Certificate
	ended := certtest.SelfSigned(t, "h.example", certtest.Until(certtest.NotBefore.AddDate(0, 1, 0))).Certificate
	for _, c := range []struct {
		name   string
		pinned *x509.Certificate
		pinAt  string
		cert   *x509.Certificate
		who    string
		want   trust.Status
	}{
		{"self-signed", self, "lab@h.example", self, "lab@h.example", trust.Trusted},
		{"in any case", self, "LAB@h.example", self, "lab@H.example", trust.Trusted},
		{"issued by an authority that nobody knows", issued, "lab@h.example", issued, "lab@h.example", trust.Trusted},
		{"another address that it names", self, "lab@h.example", self, "desk@h.example", trust.Refused},
		{"another certificate of that address", self, "lab@h.example", issued, "lab@h.example", trust.Refused},
		{"what it has signed", own.Certificate, "lab@h.example", below, "lab@h.example", trust.Refused},
		{"what its authority has signed besides", issued, "lab@h.example", network.Issue(t, "lab@h.example").Certificate, "lab@h.example", trust.Refused},
		{"an address that it does not name", self, "lab@i.example", self, "lab@i.example", trust.Refused},
		{"it has ended", ended, "lab@h.example", ended, "lab@h.example", trust.Refused},
	} {
		a := agent.Agent{Directory: nowhere{}, Judge: trust.NewJudge(nil)}
		p := agent.Party{Pinned: []agent.Pin{{Address: at(t, c.pinAt), Certificate: c.pinned}}}
		for _, use := range []trust.Use{trust.Signing, trust.Encryption} {
			if v := a.Examine(t.Context(), p, at(t, c.who), use, c.cert, []*x509.Certificate{c.pinned}, now); v.Status != c.want {
				t.Errorf("%s: %v, %s %s", c.name, v.Status, v.Clause, v.Reason)
			}
		}
	}
	// It is found without any directory, for that address alone.
	a := agent.Agent{Directory: nowhere{}, Judge: trust.NewJudge(nil)}
	p := agent.Party{Pinned: []agent.Pin{{Address: at(t, "lab@h.example"), Certificate: self}}}
	d := a.Outbound(t.Context(), p, agent.Outgoing{To: []addr.Address{at(t, "lab@h.example"), at(t, "desk@h.example")}, Now: now})
	if d.Recipients[0].Verdict.Status != trust.Trusted || agent.Where(d.Recipients[0].Found) != "pinned for h.example" || d.Recipients[1].Verdict.Status != trust.Refused || len(d.Groups) != 1 {
		t.Errorf("%+v", d.Recipients)
	}
}
