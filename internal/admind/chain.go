package admind

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
)

const mostChain = 16

// readChain reads certificates in PEM.
func readChain(text []byte) (out []*x509.Certificate, err error) {
	for len(bytes.TrimSpace(text)) > 0 {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil || block.Type != "CERTIFICATE" || len(out) == mostChain {
			return nil, wrong("that is no list of certificates in PEM")
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, wrong("one of the certificates cannot be read")
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, wrong("there is no certificate in PEM")
	}
	return out, nil
}
