package trust

import (
	"crypto/x509"
	"encoding/asn1"
)

// RFC 5280 §4.2.1 and §5.2.
var (
	oidKeyUsage     = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidCRLPoints    = asn1.ObjectIdentifier{2, 5, 29, 31}
	oidCRLNumber    = asn1.ObjectIdentifier{2, 5, 29, 20}
	oidDeltaCRL     = asn1.ObjectIdentifier{2, 5, 29, 27}
	oidIssuingPoint = asn1.ObjectIdentifier{2, 5, 29, 28}
	oidAuthorityKey = asn1.ObjectIdentifier{2, 5, 29, 35}
)

func has(c *x509.Certificate, oid asn1.ObjectIdentifier) bool {
	for _, e := range c.Extensions {
		if e.Id.Equal(oid) {
			return true
		}
	}
	return false
}
