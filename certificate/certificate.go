// Package certificate reads the certificates of others, odd ones too: those that crypto/x509 takes as it takes them, and some that it
// does not, with what is odd about them.
//
// It follows RFC 5280 §4.1 and §4.2, RFC 5652 §5.1 and §10.2 (certificates in a PKCS#7 file) and RFC 7468 (PEM).
//
// # Odd certificates
//
// The field has certificates that RFC 5280 forbids and software made all the same. Where crypto/x509 refuses one, its parts are taken
// out, those that crypto/x509 refuses are mended or left out, and what then stands is read by crypto/x509 again: it stays the one judge
// of what a part says, and nothing is believed that it would not believe. Raw, RawTBSCertificate, RawSubject, RawIssuer, Extensions and
// SerialNumber are those of the certificate as it came, so that signatures, look-ups and fingerprints are about the certificate itself.
//
//	tolerated                                             what becomes of it
//	serial number negative, or in needless octets         its value
//	attribute of a name in a wrong string type, or bad    its text, as well as it can be read
//	fractions of a second in a date                       the moment
//	critical flag that is TRUE in BER only                TRUE
//	key identifiers, AIA marked critical                  as if not marked
//	key identifier, policies, other such extension bad    left out; in UnhandledCriticalExtensions if critical
//	AIA, CRL distribution points bad in part              the good part
//	subjectAltName with a bad URI, address or name        the good names; the bad ones stand so that they match nothing
//	one extension twice                                   once, if both are the same or it decides nothing
//
// Everything else refuses the certificate as crypto/x509 does: no dates, no or a strange key, differing algorithms, and whatever is bad
// in basic constraints, key usage, extended key usage, name constraints, policy constraints, policy mappings and inhibitAnyPolicy.
//
// Whether an odd certificate counts is for the caller to decide; Oddities tells what is odd.
package certificate

import (
	"crypto/x509"
	"fmt"
)

// maxOdd is the length of a certificate that is taken apart, in octets; crypto/x509 reads longer ones if nothing is wrong with them.
const maxOdd = 64 << 10

// Parse reads one certificate in DER. The errors are those of crypto/x509 where a certificate cannot be mended.
func Parse(der []byte) (*x509.Certificate, error) {
	c, err := x509.ParseCertificate(der)
	if err == nil {
		return c, nil
	}
	if odd, ok := mend(der); ok {
		return odd.certificate, nil
	}
	return nil, fmt.Errorf("certificate: %w", err)
}

// Oddities says what is wrong with a certificate that Parse mended, each a clause of a sentence without any name in it; nil if nothing
// is. It parses c anew.
func Oddities(c *x509.Certificate) []string {
	if _, err := x509.ParseCertificate(c.Raw); err == nil {
		return nil
	}
	if odd, ok := mend(c.Raw); ok {
		return odd.oddities
	}
	return []string{"it cannot be read again"}
}
