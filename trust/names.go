package trust

import (
	"crypto/x509"
	"fmt"
	"net"
	"slices"
	"strings"

	"carepost/addr"
)

// Limits of the names that are compared with name constraints in one Question, over all its paths.
const (
	maxComparisons = 100_000 // of a name, each with a constraint
	maxCompared    = 8 << 20 // octets of both
)

// checkNames obeys RFC 5280 §4.2.1.10 and §6.1.3 (b), (c): the name constraints of every authority, the anchor included, hold for
// the names of every certificate below it. It does not apply where no authority of the path constrains names.
func (in *inquiry) checkNames(path []*x509.Certificate) (_ Check, applies bool) {
	for i := len(path) - 1; i > 0; i-- {
		if !has(path[i], oidConstraints) {
			continue
		}
		applies = true
		all, ok := subtrees(path[i])
		if !ok {
			return Check{"names", Refused, clauseNames, describe(path, i) + " constrains names in a way that is not understood"}, true
		}
		for k := i - 1; k >= 0; k-- {
			if k > 0 && selfIssued(path[k]) {
				continue // RFC 5280 §6.1.3: not for self-issued certificates on the way
			}
			alternative, ok := altNames(path[k])
			if !ok {
				return Check{"names", Refused, clauseNames, describe(path, k) + " has an alternative name that cannot be read, and names are constrained"}, true
			}
			for _, s := range all {
				if check := in.within(path, i, k, s, alternative); check.Status == Refused {
					return check, true
				}
			}
		}
	}
	return Check{"names", Trusted, clauseNames, "all names are within the name constraints of the path"}, applies
}

// within compares the names of the certificate at place k with the constraints of the authority at place i on one kind of names.
func (in *inquiry) within(path []*x509.Certificate, i, k int, s subtree, alternative []generalName) Check {
	names := s.names(path[k], alternative)
	constraints := len(s.permitted) + len(s.excluded)
	in.comparisons += len(alternative) + len(names)*constraints
	for _, n := range names {
		in.compared += len(n.value) * constraints
	}
	for _, c := range slices.Concat(s.permitted, s.excluded) {
		in.compared += len(c) * len(names)
	}
	if in.comparisons > maxComparisons || in.compared > maxCompared {
		return Check{"names", Refused, clauseNames, "the path has more names and name constraints than are compared"}
	}
	for _, name := range names {
		if clause := s.breach(name); clause != "" {
			return Check{"names", Refused, clause, fmt.Sprintf("%s does not allow %s's %s", describe(path, i), describe(path, k), s.word())}
		}
	}
	return Check{}
}

// breach is the clause by which the constraints do not allow name; "" if they do.
func (s subtree) breach(name generalName) string {
	within := len(s.permitted) == 0
	for _, p := range s.permitted {
		match, ok := s.match(name, p)
		if !ok {
			return clauseNames
		}
		within = within || match
	}
	for _, e := range s.excluded {
		if match, ok := s.match(name, e); match || !ok {
			return clauseExcluded
		}
	}
	if !within {
		return clauseNames
	}
	return ""
}

// matchMail knows the three forms of RFC 5280 §4.2.1.10: a mailbox, a host, and ".domain" for the hosts below it.
func matchMail(name, constraint string) (match, ok bool) {
	a, err := addr.Parse(name)
	if err != nil || !ascii(name) {
		return false, false
	}
	if strings.Contains(constraint, "@") {
		c, err := addr.Parse(constraint)
		return err == nil && a.Equal(c), err == nil
	}
	return domainWithin(string(a.Domain), asciiLower(constraint), false), true
}

// matchMailbox compares an SmtpUTF8Mailbox with a constraint on rfc822Names (RFC 9598 §6): the domain decides. A constraint that is a
// mailbox is another name than any with a local part beyond ASCII, without which there is no SmtpUTF8Mailbox (§3).
func matchMailbox(name, constraint string) (match, ok bool) {
	i := strings.LastIndexByte(name, '@')
	if i <= 0 || ascii(name[:i]) || !ascii(name[i:]) {
		return false, false
	}
	d, err := addr.ParseDomain(name[i+1:])
	if err != nil {
		return false, false
	}
	return !strings.Contains(constraint, "@") && domainWithin(string(d), asciiLower(constraint), false), true
}

// matchHost: "Any DNS name that can be constructed by simply adding zero or more labels to the left" (RFC 5280 §4.2.1.10).
func matchHost(name, constraint string) (match, ok bool) {
	name = strings.TrimPrefix(asciiLower(name), "*.") // a wildcard stands for names below; one level makes no difference here
	if name == "" || strings.ContainsAny(name, "* \x00") || !ascii(name) {
		return false, false
	}
	return domainWithin(strings.TrimSuffix(name, "."), strings.TrimSuffix(asciiLower(constraint), "."), true), true
}

// matchURIHost: a host, or ".domain" for the hosts below it. A URI without a host cannot be read.
func matchURIHost(name, constraint string) (match, ok bool) {
	if name == "" || !ascii(name) || net.ParseIP(name) != nil {
		return false, false
	}
	return domainWithin(asciiLower(name), asciiLower(constraint), false), true
}

// domainWithin says whether host is the constraint or below it. ".domain" has only what is below; "domain" has what is below if
// deep says so. The empty constraint has everything.
func domainWithin(host, constraint string, deep bool) bool {
	switch {
	case constraint == "" || host == constraint:
		return true
	case strings.HasPrefix(constraint, "."):
		return strings.HasSuffix(host, constraint)
	}
	return deep && strings.HasSuffix(host, "."+constraint)
}
