package agent_test

import (
	"crypto/x509"
	"strings"
	"testing"

	"carepost/addr"
	"carepost/internal/agent"
	"carepost/trust"
	"carepost/trust/certtest"
	"carepost/trust/policy"
)

// Of a recipient's certificates those are used that are what is demanded; one that is left is enough, and none is a refusal that says why. DIR-36.
func TestFilters(t *testing.T) {
	w := newWorld(t)
	expression := func(text string) *policy.Expression {
		e, err := policy.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	both := w.publish(t, w.ca, "h.example")
	single := w.publish(t, w.ca, "h.example", certtest.Usage(x509.KeyUsageKeyEncipherment))
	to := []addr.Address{at(t, "lab@h.example")}
	for name, tc := range map[string]struct {
		filters agent.Filters
		want    []*x509.Certificate
		why     string
	}{
		"nothing demanded":  {agent.Filters{}, []*x509.Certificate{both, single}, ""},
		"single use":        {agent.Filters{Encrypt: expression("X509.TBS.EXTENSION.KeyUsage = 32")}, []*x509.Certificate{single}, ""},
		"trusted are some":  {agent.Filters{Trust: expression("(X509.TBS.EXTENSION.KeyUsage & 128) > 0")}, []*x509.Certificate{both}, ""},
		"none encrypted to": {agent.Filters{Encrypt: expression("X509.TBS.EXTENSION.KeyUsage = 8")}, nil, "nothing is encrypted to this certificate"},
		"none trusted":      {agent.Filters{Trust: expression("X509.TBS.SubjectPublicKeyInfo.Size > 4096")}, nil, "it is 2048"},
		"for signing alone": {agent.Filters{Sign: expression("1 = 2")}, []*x509.Certificate{both, single}, ""},
	} {
		w.party.Filters = tc.filters
		d := w.Outbound(t.Context(), w.party, agent.Outgoing{To: to, Named: to, Now: now})
		v := d.Recipients[0].Verdict
		if len(tc.want) == 0 {
			if v.Status != trust.Refused || v.Clause != "policy of the installation" || !strings.Contains(v.Reason, tc.why) {
				t.Errorf("%s: %v, %s: %s", name, v.Status, v.Clause, v.Reason)
			}
			continue
		}
		if len(d.Groups) != 1 || len(d.Groups[0].Certificates) != len(tc.want) {
			t.Errorf("%s: %v: %s", name, v.Status, v.Reason)
			continue
		}
		for i, c := range tc.want {
			if !d.Groups[0].Certificates[i].Equal(c) {
				t.Errorf("%s: another certificate", name)
			}
		}
	}
}
