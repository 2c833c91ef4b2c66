package smtp

import (
	"crypto/tls"
	"slices"
)

// HardenTLS returns a copy of c, or a new Config for nil, with what STARTTLS is held to on both sides: TLS 1.2 at least, of its
// suites the six with ECDHE and AEAD, no session tickets (RFC 9325 §3.1, §4.1, §4.2). A stricter c stays stricter.
func HardenTLS(c *tls.Config) *tls.Config {
	if c == nil {
		c = &tls.Config{}
	}
	c = c.Clone()
	c.MinVersion = max(c.MinVersion, tls.VersionTLS12)
	c.SessionTicketsDisabled = true
	c.ClientSessionCache = nil
	good := []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	}
	if own := c.CipherSuites; own != nil {
		good = slices.DeleteFunc(good, func(suite uint16) bool { return !slices.Contains(own, suite) })
	}
	c.CipherSuites = good
	return c
}
