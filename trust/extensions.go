package trust

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
)

type extension = pkix.Extension

// RFC 5280 §4.2.1 and §5.2; RFC 6960 §4.2.2.2, §4.4.
var (
	oidKeyUsage     = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidCRLPoints    = asn1.ObjectIdentifier{2, 5, 29, 31}
	oidCRLNumber    = asn1.ObjectIdentifier{2, 5, 29, 20}
	oidDeltaCRL     = asn1.ObjectIdentifier{2, 5, 29, 27}
	oidIssuingPoint = asn1.ObjectIdentifier{2, 5, 29, 28}
	oidAuthorityKey = asn1.ObjectIdentifier{2, 5, 29, 35}
	oidFreshest     = asn1.ObjectIdentifier{2, 5, 29, 46}
	oidOCSPBasic    = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 1}
	oidOCSPNonce    = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2}
	oidOCSPNoCheck  = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}
)

func has(c *x509.Certificate, oid asn1.ObjectIdentifier) bool {
	for _, e := range c.Extensions {
		if e.Id.Equal(oid) {
			return true
		}
	}
	return false
}
