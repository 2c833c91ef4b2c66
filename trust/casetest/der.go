package casetest

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"strconv"
	"strings"
)

// attributes are the types of names, as RFC 4514 and RFC 5280 §4.1.2.4 abbreviate them.
var attributes = map[string]asn1.ObjectIdentifier{
	"CN": {2, 5, 4, 3}, "SN": {2, 5, 4, 4}, "serialNumber": {2, 5, 4, 5}, "C": {2, 5, 4, 6}, "L": {2, 5, 4, 7}, "ST": {2, 5, 4, 8},
	"O": {2, 5, 4, 10}, "OU": {2, 5, 4, 11}, "title": {2, 5, 4, 12}, "GN": {2, 5, 4, 42}, "initials": {2, 5, 4, 43},
	"generation": {2, 5, 4, 44}, "qualifier": {2, 5, 4, 46}, "pseudonym": {2, 5, 4, 65}, "DC": {0, 9, 2342, 19200300, 100, 1, 25},
	"E": {1, 2, 840, 113549, 1, 9, 1},
}

// dn reads "C=US,O=North_Clinic,CN/utf8=R": RDNs in the order of DER, a blank written as "_", a string type after "/"; "A=x+B=y" is
// one RDN with two attributes.
func (b *builder) dn(s string) []byte {
	out := ""
	for rdn := range strings.SplitSeq(s, ",") {
		set := ""
		for a := range strings.SplitSeq(rdn, "+") {
			key, value, _ := strings.Cut(a, "=")
			key, kind, _ := strings.Cut(key, "/")
			id, ok := attributes[key]
			if !ok {
				b.Fatalf("no attribute %q", key)
			}
			set += tlv(0x30, string(b.der(id))+b.text(key, kind, strings.ReplaceAll(value, "_", " ")))
		}
		out += tlv(0x31, set)
	}
	return []byte(tlv(0x30, out))
}

func (b *builder) text(key, kind, value string) string {
	switch {
	case kind == "utf8":
		return tlv(asn1.TagUTF8String, value)
	case kind == "t61":
		return tlv(asn1.TagT61String, value)
	case kind == "bmp":
		wide := ""
		for _, r := range value {
			wide += string([]byte{byte(r >> 8), byte(r)})
		}
		return tlv(asn1.TagBMPString, wide)
	case key == "E", key == "DC":
		return tlv(asn1.TagIA5String, value)
	}
	return tlv(asn1.TagPrintableString, value)
}

// resign changes parts of a certificate's tbsCertificate and signs it again; SHA-256 only.
func (w *World) resign(der []byte, key crypto.Signer, patches map[int]func([]byte) []byte) []byte {
	w.Helper()
	var outer, tbs []asn1.RawValue
	w.parse(der, &outer)
	w.parse(outer[0].FullBytes, &tbs)
	contents := ""
	for i, part := range tbs {
		if patch := patches[i]; patch != nil {
			part.FullBytes = patch(part.FullBytes)
		}
		contents += string(part.FullBytes)
	}
	signed := []byte(tlv(0x30, contents))
	sum := sha256.Sum256(signed)
	input, hash := sum[:], crypto.SHA256
	if _, ok := key.(ed25519.PrivateKey); ok {
		input, hash = signed, crypto.Hash(0)
	}
	signature, err := key.Sign(rand.Reader, input, hash)
	if err != nil {
		w.Fatal(err)
	}
	return []byte(tlv(0x30, string(signed)+string(outer[1].FullBytes)+string(w.der(asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}))))
}

func (w *World) parse(der []byte, into any) {
	w.Helper()
	if _, err := asn1.Unmarshal(der, into); err != nil {
		w.Fatal(err)
	}
}

func (w *World) der(v any) []byte {
	w.Helper()
	out, err := asn1.Marshal(v)
	if err != nil {
		w.Fatal(err)
	}
	return out
}

func (w *World) number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		w.Fatal(err)
	}
	return n
}

// arcs reads an OID; "1" to "9" are test policies of their own.
func (w *World) arcs(s string) (id asn1.ObjectIdentifier) {
	if len(s) == 1 {
		s = "1.3.6.1.4.1.55555." + s
	}
	if s == "any" {
		s = "2.5.29.32.0"
	}
	for arc := range strings.SplitSeq(s, ".") {
		id = append(id, w.number(arc))
	}
	return id
}

func (w *World) oid(s string) x509.OID {
	id, err := x509.ParseOID(w.arcs(s).String())
	if err != nil {
		w.Fatal(err)
	}
	return id
}

// extendNow adds id-ce n to a template that is about to be signed.
func (b *builder) extendNow(c *x509.Certificate, critical bool, value string, n int) {
	c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, n}, Critical: critical, Value: []byte(value)})
}
