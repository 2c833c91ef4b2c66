package pilot

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"time"
)

// The structures of RFC 6960 §4, as encoding/asn1 reads and writes them.
type (
	certID struct {
		Raw       asn1.RawContent
		Algorithm pkix.AlgorithmIdentifier
		NameHash  []byte
		KeyHash   []byte
		Serial    *big.Int
	}
	singleRequest struct {
		ID         certID
		Extensions []pkix.Extension `asn1:"optional,explicit,tag:0"`
	}
	tbsRequest struct {
		Version    int           `asn1:"optional,explicit,default:0,tag:0"`
		Requestor  asn1.RawValue `asn1:"optional,explicit,tag:1"`
		List       []singleRequest
		Extensions []pkix.Extension `asn1:"optional,explicit,tag:2"`
	}
	singleResponse struct {
		ID     asn1.RawValue
		Status asn1.RawValue
		This   time.Time `asn1:"generalized"`
		Next   time.Time `asn1:"generalized,explicit,tag:0"`
	}
	responseData struct {
		Responder  []byte    `asn1:"explicit,tag:2"` // byKey
		Produced   time.Time `asn1:"generalized"`
		Responses  []singleResponse
		Extensions []pkix.Extension `asn1:"optional,explicit,tag:1,omitempty"`
	}
	basicResponse struct {
		Data      asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}
	responseBytes struct {
		Type     asn1.ObjectIdentifier
		Response []byte
	}
	ocspResponse struct {
		Status asn1.Enumerated
		Bytes  responseBytes `asn1:"explicit,tag:0"`
	}
)

// ocspRequest is what is asked.
type ocspRequest struct {
	ids   []certID
	nonce []byte // nil: none
}

// OCSPResponseStatus (RFC 6960 §4.2.1).
const (
	successful       asn1.Enumerated = 0
	malformedRequest asn1.Enumerated = 1
	internalError    asn1.Enumerated = 2
	tryLater         asn1.Enumerated = 3
	unauthorized     asn1.Enumerated = 6
)

func oidBasic() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 1} }
func oidNonce() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2} }
func oidSHA256WithRSA() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}
}

// hashOf is the hash that a CertID was made with. SHA-1 names an issuer here, it protects nothing; every client uses it.
func hashOf(oid asn1.ObjectIdentifier) (crypto.Hash, bool) {
	switch oid.String() {
	case "1.3.14.3.2.26":
		return crypto.SHA1, true
	case "2.16.840.1.101.3.4.2.1":
		return crypto.SHA256, true
	case "2.16.840.1.101.3.4.2.2":
		return crypto.SHA384, true
	case "2.16.840.1.101.3.4.2.3":
		return crypto.SHA512, true
	}
	return 0, false
}

func digest(h crypto.Hash, of []byte) []byte {
	d := h.New()
	d.Write(of)
	return d.Sum(nil)
}

// publicBits is the key of c without its algorithm: what key identifiers are made of.
func publicBits(c *x509.Certificate) []byte {
	var outer struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(c.RawSubjectPublicKeyInfo, &outer); err != nil {
		return nil // x509 has read it: it is one
	}
	return outer.Key.Bytes
}
