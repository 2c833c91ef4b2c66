// Package policy is a small language in which somebody says what a certificate must be like: the simple text form, version 1, of the
// Direct reference implementations.
//
//	(X509.TBS.EXTENSION.KeyUsage & 32) > 0
//	(X509.TBS.EXTENSION.CertificatePolicies.PolicyOIDs {?} 1.3.6.1.4.1.41179.0.1.2) && (X509.TBS.SubjectPublicKeyInfo.Size > 2047)
//
// # Syntax
//
// An expression is made of fields of the certificate, literals, operators and brackets. Operators have no precedence: what stands side
// by side is evaluated from left to right, and brackets group. An operator of one operand stands before it and takes the next operand.
// A literal is written plainly, blanks within it included, or between quotation marks with \" and \\ inside; a list of them is joined by
// commas. The whole must come to true or false by an operator.
//
//	=  !=         two numbers, texts or truth values; of a list: some value is, none is
//	>  <          two numbers
//	$             a text, or some value of a list, matches a regular expression (Go's RE2, unanchored)
//	{?}  {?}!     a list contains a text, or does not
//	{}$           some value of a list matches a regular expression
//	{}  {}!       before a list: it is empty, or is not
//	{}&           the values of a list that another has too
//	^             before a list: how many values it has
//	&  |          numbers, bit by bit
//	&&  ||  !     truth values
//	@@            before a text or a list: a URI with a host, all of them and at least one
//
// # Fields
//
//	X509.Algorithm                                        object identifier of the signature
//	X509.TBS.SerialNumber                                 hexadecimal
//	X509.TBS.Issuer.A, X509.TBS.Subject.A                 list; A is CN C O OU ST L E DC DNQUALIFIER SERIALNUMBER SN TITLE GIVENNAME
//	                                                      INITIALS PSEUDONYM GENERATION, or DN for the whole name (RFC 4514)
//	X509.TBS.SubjectPublicKeyInfo.Algorithm, .Size        object identifier; bits
//	X509.TBS.EXTENSION.KeyUsage                           number: digitalSignature 128, nonRepudiation 64, keyEncipherment 32, …
//	X509.TBS.EXTENSION.SubjectAltName, .IssuerAltName     list: rfc822:A, dns:D, uri:U, ip:N, directory:DN
//	X509.TBS.EXTENSION.SubjectKeyIdentifier               hexadecimal
//	X509.TBS.EXTENSION.AuthorityKeyIdentifier.KeyId       hexadecimal
//	X509.TBS.EXTENSION.CertificatePolicies.PolicyOIDs, .CPSUrls     lists
//	X509.TBS.EXTENSION.BasicConstraints.CA, .MaxPathLength          truth value; number, -1 for none
//	X509.TBS.EXTENSION.ExtKeyUsageSyntax                  list of object identifiers
//	X509.TBS.EXTENSION.CRLDistributionPoints.FullName     list of URLs
//	X509.TBS.EXTENSION.AuthorityInfoAccessSyntax.Url      list: OCSP:U, caIssuers:U
//	X509.TBS.EXTENSION.AuthorityInfoAccessSyntax.OCSPLocation       list of URLs
//
// What is not there is 0, false, the empty text or the empty list. With + behind its name the field must be there: where it is not, the
// expression as a whole does not hold.
//
// # Departures
//
// Regular expressions are RE2: matching takes time in proportion to the text, whatever the pattern. A URI is not fetched to see whether
// it is valid. = and != look into lists. Kinds are checked when an expression is read: what the reference implementations would refuse
// or misjudge when a certificate comes is an error with its place.
package policy

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
)

// Limits of an expression.
const (
	maxText  = 16 << 10 // octets
	maxDepth = 32       // brackets and leading operators within one another
	maxTerms = 500      // fields, literals and operators
)

// Expression is what a certificate must be like. It is safe for concurrent use.
type Expression struct {
	text string
	root *node
}

// Error says where an expression is wrong.
type Error struct {
	Line, Column int // from 1, in characters
	Reason       string
}

func (e *Error) Error() string {
	return fmt.Sprintf("policy: line %d, column %d: %s", e.Line, e.Column, e.Reason)
}

// Parse reads an expression. *Error where it is wrong.
func Parse(text string) (*Expression, error) {
	if len(text) > maxText {
		return nil, &Error{1, 1, fmt.Sprintf("it is longer than %d octets", maxText)}
	}
	p := &parser{text: text}
	root, err := p.parse()
	if bad := (*fault)(nil); errors.As(err, &bad) {
		return nil, bad.at(text)
	}
	return &Expression{text, root}, nil
}

// String is the expression as it was written.
func (e *Expression) String() string {
	if e == nil {
		return ""
	}
	return e.text
}

// Holds says whether c is as e wants it; if not, why is the part that does not hold, without a value that could name a person. A nil
// Expression wants nothing.
func (e *Expression) Holds(c *x509.Certificate) (holds bool, why string) {
	if e == nil {
		return true, ""
	}
	run := &run{certificate: c}
	v := run.eval(e.root)
	switch {
	case run.missing != "":
		return false, "the certificate has no " + run.missing
	case v.truth:
		return true, ""
	}
	return false, run.blame(e.text, e.root)
}

// excerpt is a part of an expression for people: on one line, cut, and without an address that the author may have put in.
func excerpt(text string, n *node) string {
	s := strings.Join(strings.Fields(text[n.from:n.to]), " ")
	if strings.Contains(strings.ReplaceAll(s, "@@", ""), "@") {
		return "a condition on an address"
	}
	const long = 160
	if r := []rune(s); len(r) > long {
		s = string(r[:long]) + "…"
	}
	return fmt.Sprintf("%q", s)
}
