package certificate_test

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"strings"
	"testing"

	"carepost/certificate"
	"carepost/trust/certtest"
)

func raw(der string) asn1.RawValue { return asn1.RawValue{FullBytes: []byte(der)} }

// tlv is one short element.
func tlv(tag byte, content ...string) string {
	s := strings.Join(content, "")
	if len(s) > 127 {
		panic("too long for a test")
	}
	return string([]byte{tag, byte(len(s))}) + s
}

// attribute is a Name of one attribute, emailAddress or common name.
func attribute(oid string, tag byte, value string) string {
	return tlv(0x30, tlv(0x31, tlv(0x30, oid, tlv(tag, value))))
}

const (
	commonName   = "\x06\x03\x55\x04\x03"
	emailAddress = "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01"
)

func extension(id asn1.ObjectIdentifier, critical byte, value string) certtest.Extension {
	return certtest.Extension{ID: id, Critical: critical, Value: []byte(value)}
}

func add(e certtest.Extension) func(*certtest.TBS) {
	return func(t *certtest.TBS) { t.Extensions = append(t.Extensions, e) }
}

func standard(last int) asn1.ObjectIdentifier { return asn1.ObjectIdentifier{2, 5, 29, last} }

func set(last int, value string) func(*certtest.TBS) {
	return func(t *certtest.TBS) {
		if e := t.Extension(last); e != nil {
			e.Value = []byte(value)
			return
		}
		t.Extensions = append(t.Extensions, extension(standard(last), 0, value))
	}
}

func good(t testing.TB) (*certtest.CA, *x509.Certificate) {
	ca := certtest.NewCA(t, "R")
	ca.CDP, ca.AIA = []string{"http://r.example/r.crl"}, []string{"http://r.example/r.cer"}
	return ca, ca.Issue(t, "lab@h.example", func(c *x509.Certificate) { c.Subject.CommonName = "Laboratory" }).Certificate
}

var access = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 1}

func url(u string) string { return tlv(0x86, u) }

// What is tolerated, and what is made of it: RFC 5280 §4.1, §4.2. Each of them is refused by crypto/x509.
func TestOdd(t *testing.T) {
	ca, c := good(t)
	for name, tc := range map[string]struct {
		edit   func(*certtest.TBS)
		oddity string
		holds  func(c *x509.Certificate) bool
	}{
		"negative serial": {func(t *certtest.TBS) { t.Serial = raw("\x02\x01\xff") }, "serial number is negative",
			func(c *x509.Certificate) bool { return c.SerialNumber.Int64() == -1 }},
		"needless octets": {func(t *certtest.TBS) { t.Serial = raw("\x02\x03\x00\x00\x12") }, "needless octets",
			func(c *x509.Certificate) bool { return c.SerialNumber.Int64() == 0x12 }},
		"printable address": {func(t *certtest.TBS) { t.Subject = raw(attribute(emailAddress, 0x13, "lab@h.example")) }, "attribute of the subject",
			func(c *x509.Certificate) bool { return c.Subject.Names[0].Value == "lab@h.example" }},
		"Latin-1 as UTF-8": {func(t *certtest.TBS) { t.Subject = raw(attribute(commonName, 0x0c, "M\xfcller")) }, "attribute of the subject",
			func(c *x509.Certificate) bool { return c.Subject.CommonName == "Müller" }},
		"bit string as a name": {func(t *certtest.TBS) { t.Issuer = raw(attribute(commonName, 0x03, "\x00A")) }, "attribute of the issuer",
			func(c *x509.Certificate) bool { return c.Issuer.CommonName == "#0041" }},
		"universal string": {func(t *certtest.TBS) { t.Issuer = raw(attribute(commonName, 28, "\x00\x00\x00A")) }, "attribute of the issuer",
			func(c *x509.Certificate) bool { return c.Issuer.CommonName == "A" }},
		"fractions": {func(t *certtest.TBS) {
			t.Validity = raw(tlv(0x30, tlv(0x18, "20200101000000.5Z"), tlv(0x18, "20490101000000Z")))
		}, "fractions of a second", func(c *x509.Certificate) bool {
			return c.NotBefore.Nanosecond() == 5e8 && c.NotAfter.Equal(certtest.NotAfter)
		}},
		"BER true": {add(extension(asn1.ObjectIdentifier{1, 2, 3}, 1, "\x05\x00")), "Boolean of DER",
			func(c *x509.Certificate) bool { return len(c.UnhandledCriticalExtensions) == 1 }},
		"critical key identifier": {func(t *certtest.TBS) { t.Extension(14).Critical = 0xff }, "subject key identifier is marked critical",
			func(c *x509.Certificate) bool { return len(c.SubjectKeyId) == 20 }},
		"bad key identifier": {set(14, "\x04\x05xx"), "subject key identifier cannot be read",
			func(c *x509.Certificate) bool {
				return c.SubjectKeyId == nil && len(c.UnhandledCriticalExtensions) == 0
			}},
		"bad and critical": {add(extension(standard(32), 0xff, "\x30\x05")), "certificate policies cannot be read",
			func(c *x509.Certificate) bool {
				return len(c.UnhandledCriticalExtensions) == 1 && len(c.Policies) == 0
			}},
		"bad access": {func(x *certtest.TBS) {
			for i := range x.Extensions {
				if x.Extensions[i].ID.Equal(access) {
					x.Extensions[i].Value = []byte(tlv(0x30, "\x30\x02\x06\x00", tlv(0x30, "\x06\x08\x2b\x06\x01\x05\x05\x07\x30\x02", url("http://r.example/2"))))
				}
			}
		}, "authority information access cannot be read", func(c *x509.Certificate) bool {
			return slices.Equal(c.IssuingCertificateURL, []string{"http://r.example/2"}) && len(c.OCSPServer) == 1
		}},
		"bad point": {set(31, tlv(0x30, tlv(0x30, tlv(0xa0, tlv(0xa0, url("http://r.example/1")))), tlv(0x30, "\xa0\x02\x05\x00"))),
			"CRL distribution points cannot be read", func(c *x509.Certificate) bool {
				return slices.Equal(c.CRLDistributionPoints, []string{"http://r.example/1"})
			}},
		"no good point": {set(31, "\x05\x00"), "CRL distribution points cannot be read", func(c *x509.Certificate) bool {
			return len(c.CRLDistributionPoints) == 0 && slices.ContainsFunc(c.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(standard(31)) })
		}},
		"bad URI": {set(17, tlv(0x30, tlv(0x81, "lab@h.example"), url("http://a b:c"))), "subject alternative name", func(c *x509.Certificate) bool {
			return slices.Equal(c.EmailAddresses, []string{"lab@h.example"}) && len(c.URIs) == 1 && c.URIs[0].Hostname() == ""
		}},
		"bad address": {set(17, tlv(0x30, tlv(0x82, "h.example"), tlv(0x81, "l\xe4b@h.example"), tlv(0x87, "abc"))), "subject alternative name",
			func(c *x509.Certificate) bool {
				return slices.Equal(c.DNSNames, []string{"h.example"}) && len(c.EmailAddresses) == 1 && len(c.IPAddresses) == 1
			}},
		"twice the same": {func(t *certtest.TBS) { t.Extensions = append(t.Extensions, *t.Extension(15)) }, "more than once",
			func(x *x509.Certificate) bool { return x.KeyUsage == c.KeyUsage }},
		"private, twice": {func(t *certtest.TBS) {
			for _, v := range []string{"\x05\x00", "\x0c\x00"} {
				add(extension(asn1.ObjectIdentifier{1, 2, 3}, 0, v))(t)
			}
		}, "more than once", func(x *x509.Certificate) bool { return len(x.Extensions) == len(c.Extensions)+2 }},
	} {
		t.Run(name, func(t *testing.T) {
			der := ca.Odd(t, c, tc.edit)
			if _, err := x509.ParseCertificate(der); err == nil {
				t.Fatal("this is not odd")
			}
			got, err := certificate.Parse(der)
			if err != nil {
				t.Fatal(err)
			}
			odd := strings.Join(certificate.Oddities(got), "; ")
			if !strings.Contains(odd, tc.oddity) || !tc.holds(got) {
				t.Errorf("%q: %s from %s", odd, got.Subject, got.Issuer)
			}
			if !bytes.Equal(got.Raw, der) || got.CheckSignatureFrom(ca.Certificate) != nil {
				t.Error("its signature does not hold any more")
			}
		})
	}
}

// What refuses a certificate, however much is tolerated.
func TestRefused(t *testing.T) {
	ca, c := good(t)
	for name, edit := range map[string]func(*certtest.TBS){
		"no date":      func(t *certtest.TBS) { t.Validity = raw("\x30\x00") },
		"no notAfter":  func(t *certtest.TBS) { t.Validity = raw(tlv(0x30, tlv(0x17, "200101000000Z"))) },
		"no notBefore": func(t *certtest.TBS) { t.Validity = raw(tlv(0x30, tlv(0x17, ""), tlv(0x17, "490101000000Z"))) },
		"a third date": func(t *certtest.TBS) {
			t.Validity.FullBytes = []byte(tlv(0x30, strings.Repeat(tlv(0x18, "20200101000000.5Z"), 3)))
		},
		"key without NULL": func(t *certtest.TBS) {
			t.Key.FullBytes = bytes.Replace(t.Key.FullBytes, []byte("\x05\x00"), []byte("\x04\x00"), 1)
		},
		"version 4":             func(t *certtest.TBS) { t.Version = 3 },
		"serial of 65 octets":   func(t *certtest.TBS) { t.Serial = raw("\x02\x41\xff" + strings.Repeat("x", 64)) },
		"bad key usage":         set(15, "\x03\x03xx"),
		"bad basic constraints": set(19, "\x30\x03\x01\x01\x01"),
		"bad name constraints":  set(30, tlv(0x30, tlv(0xa0, tlv(0x30, tlv(0x86, "10.0.0.1"))))),
		"bad extended usage":    set(37, "\x30\x03\x06\x01\x80"),
		"bad mappings":          set(33, "\x30\x02\x30\x00"),
		"bad constraints":       set(36, "\x30\x03\x80\x01"),
		"bad inhibition":        set(54, "\x04\x00"),
		"names out of joint":    set(17, "\x30\x04\x81\x05ab"),
		"two key usages": func(t *certtest.TBS) {
			add(extension(standard(15), 0, "\x03\x02\x05\xa0"))(t)
			add(extension(standard(15), 0, "\x03\x02\x05\x80"))(t)
		},
		"two sets of names": add(extension(standard(17), 0, tlv(0x30, tlv(0x81, "desk@h.example")))),
		"two points":        add(extension(standard(31), 0, "\x30\x00")),
		"name out of joint": func(t *certtest.TBS) { t.Subject = raw("\x30\x02\x31\x05") },
		"many extensions": func(t *certtest.TBS) {
			t.Serial = raw("\x02\x01\xff")
			for i := range 100 {
				add(extension(asn1.ObjectIdentifier{1, 2, 3, i}, 0, ""))(t)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			der := ca.Odd(t, c, edit)
			if got, err := certificate.Parse(der); err == nil {
				t.Errorf("read, and odd: %q", certificate.Oddities(got))
			} else if !strings.HasPrefix(err.Error(), "certificate: x509") {
				t.Error(err)
			}
		})
	}
	der := ca.Odd(t, c, func(t *certtest.TBS) { t.Serial = raw("\x02\x01\xff") })
	if _, err := certificate.Parse(append(der, 0)); err == nil {
		t.Error("bytes after the end")
	}
	if odd := certificate.Oddities(c); odd != nil {
		t.Errorf("nothing is odd about %q", odd)
	}
}
