package casetest

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"strconv"
	"strings"

	"carepost/trust/certtest"
)

// builder gathers the options of a certificate.
type builder struct {
	*World
	edits   []certtest.Edit
	patches map[int]func(der []byte) []byte // what becomes of the parts of tbsCertificate once it is made
	forged  bool
	form    string // see odd.go
	garbled bool   // no parser needs to read it

	otherAlgorithm bool // outside than inside

	names              []string // GeneralNames of the subjectAltName
	permitted          []string // GeneralSubtrees
	excluded           []string
	demand, mapping    string // of the policy constraints
	mappings           []string
	constraintCritical bool
}

// build reads the options of a certificate.
func (w *World) build(args []string) *builder {
	w.Helper()
	b := &builder{World: w, patches: map[int]func([]byte) []byte{}}
	for _, arg := range args {
		key, value, assigned := strings.Cut(arg, "=")
		if !b.plain(key, value) && !b.status(key, value) && !b.extension(key, value) && !b.signature(key, value) && !b.encoding(key, value) && (assigned || key != args[0]) {
			w.Fatalf("unknown option %q", arg)
		}
	}
	b.finish()
	return b
}

func (b *builder) add(f func(*x509.Certificate)) bool {
	b.edits = append(b.edits, f)
	return true
}

// plain are the options about names, dates, authority and use.
func (b *builder) plain(key, value string) bool {
	switch key {
	case "from", "name", "self":
		return true
	case "form":
		b.form = value
		return true
	case "dn.emailAddress":
		b.edits = append(b.edits, certtest.EmailDN(value))
		return true
	case "dn.cn":
		return b.add(func(c *x509.Certificate) { c.Subject.CommonName = value })
	case "subject":
		return b.add(func(c *x509.Certificate) { c.RawSubject = b.dn(value) })
	case "valid":
		from, until, _ := strings.Cut(value, "..")
		return b.add(func(c *x509.Certificate) { c.NotBefore, c.NotAfter = b.time(from), b.time(until) })
	case "usage":
		return b.add(func(c *x509.Certificate) { c.KeyUsage = usage(value) })
	case "eku":
		return b.add(func(c *x509.Certificate) {
			c.ExtKeyUsage = map[string][]x509.ExtKeyUsage{"server": {x509.ExtKeyUsageServerAuth}, "any": {x509.ExtKeyUsageAny}, "ocsp": {x509.ExtKeyUsageOCSPSigning}}[value]
		})
	case "not-ca":
		return b.add(func(c *x509.Certificate) { c.IsCA = false })
	case "no-constraints":
		return b.add(func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = false, false })
	case "is-ca":
		return b.add(func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true })
	case "pathlen":
		n, _ := strconv.Atoi(value)
		return b.add(func(c *x509.Certificate) { c.MaxPathLen, c.MaxPathLenZero = n, n == 0 })
	case "aia":
		return b.add(func(c *x509.Certificate) { c.IssuingCertificateURL = append(c.IssuingCertificateURL, b.url(value)) })
	case "cdp":
		return b.add(func(c *x509.Certificate) { c.CRLDistributionPoints = append(c.CRLDistributionPoints, b.url(value)) })
	case "ocsp":
		return b.add(func(c *x509.Certificate) { c.OCSPServer = append(c.OCSPServer, b.url(value)) })
	}
	return false
}

// signature are the options about keys and who signs with what.
func (b *builder) signature(key, value string) bool {
	switch key {
	case "rsa":
		bits, _ := strconv.Atoi(value)
		k := certtest.RSA(b)
		if bits != k.N.BitLen() {
			var err error
			if k, err = rsa.GenerateKey(rand.Reader, bits); err != nil {
				b.Fatal(err)
			}
		}
		b.edits = append(b.edits, certtest.Key(k))
	case "ecdsa":
		b.edits = append(b.edits, certtest.Key(certtest.ECDSA(b)))
	case "ed25519":
		_, k, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			b.Fatal(err)
		}
		b.edits = append(b.edits, certtest.Key(k))
	case "sha1":
		return b.add(func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA1WithRSA })
	case "sign":
		a := map[string]x509.SignatureAlgorithm{"rsa-sha384": x509.SHA384WithRSA, "rsa-sha512": x509.SHA512WithRSA, "pss": x509.SHA256WithRSAPSS,
			"ecdsa-sha384": x509.ECDSAWithSHA384, "ecdsa-sha1": x509.ECDSAWithSHA1}[value]
		return a != 0 && b.add(func(c *x509.Certificate) { c.SignatureAlgorithm = a })
	case "ski-of":
		return b.add(func(c *x509.Certificate) { c.SubjectKeyId = b.cert(value).SubjectKeyId })
	case "key-of":
		return b.add(func(c *x509.Certificate) { certtest.Key(b.ca(value).Key)(c) })
	case "forged":
		b.forged = true
	default:
		return false
	}
	return true
}

// encoding are the options about what stands in the certificate's own fields, as bytes.
func (b *builder) encoding(key, value string) bool {
	switch key {
	case "serial":
		n, ok := new(big.Int).SetString(value, 10)
		if !ok {
			return false
		}
		b.patches[1] = func([]byte) []byte { return b.der(n) }
	case "serial-of":
		return b.add(func(c *x509.Certificate) { c.SerialNumber = b.cert(value).SerialNumber })
	case "issuer":
		b.patches[3] = func([]byte) []byte { return b.dn(value) }
	case "no-issuer":
		b.patches[3] = func([]byte) []byte { return []byte{0x30, 0} }
	case "no-subject":
		return b.add(func(c *x509.Certificate) { c.RawSubject = []byte{0x30, 0} })
	case "times": // generalized, none, no-end
		b.garbled = value != "generalized"
		b.patches[4] = func(was []byte) []byte { return b.validity(was, value) }
	case "no-version":
		b.garbled = true
		b.patches[0] = func([]byte) []byte { return nil }
	case "outer-algorithm":
		b.garbled, b.otherAlgorithm = true, true
	case "garbled":
		b.garbled = true
	default:
		return false
	}
	return true
}

// validity writes the two dates otherwise.
func (b *builder) validity(was []byte, how string) []byte {
	var dates []asn1.RawValue
	b.parse(was, &dates)
	switch how {
	case "generalized":
		out := ""
		for _, d := range dates {
			text := string(d.Bytes)
			if d.Tag == asn1.TagUTCTime {
				century := "20"
				if text >= "50" {
					century = "19"
				}
				text = century + text
			}
			out += tlv(0x18, text)
		}
		return []byte(tlv(0x30, out))
	case "no-start":
		return []byte(tlv(0x30, string(dates[1].FullBytes)))
	case "no-end":
		return []byte(tlv(0x30, string(dates[0].FullBytes)))
	}
	return []byte{0x30, 0}
}

// extend adds an extension to the template.
func (b *builder) extend(critical bool, value string, id ...int) bool {
	return b.add(func(c *x509.Certificate) {
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: id, Critical: critical, Value: []byte(value)})
	})
}

func usage(names string) (u x509.KeyUsage) {
	for n := range strings.SplitSeq(names, ",") {
		u |= map[string]x509.KeyUsage{
			"none": 0, "digitalSignature": x509.KeyUsageDigitalSignature, "nonRepudiation": x509.KeyUsageContentCommitment,
			"keyEncipherment": x509.KeyUsageKeyEncipherment, "keyAgreement": x509.KeyUsageKeyAgreement,
			"keyCertSign": x509.KeyUsageCertSign, "cRLSign": x509.KeyUsageCRLSign,
		}[n]
	}
	return u
}
