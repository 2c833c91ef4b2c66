package trust

import "crypto/x509"

// Fits says whether a certificate's key usage allows a use of its key (RFC 8550 §4.4.2), the zero Use both: what a publisher asks before it publishes
// a certificate for others to encrypt with. Nothing else is judged.
func Fits(c *x509.Certificate, use Use) bool { return checkUsage(c, use).Status == Trusted }
