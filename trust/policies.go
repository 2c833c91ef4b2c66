package trust

import (
	"crypto/x509"
	"maps"
	"slices"
	"strings"
)

// PolicyInput is what RFC 5280 §6.1.1 has a relying party say of certificate policies. The zero value takes any policy, and none where no
// authority of the path demands one.
type PolicyInput struct {
	Initial        []x509.OID // (c) the policies that count; none: any
	Explicit       bool       // (f) one must hold
	InhibitMapping bool       // (e)
	InhibitAny     bool       // (g)
}

func (p PolicyInput) zero() bool {
	return len(p.Initial) == 0 && !p.Explicit && !p.InhibitMapping && !p.InhibitAny
}

// key is a string that tells apart what is asked.
func (p PolicyInput) key() string {
	key := string([]byte{flag(p.Explicit), flag(p.InhibitMapping), flag(p.InhibitAny)})
	for _, id := range p.Initial {
		key += id.String() + " "
	}
	return key + "."
}

// maxPolicies bounds the policies, and the mappings, of one certificate of a path that asserts any that matter.
const maxPolicies = 256

const anyPolicy = "2.5.29.32.0"

// valid is what the tree of RFC 5280 §6.1.2 (a) comes to: the policies that the next certificate may assert, each with the policies of
// the anchor's own domain that it stands for, and whether the node anyPolicy is there. It is empty exactly when the tree is; paths through
// the tree are not kept, so that it does not grow beyond the policies of one certificate times those of the first.
type valid struct {
	expected map[string]origins
	wild     bool
}

type origins map[string]bool

func (v valid) empty() bool { return len(v.expected) == 0 && !v.wild }

// checkPolicies obeys RFC 5280 §6.1.3 (d)–(f), §6.1.4 (a), (b), (h)–(j) and §6.1.5 (a), (b), (g).
func checkPolicies(path []*x509.Certificate, input PolicyInput) (_ Check, applies bool) {
	n := len(path) - 1 // the anchor is no part of it (RFC 5280 §6.1)
	counter := func(zero bool) int {
		if zero {
			return 0
		}
		return n + 1
	}
	demand, mapping, any := counter(input.Explicit), counter(input.InhibitMapping), counter(input.InhibitAny)
	v := valid{expected: map[string]origins{}, wild: true}
	applies = !input.zero()
	refused := func(why string) (Check, bool) { return Check{"policies", Refused, clausePolicies, why}, true }
	const none = "an authority of the path demands a certificate policy, and none holds"
	for i := n - 1; i >= 0; i-- {
		c, last := path[i], i == 0
		applies = applies || c.RequireExplicitPolicy > 0 || c.RequireExplicitPolicyZero
		if len(c.Policies) > maxPolicies || len(c.PolicyMappings) > maxPolicies {
			return refused(describe(path, i) + " has more certificate policies than are followed")
		}
		v = v.narrow(c, any > 0 || !last && selfIssued(c))
		if demand == 0 && v.empty() {
			return refused(none)
		}
		if last {
			break
		}
		if mapsAny(c) {
			return Check{"policies", Refused, clauseMapping, describe(path, i) + " maps anyPolicy, which stands for no policy of its own"}, true
		}
		v = v.remap(c, mapping > 0)
		if !selfIssued(c) {
			demand, mapping, any = max(demand-1, 0), max(mapping-1, 0), max(any-1, 0)
		}
		lower(&demand, c.RequireExplicitPolicy, c.RequireExplicitPolicyZero)
		lower(&mapping, c.InhibitPolicyMapping, c.InhibitPolicyMappingZero)
		lower(&any, c.InhibitAnyPolicy, c.InhibitAnyPolicyZero)
	}
	leaf := path[0]
	if n > 0 { // §6.1.5 (a): here it does not matter whether the certificate is self-issued
		demand = max(demand-1, 0)
	}
	if n > 0 && leaf.RequireExplicitPolicyZero {
		demand = 0
	}
	if held, ok := v.within(input.Initial); demand == 0 && !ok {
		if input.Explicit || len(input.Initial) > 0 {
			return refused("none of the certificate policies that are asked for holds along the path")
		}
		return refused(none)
	} else if held != "" {
		return Check{"policies", Trusted, clausePolicies, "along the path hold the certificate policies " + held}, applies
	}
	return Check{"policies", Trusted, clausePolicies, "the certificate policies that the path demands hold"}, applies
}

// within is §6.1.5 (g): whether anything of v is among the initial policies, and what.
func (v valid) within(initial []x509.OID) (held string, ok bool) {
	if len(initial) == 0 {
		return "", !v.empty()
	}
	found := map[string]bool{}
	for _, from := range v.expected {
		for _, id := range initial {
			if from[id.String()] || id.String() == anyPolicy {
				found[id.String()] = true
			}
		}
	}
	return strings.Join(slices.Sorted(maps.Keys(found)), ", "), len(found) > 0 || v.wild
}

// narrow is §6.1.3 (d), (e): what c asserts of what was expected.
func (v valid) narrow(c *x509.Certificate, anyAllowed bool) valid {
	next, stays := map[string]origins{}, false
	for _, p := range c.Policies {
		switch id := p.String(); {
		case id == anyPolicy:
			stays = anyAllowed
		case v.expected[id] != nil:
			next[id] = v.expected[id]
		case v.wild:
			next[id] = origins{id: true}
		}
	}
	if stays {
		for id, from := range v.expected {
			next[id] = from
		}
	}
	return valid{next, stays && v.wild}
}

// mapsAny is §6.1.4 (a): nothing may be mapped from anyPolicy or to it, wherever policies are demanded or not.
func mapsAny(c *x509.Certificate) bool {
	for _, m := range c.PolicyMappings {
		if m.IssuerDomainPolicy.String() == anyPolicy || m.SubjectDomainPolicy.String() == anyPolicy {
			return true
		}
	}
	return false
}

// remap is §6.1.4 (b): policies of the issuer's domain become those of the subject's.
func (v valid) remap(c *x509.Certificate, allowed bool) valid {
	if len(c.PolicyMappings) == 0 {
		return v
	}
	next := map[string]origins{}
	mapped := map[string]bool{}
	for _, m := range c.PolicyMappings {
		id, to := m.IssuerDomainPolicy.String(), m.SubjectDomainPolicy.String()
		mapped[id] = true
		from := v.expected[id]
		if from == nil && v.wild {
			from = origins{id: true}
		}
		if allowed && from != nil {
			next[to] = both(next[to], from)
		}
	}
	for id, from := range v.expected {
		if !mapped[id] {
			next[id] = both(next[id], from)
		}
	}
	return valid{next, v.wild}
}

// both is the union; neither is written to.
func both(a, b origins) origins {
	if a == nil {
		return b
	}
	u := maps.Clone(a)
	maps.Copy(u, b)
	return u
}

// lower takes a skip count of an extension into a counter, if it is there and smaller.
func lower(counter *int, n int, zero bool) {
	if n > 0 || zero {
		*counter = min(*counter, n)
	}
}
