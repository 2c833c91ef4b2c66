package certificate_test

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"reflect"
	"slices"
	"testing"

	"carepost/certificate"
	"carepost/trust/certtest"
)

// Whatever comes in: what crypto/x509 takes is taken as it is, and of what is mended every field that decides comes from the certificate
// itself, as another reader sees it.
func FuzzParse(f *testing.F) {
	ca, c := good(f)
	f.Add(c.Raw)
	f.Add(ca.Certificate.Raw)
	for _, edit := range []func(*certtest.TBS){
		func(t *certtest.TBS) { t.Serial = raw("\x02\x01\xff") },
		func(t *certtest.TBS) { t.Subject = raw(attribute(emailAddress, 0x13, "lab@h.example")) },
		set(17, tlv(0x30, tlv(0x81, "lab@h.example"), url("http://a b:c"))),
		set(31, tlv(0x30, tlv(0x30, tlv(0xa0, tlv(0xa0, url("http://r.example/1")))), tlv(0x30, "\xa0\x02\x05\x00"))),
		add(extension(standard(32), 0xff, "\x30\x05")),
	} {
		f.Add(ca.Odd(f, c, edit))
	}
	f.Fuzz(func(t *testing.T, der []byte) { differ(t, der) })
}

// differ reads der in both ways and says whether it had to be mended.
func differ(t *testing.T, der []byte) (mended bool) {
	before := bytes.Clone(der)
	c, err := certificate.Parse(der)
	if !bytes.Equal(before, der) {
		t.Fatal("the input was written to")
	}
	strict, no := x509.ParseCertificate(der)
	if no == nil {
		if err != nil || !reflect.DeepEqual(c, strict) || certificate.Oddities(c) != nil {
			t.Fatal("not what crypto/x509 makes of it")
		}
		return false
	}
	if err == nil {
		compare(t, c)
	}
	return err == nil
}

// Every octet of a certificate of an authority and of a person, changed in some ways.
func TestEveryOctet(t *testing.T) {
	ca, c := good(t)
	constrained := ca.Intermediate(t, "I", func(c *x509.Certificate) {
		c.PermittedEmailAddresses, c.MaxPathLen, c.PermittedDNSDomains = []string{"h.example"}, 1, []string{"h.example"}
	}).Certificate
	mended := 0
	for _, der := range [][]byte{c.Raw, constrained.Raw} {
		for i, was := range der {
			for _, b := range []byte{was ^ 1, was ^ 0x80, was ^ 0x20, 0, 0xff} {
				if der[i] = b; differ(t, der) {
					mended++
				}
			}
			der[i] = was
		}
	}
	if mended == 0 {
		t.Error("nothing was mended")
	}
	t.Logf("%d mended", mended)
}

// compare looks at a mended certificate with encoding/asn1.
func compare(t *testing.T, c *x509.Certificate) {
	if odd := certificate.Oddities(c); len(odd) == 0 || len(odd) > 32 {
		t.Fatalf("%d oddities", len(odd))
	}
	var outer struct {
		TBS, Algorithm asn1.RawValue
		Signature      asn1.BitString
	}
	if _, err := asn1.Unmarshal(c.Raw, &outer); err != nil || !bytes.Equal(outer.TBS.FullBytes, c.RawTBSCertificate) ||
		!bytes.Equal(outer.Signature.RightAlign(), c.Signature) {
		t.Fatal("another certificate: ", err)
	}
	var fields []asn1.RawValue
	if _, err := asn1.Unmarshal(c.RawTBSCertificate, &fields); err != nil {
		t.Fatal(err)
	}
	if fields[0].Class != asn1.ClassContextSpecific { // version 1
		fields = slices.Insert(fields, 0, asn1.RawValue{})
	}
	for i, want := range map[int][]byte{3: c.RawIssuer, 5: c.RawSubject, 6: c.RawSubjectPublicKeyInfo} {
		if !bytes.Equal(fields[i].FullBytes, want) {
			t.Fatalf("field %d is another", i)
		}
	}
	if key, err := x509.ParsePKIXPublicKey(fields[6].FullBytes); err == nil && !reflect.DeepEqual(key, c.PublicKey) {
		t.Fatal("another key")
	}
	// What decides about an authority, its constraints and the use of a key is read by x509 out of the very extension that is there.
	for _, e := range c.Extensions {
		if !slices.ContainsFunc([]int{15, 19, 30, 33, 36, 37, 54}, func(n int) bool { return e.Id.Equal(standard(n)) }) {
			continue
		}
		alone := host(t, e)
		for _, same := range []bool{
			!e.Id.Equal(standard(15)) || alone.KeyUsage == c.KeyUsage,
			!e.Id.Equal(standard(19)) || alone.IsCA == c.IsCA && alone.MaxPathLen == c.MaxPathLen && c.BasicConstraintsValid,
			!e.Id.Equal(standard(30)) || reflect.DeepEqual(alone.PermittedEmailAddresses, c.PermittedEmailAddresses) &&
				reflect.DeepEqual(alone.ExcludedEmailAddresses, c.ExcludedEmailAddresses) && reflect.DeepEqual(alone.PermittedDNSDomains, c.PermittedDNSDomains),
			!e.Id.Equal(standard(36)) || alone.RequireExplicitPolicy == c.RequireExplicitPolicy,
			!e.Id.Equal(standard(54)) || alone.InhibitAnyPolicy == c.InhibitAnyPolicy,
			!e.Id.Equal(standard(37)) || reflect.DeepEqual(alone.ExtKeyUsage, c.ExtKeyUsage),
		} {
			if !same {
				t.Fatalf("the extension %v says something else", e.Id)
			}
		}
	}
}

// host is a certificate with one extension of another.
func host(t *testing.T, e pkix.Extension) *x509.Certificate {
	list, err := asn1.Marshal([]pkix.Extension{e})
	if err != nil {
		t.Fatal(err)
	}
	exts := append([]byte{}, 0xa3, 0x83, byte(len(list)>>16), byte(len(list)>>8), byte(len(list)))
	if len(list) < 128 {
		exts = []byte{0xa3, byte(len(list))}
	} else if len(list) < 256 {
		exts = []byte{0xa3, 0x81, byte(len(list))}
	} else if len(list) < 65536 {
		exts = []byte{0xa3, 0x82, byte(len(list) >> 8), byte(len(list))}
	}
	parts := []asn1.RawValue{raw("\xa0\x03\x02\x01\x02"), raw("\x02\x01\x01"), raw("\x30\x03\x06\x01\x2a"), raw("\x30\x00"),
		raw("\x30\x1e\x17\x0d000101000000Z\x17\x0d000101000000Z"), raw("\x30\x00"), raw("\x30\x08\x30\x03\x06\x01\x2a\x03\x01\x00"), raw(string(exts) + string(list))}
	tbs, err := asn1.Marshal(parts)
	if err != nil {
		t.Fatal(err)
	}
	der, err := asn1.Marshal([]asn1.RawValue{raw(string(tbs)), raw("\x30\x03\x06\x01\x2a"), raw("\x03\x01\x00")})
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatalf("what x509 does not read was read: %v", err)
	}
	return c
}

func FuzzParseAll(f *testing.F) {
	_, c := good(f)
	f.Add(c.Raw)
	f.Add(bundle(indefinite, c.Raw))
	f.Add(bundle(long, c.Raw))
	f.Add(armour("CERTIFICATE", c.Raw))
	f.Fuzz(func(t *testing.T, body []byte) {
		certs, err := certificate.ParseAll(body)
		if (err == nil) == (len(certs) == 0) || len(certs) > 2000 {
			t.Fatalf("%d certificates: %v", len(certs), err)
		}
	})
}
