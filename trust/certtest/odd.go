package certtest

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"testing"
)

// TBS is a TBSCertificate (RFC 5280 §4.1) whose parts an edit may replace by anything, for certificates that crypto/x509 would not
// make.
type TBS struct {
	Version    int // 2 is version 3
	Serial     asn1.RawValue
	Algorithm  asn1.RawValue
	Issuer     asn1.RawValue
	Validity   asn1.RawValue
	Subject    asn1.RawValue
	Key        asn1.RawValue
	Extensions []Extension
}

// Extension is one of RFC 5280 §4.2. Critical is its flag as it is encoded; 0 leaves it out.
type Extension struct {
	ID       asn1.ObjectIdentifier
	Critical byte
	Value    []byte
}

// Extension finds one by the last number of 2.5.29.n; nil if there is none.
func (t *TBS) Extension(last int) *Extension {
	for i, e := range t.Extensions {
		if e.ID.Equal(asn1.ObjectIdentifier{2, 5, 29, last}) {
			return &t.Extensions[i]
		}
	}
	return nil
}

// Odd signs c anew after an edit of its parts. ca has an ECDSA key on P-256. What comes out may be nothing that any parser takes.
func (ca *CA) Odd(tb testing.TB, c *x509.Certificate, edit func(*TBS)) []byte {
	tb.Helper()
	var fields struct {
		Version                                                   int `asn1:"explicit,tag:0"`
		Serial, Algorithm, Issuer, Validity, Subject, Key, Others asn1.RawValue
	}
	_, err := asn1.Unmarshal(c.RawTBSCertificate, &fields)
	must(tb, err)
	t := TBS{fields.Version, fields.Serial, fields.Algorithm, fields.Issuer, fields.Validity, fields.Subject, fields.Key, nil}
	for _, e := range c.Extensions {
		flag := byte(0)
		if e.Critical {
			flag = 0xff
		}
		t.Extensions = append(t.Extensions, Extension{e.Id, flag, e.Value})
	}
	edit(&t)
	fields.Version, fields.Serial, fields.Algorithm, fields.Issuer = t.Version, t.Serial, t.Algorithm, t.Issuer
	fields.Validity, fields.Subject, fields.Key, fields.Others = t.Validity, t.Subject, t.Key, t.extensions(tb)
	tbs, err := asn1.Marshal(fields)
	must(tb, err)
	digest := sha256.Sum256(tbs)
	signature, err := ca.Key.Sign(rand.Reader, digest[:], crypto.SHA256)
	must(tb, err)
	der, err := asn1.Marshal(struct {
		TBS, Algorithm asn1.RawValue
		Signature      asn1.BitString
	}{asn1.RawValue{FullBytes: tbs}, t.Algorithm, asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}})
	must(tb, err)
	return der
}

func (t *TBS) extensions(tb testing.TB) asn1.RawValue {
	var list []byte
	for _, e := range t.Extensions {
		id, err := asn1.Marshal(e.ID)
		must(tb, err)
		if e.Critical != 0 {
			id = append(id, 1, 1, e.Critical)
		}
		list = append(list, whole(tb, asn1.ClassUniversal, asn1.TagSequence, append(id, whole(tb, asn1.ClassUniversal, asn1.TagOctetString, e.Value)...))...)
	}
	return asn1.RawValue{FullBytes: whole(tb, asn1.ClassContextSpecific, 3, whole(tb, asn1.ClassUniversal, asn1.TagSequence, list))}
}

// whole is an element of any content.
func whole(tb testing.TB, class, tag int, content []byte) []byte {
	der, err := asn1.Marshal(asn1.RawValue{Class: class, Tag: tag, IsCompound: tag != asn1.TagOctetString, Bytes: content})
	must(tb, err)
	return der
}
