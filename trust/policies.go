package trust

import "crypto/x509"

// checkPolicies obeys RFC 5280 §6.1.3 (d)–(f), §6.1.4 (a), (b), (h)–(j) and §6.1.5 (a), (b) for a relying party that takes any
// policy: where an authority demands that some policy hold along the path, one must. Nothing else about policies is asked, so
// instead of the tree the set of policies expected next is kept: it is empty exactly when the tree is.
func checkPolicies(path []*x509.Certificate) (_ Check, applies bool) {
	n := len(path) - 1 // the anchor is no part of it (RFC 5280 §6.1)
	demand := n + 1    // explicit_policy: certificates left before a policy is demanded
	mapping, any := n+1, n+1
	expected, wild := map[string]bool{}, true // wild: the anyPolicy node
	for i := n - 1; i >= 0; i-- {
		c, last := path[i], i == 0
		applies = applies || c.RequireExplicitPolicy > 0 || c.RequireExplicitPolicyZero
		expected, wild = narrow(c, expected, wild, any > 0 || !last && selfIssued(c))
		if demand == 0 && len(expected) == 0 && !wild {
			return Check{"policies", Refused, clausePolicies, "an authority of the path demands a certificate policy, and none holds"}, true
		}
		if last {
			break
		}
		if mapsAny(c) {
			return Check{"policies", Refused, clauseMapping, describe(path, i) + " maps anyPolicy, which stands for no policy of its own"}, true
		}
		expected = remap(c, expected, wild, mapping > 0)
		if !selfIssued(c) {
			demand, mapping, any = max(demand-1, 0), max(mapping-1, 0), max(any-1, 0)
		}
		lower(&demand, c.RequireExplicitPolicy, c.RequireExplicitPolicyZero)
		lower(&mapping, c.InhibitPolicyMapping, c.InhibitPolicyMappingZero)
		lower(&any, c.InhibitAnyPolicy, c.InhibitAnyPolicyZero)
	}
	leaf := path[0]
	if n > 0 && !selfIssued(leaf) {
		demand = max(demand-1, 0)
	}
	if n > 0 && leaf.RequireExplicitPolicyZero {
		demand = 0
	}
	if demand == 0 && len(expected) == 0 && !wild {
		return Check{"policies", Refused, clausePolicies, "an authority of the path demands a certificate policy, and none holds"}, true
	}
	return Check{"policies", Trusted, clausePolicies, "the certificate policies that the path demands hold"}, applies
}

const anyPolicy = "2.5.29.32.0"

// narrow is §6.1.3 (d), (e): what c asserts of what was expected.
func narrow(c *x509.Certificate, expected map[string]bool, wild, anyAllowed bool) (map[string]bool, bool) {
	next, stays := map[string]bool{}, false
	for _, p := range c.Policies {
		switch id := p.String(); {
		case id == anyPolicy:
			stays = anyAllowed
		case expected[id] || wild:
			next[id] = true
		}
	}
	if stays {
		for id := range expected {
			next[id] = true
		}
	}
	return next, stays && wild
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
func remap(c *x509.Certificate, expected map[string]bool, wild, allowed bool) map[string]bool {
	if len(c.PolicyMappings) == 0 {
		return expected
	}
	next := map[string]bool{}
	mapped := map[string]bool{}
	for _, m := range c.PolicyMappings {
		from := m.IssuerDomainPolicy.String()
		mapped[from] = true
		if allowed && (expected[from] || wild) {
			next[m.SubjectDomainPolicy.String()] = true
		}
	}
	for id := range expected {
		if !mapped[id] {
			next[id] = true
		}
	}
	return next
}

// lower takes a skip count of an extension into a counter, if it is there and smaller.
func lower(counter *int, n int, zero bool) {
	if n > 0 || zero {
		*counter = min(*counter, n)
	}
}
