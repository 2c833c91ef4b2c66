package policy

import (
	"crypto/x509"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// value of a node; which part of it counts, its sort says.
type value struct {
	truth  bool
	number int64
	text   string
	list   []string
}

// run is one certificate on its way through an expression. Every node is evaluated once: the work is bounded by the expression and the
// certificate.
type run struct {
	certificate *x509.Certificate
	missing     string // the first field that must be there and is not
}

func (r *run) eval(n *node) value {
	switch {
	case n.field != nil:
		v, there := n.field.read(r.certificate)
		if n.required && !there && r.missing == "" {
			r.missing = n.field.name
		}
		return v
	case n.op == "":
		return n.literal
	}
	var left value
	if n.left != nil {
		left = r.eval(n.left)
	}
	return n.apply(left, r.eval(n.right))
}

// apply is one operation. Both sides have been evaluated: what must be there is missed wherever it stands.
func (n *node) apply(a, b value) value {
	is := func(truth bool) value { return value{truth: truth} }
	switch n.op {
	case "&&":
		return is(a.truth && b.truth)
	case "||":
		return is(a.truth || b.truth)
	case "!":
		return is(!b.truth)
	case ">":
		return is(a.number > b.number)
	case "<":
		return is(a.number < b.number)
	case "&":
		return value{number: a.number & b.number}
	case "|":
		return value{number: a.number | b.number}
	case "=":
		return is(n.equal(a, b))
	case "!=":
		return is(!n.equal(a, b))
	case "$", "{}$":
		return is(slices.ContainsFunc(a.values(n.left.sort), n.pattern.MatchString))
	case "{?}":
		return is(slices.Contains(a.list, b.text))
	case "{?}!":
		return is(!slices.Contains(a.list, b.text))
	case "{}&":
		return value{list: slices.DeleteFunc(slices.Clone(a.list), func(s string) bool { return !slices.Contains(b.list, s) })}
	case "{}":
		return is(len(b.list) == 0)
	case "{}!":
		return is(len(b.list) > 0)
	case "^":
		return value{number: int64(len(b.list))}
	}
	all := b.values(n.right.sort) // @@
	return is(len(all) > 0 && !slices.ContainsFunc(all, func(s string) bool { return !validURI(s) }))
}

func (v value) values(s sort) []string {
	if s == list {
		return v.list
	}
	return []string{v.text}
}

// equal compares two values. Hexadecimal numbers are written in many ways.
func (n *node) equal(a, b value) bool {
	l, r := n.left, n.right
	if r.sort == list || r.hexadecimal() {
		l, a, b = r, b, a
	}
	switch {
	case l.sort == truth:
		return a.truth == b.truth
	case l.sort == number:
		return a.number == b.number
	case l.sort == list:
		return slices.Contains(a.list, b.text)
	case l.hexadecimal():
		return bare(a.text) == bare(b.text)
	}
	return a.text == b.text
}

func (n *node) hexadecimal() bool { return n.field != nil && n.field.hexadecimal }

func bare(hex string) string {
	return strings.TrimLeft(strings.ToLower(strings.NewReplacer(":", "", " ", "").Replace(hex)), "0")
}

// validURI: absolute, and with a host.
func validURI(s string) bool {
	for _, method := range []string{"OCSP:", "caIssuers:"} { // of the field AuthorityInfoAccessSyntax.Url
		s = strings.TrimPrefix(s, method)
	}
	u, err := url.Parse(s)
	return err == nil && u.IsAbs() && u.Hostname() != ""
}

// blame finds the part of n, which is false, that is the reason.
func (r *run) blame(text string, n *node) string {
	switch n.op {
	case "&&":
		if !r.eval(n.left).truth {
			return r.blame(text, n.left)
		}
		return r.blame(text, n.right)
	case "||":
		return excerpt(text, n) + " does not hold in any part"
	case ">", "<":
		if n.right.op == "" && n.right.field == nil {
			return fmt.Sprintf("%s does not hold: it is %d", excerpt(text, n), r.eval(n.left).number)
		}
	}
	return excerpt(text, n) + " does not hold"
}
