package trust

import "crypto/x509"

// Fits says whether the key usage of c allows that its key is used so (RFC 8550 §4.4.2): the zero Use wants both.
func Fits(c *x509.Certificate, use Use) bool { return checkUsage(c, use).Status == Trusted }
