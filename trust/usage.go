package trust

import "crypto/x509"

// Allows says whether a certificate's key usage allows a use of its key (RFC 8550 §4.4.2): what a publisher asks before it publishes
// a certificate for others to encrypt with. Nothing else is judged.
func Allows(c *x509.Certificate, use Use) bool { return checkUsage(c, use).Status == Trusted }
