package policy

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

// fieldOf is a field of a certificate.
type fieldOf struct {
	name        string // as the standard calls it, for people
	sort        sort
	hexadecimal bool
	read        func(*x509.Certificate) (v value, there bool)
}

const extensions = "X509.TBS.EXTENSION."

// fieldNamed finds a field by its whole name; nil if there is none.
func fieldNamed(name string) *fieldOf {
	for _, side := range []string{"Issuer", "Subject"} {
		if attribute, ok := strings.CutPrefix(name, "X509.TBS."+side+"."); ok {
			return nameField(side, attribute)
		}
	}
	if extension, ok := strings.CutPrefix(name, extensions); ok {
		return extensionField(extension)
	}
	switch name {
	case "X509.Algorithm":
		return textField("signature algorithm", func(c *x509.Certificate) string { return algorithmOf(c.Raw, true) })
	case "X509.TBS.SerialNumber":
		f := textField("serial number", func(c *x509.Certificate) string { return c.SerialNumber.Text(16) })
		f.hexadecimal = true
		return f
	case "X509.TBS.SubjectPublicKeyInfo.Algorithm":
		return textField("key", func(c *x509.Certificate) string { return algorithmOf(c.RawSubjectPublicKeyInfo, false) })
	case "X509.TBS.SubjectPublicKeyInfo.Size":
		return &fieldOf{"key", number, false, func(c *x509.Certificate) (value, bool) { return value{number: keySize(c)}, true }}
	}
	return nil
}

func textField(name string, read func(*x509.Certificate) string) *fieldOf {
	return &fieldOf{name, text, false, func(c *x509.Certificate) (value, bool) { s := read(c); return value{text: s}, s != "" }}
}

// keySize is the length of the key in bits, 0 for kinds that have none that says anything.
func keySize(c *x509.Certificate) int64 {
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		return int64(k.N.BitLen())
	case *ecdsa.PublicKey:
		return int64(k.Curve.Params().BitSize)
	}
	return 0
}

// algorithmOf is the object identifier of an AlgorithmIdentifier: the one behind the first element of a SEQUENCE, or the first itself.
func algorithmOf(raw []byte, second bool) string {
	s := cryptobyte.String(raw)
	var algorithm cryptobyte.String
	var id asn1.ObjectIdentifier
	if !s.ReadASN1(&s, der.SEQUENCE) || second && !s.SkipASN1(der.SEQUENCE) || !s.ReadASN1(&algorithm, der.SEQUENCE) ||
		!algorithm.ReadASN1ObjectIdentifier(&id) {
		return ""
	}
	return id.String()
}

// attributes of names, by the names that the language gives them.
func attributeNamed(name string) asn1.ObjectIdentifier {
	last := map[string]int{"CN": 3, "SN": 4, "SERIALNUMBER": 5, "C": 6, "L": 7, "ST": 8, "O": 10, "OU": 11, "TITLE": 12, "GIVENNAME": 42,
		"INITIALS": 43, "GENERATION": 44, "GERNERAL_QUALIFIER": 44, "DNQUALIFIER": 46, "PSEUDONYM": 65}[name]
	switch {
	case last > 0:
		return asn1.ObjectIdentifier{2, 5, 4, last}
	case name == "E", name == "EMAILADDRESS":
		return asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}
	case name == "DC":
		return asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 25}
	}
	return nil
}

func nameField(side, attribute string) *fieldOf {
	id := attributeNamed(strings.ToUpper(attribute))
	if id == nil && attribute != "DN" {
		return nil
	}
	return listField(side+"."+attribute, func(c *x509.Certificate) (all []string) {
		name, raw := c.Subject, c.RawSubject
		if side == "Issuer" {
			name, raw = c.Issuer, c.RawIssuer
		}
		if id == nil {
			if len(raw) <= 2 { // an empty SEQUENCE
				return nil
			}
			return []string{wholeName(name, raw)}
		}
		for _, a := range name.Names {
			if s, ok := a.Value.(string); ok && a.Type.Equal(id) {
				all = append(all, s)
			}
		}
		return all
	})
}

// wholeName is a name in its own order and with every attribute (RFC 4514); of one in bad strings, what crypto/x509 has of it.
func wholeName(name pkix.Name, raw []byte) string {
	var rdns pkix.RDNSequence
	if rest, err := asn1.Unmarshal(raw, &rdns); err == nil && len(rest) == 0 {
		return rdns.String()
	}
	return name.String()
}

func listField(name string, read func(*x509.Certificate) []string) *fieldOf {
	return &fieldOf{name, list, false, func(c *x509.Certificate) (value, bool) { l := read(c); return value{list: l}, len(l) > 0 }}
}

func hexField(name string, read func(*x509.Certificate) []byte) *fieldOf {
	f := textField(name, func(c *x509.Certificate) string { return hex.EncodeToString(read(c)) })
	f.hexadecimal = true
	return f
}

func extensionField(name string) *fieldOf {
	switch name {
	case "KeyUsage":
		return &fieldOf{name, number, false, func(c *x509.Certificate) (value, bool) {
			return value{number: usageBits(c.KeyUsage)}, extensionOf(c, 15) != nil
		}}
	case "SubjectAltName":
		return listField(name, func(c *x509.Certificate) []string { return generalNames(extensionOf(c, 17)) })
	case "IssuerAltName":
		return listField(name, func(c *x509.Certificate) []string { return generalNames(extensionOf(c, 18)) })
	case "SubjectKeyIdentifier":
		return hexField(name, func(c *x509.Certificate) []byte { return c.SubjectKeyId })
	case "AuthorityKeyIdentifier.KeyId":
		return hexField(name, func(c *x509.Certificate) []byte { return c.AuthorityKeyId })
	case "CertificatePolicies.PolicyOIDs":
		return listField(name, func(c *x509.Certificate) (all []string) {
			for _, p := range c.Policies {
				all = append(all, p.String())
			}
			return all
		})
	case "CertificatePolicies.CPSUrls":
		return listField(name, func(c *x509.Certificate) []string { return practiceStatements(extensionOf(c, 32)) })
	case "BasicConstraints.CA":
		return &fieldOf{name, truth, false, func(c *x509.Certificate) (value, bool) {
			return value{truth: c.IsCA}, c.BasicConstraintsValid
		}}
	case "BasicConstraints.MaxPathLength":
		return &fieldOf{name, number, false, func(c *x509.Certificate) (value, bool) {
			if there := c.MaxPathLen > 0 || c.MaxPathLenZero; there {
				return value{number: int64(c.MaxPathLen)}, true
			}
			return value{number: -1}, false
		}}
	case "ExtKeyUsageSyntax":
		return listField(name, func(c *x509.Certificate) []string { return identifiers(extensionOf(c, 37)) })
	case "CRLDistributionPoints.FullName":
		return listField(name, func(c *x509.Certificate) []string { return c.CRLDistributionPoints })
	case "AuthorityInfoAccessSyntax.Url":
		return listField(name, func(c *x509.Certificate) (all []string) {
			for _, u := range c.OCSPServer {
				all = append(all, "OCSP:"+u)
			}
			for _, u := range c.IssuingCertificateURL {
				all = append(all, "caIssuers:"+u)
			}
			return all
		})
	case "AuthorityInfoAccessSyntax.OCSPLocation":
		return listField(name, func(c *x509.Certificate) []string { return c.OCSPServer })
	}
	return nil
}

// usageBits writes the bits of a key usage as RFC 5280 §4.2.1.3 counts them, digitalSignature being 128 and decipherOnly, in the second
// octet, 32768.
func usageBits(u x509.KeyUsage) (n int64) {
	for i := range 9 {
		if u&(1<<i) != 0 {
			n |= [...]int64{128, 64, 32, 16, 8, 4, 2, 1, 32768}[i]
		}
	}
	return n
}

// extensionOf is the value of 2.5.29.n; nil if there is none.
func extensionOf(c *x509.Certificate, n int) []byte {
	for _, e := range c.Extensions {
		if e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, n}) {
			return e.Value
		}
	}
	return nil
}
