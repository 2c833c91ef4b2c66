package trust

import (
	"crypto/x509"

	"carepost/addr"
)

// Bind says how cert is tied to a (Direct 4.1), with a sentence that says by what, or why not.
func Bind(cert *x509.Certificate, a addr.Address) (Binding, string) { panic("unimplemented") }
