package trust

import (
	"crypto/x509"
	"fmt"
	"net"
	"strings"

	"carepost/addr"
)

// maxComparisons bounds names × constraints of one Question.
const maxComparisons = 100_000

// checkNames obeys RFC 5280 §4.2.1.10 and §6.1.3 (b), (c): the name constraints of every authority, the anchor included, hold for
// the names of every certificate below it. It does not apply where no authority of the path constrains names.
func (in *inquiry) checkNames(path []*x509.Certificate) (_ Check, applies bool) {
	for i := len(path) - 1; i > 0; i-- {
		subtrees := subtreesOf(path[i])
		if len(subtrees) == 0 {
			continue
		}
		applies = true
		for k := i - 1; k >= 0; k-- {
			c := path[k]
			if k > 0 && selfIssued(c) {
				continue // RFC 5280 §6.1.3: not for self-issued certificates on the way
			}
			for _, s := range subtrees {
				names := s.names(c)
				if in.compared += len(names) * (len(s.permitted) + len(s.excluded)); in.compared > maxComparisons {
					return Check{"names", Refused, clauseNames, "the path has more names and name constraints than are compared"}, true
				}
				for _, name := range names {
					if !s.allow(name) {
						return Check{"names", Refused, clauseNames, fmt.Sprintf("%s does not allow %s's %s",
							describe(path, i), describe(path, k), s.kind)}, true
					}
				}
			}
		}
	}
	return Check{"names", Trusted, clauseNames, "all names are within the name constraints of the path"}, applies
}

// subtree is one kind of name in a NameConstraints extension.
type subtree struct {
	kind                string
	permitted, excluded []string
	names               func(*x509.Certificate) []string
	match               func(name, constraint string) (match, ok bool) // !ok: the name cannot be read
}

func (s subtree) allow(name string) bool {
	within := len(s.permitted) == 0
	for _, p := range s.permitted {
		match, ok := s.match(name, p)
		if !ok {
			return false
		}
		within = within || match
	}
	for _, e := range s.excluded {
		if match, ok := s.match(name, e); match || !ok {
			return false
		}
	}
	return within
}

func subtreesOf(c *x509.Certificate) []subtree {
	all := []subtree{
		{"rfc822Name", c.PermittedEmailAddresses, c.ExcludedEmailAddresses, mailNames, matchMail},
		{"dNSName", c.PermittedDNSDomains, c.ExcludedDNSDomains, func(c *x509.Certificate) []string { return c.DNSNames }, matchHost},
		{"URI", c.PermittedURIDomains, c.ExcludedURIDomains, uriHosts, matchURIHost},
		{"iPAddress", cidrs(c.PermittedIPRanges), cidrs(c.ExcludedIPRanges), addresses, matchIP},
	}
	var some []subtree
	for _, s := range all {
		if len(s.permitted)+len(s.excluded) > 0 {
			some = append(some, s)
		}
	}
	return some
}

// mailNames are the rfc822Names, and the legacy emailAddress of the Subject too: RFC 5280 §4.2.1.10 asks for it where no
// subjectAltName is; we look at it always, since Direct 4.1.1 gives it a say.
func mailNames(c *x509.Certificate) []string {
	names := append([]string(nil), c.EmailAddresses...)
	for _, a := range c.Subject.Names {
		if s, ok := a.Value.(string); ok && a.Type.Equal(oidEmailAddress) {
			names = append(names, s)
		}
	}
	return names
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
	if name == "" || net.ParseIP(name) != nil {
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

func uriHosts(c *x509.Certificate) []string {
	var hosts []string
	for _, u := range c.URIs {
		hosts = append(hosts, u.Hostname())
	}
	return hosts
}

func addresses(c *x509.Certificate) []string {
	var ips []string
	for _, ip := range c.IPAddresses {
		ips = append(ips, ip.String())
	}
	return ips
}

func cidrs(nets []*net.IPNet) []string {
	var out []string
	for _, n := range nets {
		out = append(out, n.String())
	}
	return out
}

func matchIP(name, constraint string) (match, ok bool) {
	ip := net.ParseIP(name)
	_, n, err := net.ParseCIDR(constraint)
	if ip == nil || err != nil {
		return false, false
	}
	return n.Contains(ip), true
}
