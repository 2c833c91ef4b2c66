package trust

import (
	"crypto/x509"
	"encoding/asn1"
	"strings"

	"carepost/addr"
)

var oidEmailAddress = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}

// Bind says how cert is tied to a (Direct 4.1, as v1.2 has it), with a sentence that says by what, or why not. The sentence names
// domains, never whole addresses.
func Bind(cert *x509.Certificate, a addr.Address) (Binding, string) {
	b, c := bind(cert, a, V12)
	return b, c.Evidence
}

// Names says by which subjectAltName cert is tied to a, whatever else contradicts it: whose certificate it is, which is asked before
// whether it is any good. The sentence is as Bind's.
func Names(cert *x509.Certificate, a addr.Address) (Binding, string) {
	b, c := bind(cert, a, V13)
	return b, c.Evidence
}

// bind compares the address with every subjectAltName: RFC 5280 puts no order on them, and the reference implementations, which
// look at one, misjudge certificates with several. The common name says nothing.
func bind(cert *x509.Certificate, a addr.Address, p Policy) (Binding, Check) {
	if a.IsZero() {
		return Unbound, Check{"binding", Refused, clauseBinding, "there is no address to bind the certificate to"}
	}
	b, no := bindAddress(cert, a, p)
	if b {
		return AddressBound, Check{"binding", Trusted, clauseAddress, "an rfc822Name is the address at " + string(a.Domain)}
	}
	wildcard := false
	for _, name := range cert.DNSNames {
		// Direct 4.1.2: the Health Domain itself. Neither a parent domain nor a wildcard vouches for it.
		if asciiLower(name) == string(a.Domain) {
			return OrgBound, Check{"binding", Trusted, clauseOrg, "a dNSName is " + string(a.Domain)}
		}
		wildcard = wildcard || strings.HasPrefix(name, "*")
	}
	switch {
	case no.Name != "":
		return Unbound, no
	case wildcard:
		return Unbound, Check{"binding", Refused, clauseOrg, "a wildcard dNSName is not the domain " + string(a.Domain)}
	case len(cert.DNSNames) > 0:
		return Unbound, Check{"binding", Refused, clauseOrg, "no dNSName is the domain " + string(a.Domain)}
	}
	return Unbound, Check{"binding", Refused, clauseBinding, "the certificate has no subjectAltName that could bind it to an address"}
}

// bindAddress obeys Direct 4.1.1. If it does not bind although rfc822Names are there, no says why.
func bindAddress(cert *x509.Certificate, a addr.Address, p Policy) (bound bool, no Check) {
	for _, name := range cert.EmailAddresses {
		if sameAddress(name, a) {
			bound = true
		}
	}
	if !bound {
		if len(cert.EmailAddresses) > 0 && len(cert.DNSNames) == 0 {
			no = Check{"binding", Refused, clauseAddress, "no rfc822Name is the address at " + string(a.Domain)}
		}
		return false, no
	}
	if p == V13 { // Direct v1.3: the subjectAltName alone binds
		return true, Check{}
	}
	for _, attribute := range cert.Subject.Names {
		if !attribute.Type.Equal(oidEmailAddress) {
			continue
		}
		if s, ok := attribute.Value.(string); !ok || !sameAddress(s, a) {
			return false, Check{"binding", Refused, clauseAddress,
				"an rfc822Name is the address, but the legacy emailAddress of the Subject names another"}
		}
	}
	return true, Check{}
}

// sameAddress compares a name of a certificate with a; case does not matter (Direct 4.1.1).
func sameAddress(name string, a addr.Address) bool {
	n, err := addr.Parse(name)
	return err == nil && ascii(name) && !strings.HasSuffix(name, ".") && n.Equal(a)
}

func asciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// ascii says that s is an IA5String: rfc822Names and dNSNames are (RFC 5280 §4.2.1.6), and those of odd certificates may not be.
func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
