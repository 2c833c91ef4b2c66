package certificate

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// maxAll bounds the certificates that ParseAll returns. A bundle of all authorities of a country has a few hundred.
const maxAll = 2000

// ErrNone says that there is no certificate in a file.
var ErrNone = errors.New("certificate: neither a certificate nor a bundle of certificates")

// ParseAll reads the certificates of a file: DER, one after the other; a PKCS#7 file, signed or not, in DER or BER (RFC 5280 §4.2.2.1);
// or either in PEM, with any text around it. Certificates of a PKCS#7 file that cannot be read are passed over (RFC 5652 §10.2.2:
// there are other kinds), and what else is in it is not looked at; a signature is not verified here. Errors: ErrNone, also where more
// than 2000 certificates are found.
func ParseAll(body []byte) ([]*x509.Certificate, error) {
	certs, err := ParseSome(body, maxAll+1)
	if len(certs) > maxAll {
		return nil, ErrNone
	}
	return certs, err
}

// ParseSome is ParseAll up to the most-th certificate; what follows is not looked at.
func ParseSome(body []byte, most int) ([]*x509.Certificate, error) {
	if len(body) > 0 && body[0] == byte(asn1.SEQUENCE) { // or "0", the first letter of a text
		if certs, err := parseBinary(body, most); err == nil {
			return certs, nil
		}
	}
	var certs []*x509.Certificate
	for len(certs) < most {
		var block *pem.Block
		if block, body = pem.Decode(body); block == nil {
			break
		}
		switch block.Type {
		case "CERTIFICATE", "X509 CERTIFICATE", "PKCS7", "PKCS #7 SIGNED DATA", "CMS":
			more, err := parseBinary(block.Bytes, most-len(certs))
			if err != nil {
				return nil, err
			}
			certs = append(certs, more...)
		}
	}
	if len(certs) == 0 {
		return nil, ErrNone
	}
	return certs, nil
}

func parseBinary(der []byte, most int) (certs []*x509.Certificate, err error) {
	if bag, ok := certsOnly(der); ok {
		return fromBag(bag, most)
	}
	for in := cryptobyte.String(der); !in.Empty() && len(certs) < most; {
		var one cryptobyte.String
		if !in.ReadASN1Element(&one, asn1.SEQUENCE) {
			return nil, ErrNone
		}
		c, err := Parse(one)
		if err != nil {
			return nil, ErrNone
		}
		certs = append(certs, c)
	}
	if len(certs) == 0 {
		return nil, ErrNone
	}
	return certs, nil
}

// fromBag reads a CertificateSet (RFC 5652 §10.2.3).
func fromBag(bag []byte, most int) (certs []*x509.Certificate, err error) {
	for len(bag) > 0 && len(certs) < most {
		one, rest, ok := cut(bag, 0)
		if !ok {
			return nil, ErrNone
		}
		bag = rest
		if c, err := Parse(one.whole); err == nil {
			certs = append(certs, c)
		}
	}
	if len(certs) == 0 {
		return nil, ErrNone
	}
	return certs, nil
}

// certsOnly finds the certificates field of a SignedData in BER (RFC 5652 §5.1); what else is in it is not looked at.
func certsOnly(ber []byte) (bag []byte, ok bool) {
	info, rest, ok := cut(ber, 0)
	if !ok || len(rest) > 0 || info.tag != byte(asn1.SEQUENCE) {
		return nil, false
	}
	kind, rest, ok := cut(info.content, 1)
	if !ok || !bytes.Equal(kind.whole, []byte("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02")) { // id-signedData
		return nil, false
	}
	content, _, ok := cut(rest, 1)
	if !ok || content.tag != 0xa0 {
		return nil, false
	}
	signed, _, ok := cut(content.content, 2)
	if !ok || signed.tag != byte(asn1.SEQUENCE) {
		return nil, false
	}
	rest = signed.content
	for _, tag := range [...]byte{byte(asn1.INTEGER), byte(asn1.SET), byte(asn1.SEQUENCE)} { // version, digestAlgorithms, encapContentInfo
		var e item
		if e, rest, ok = cut(rest, 3); !ok || e.tag != tag {
			return nil, false
		}
	}
	certs, _, ok := cut(rest, 3)
	return certs.content, ok && certs.tag == 0xa0
}
