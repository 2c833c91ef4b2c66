package certificate

import (
	"crypto/x509"
	"encoding/hex"
	"slices"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// maxAttributes bounds the attributes of a name that is taken apart.
const maxAttributes = 200

// String types of X.680 that names are written in.
const (
	numericString   = asn1.Tag(18)
	videotexString  = asn1.Tag(21)
	graphicString   = asn1.Tag(25)
	visibleString   = asn1.Tag(26)
	universalString = asn1.Tag(28)
	bmpString       = asn1.Tag(30)
)

// name mends a Name (RFC 5280 §4.1.2.4) attribute by attribute. What was an attribute stays one: its text becomes a UTF8String.
func (r *repair) name(to *[]byte, which string) bool {
	if takes(*to, nil) {
		return true
	}
	s, rdns := cryptobyte.String(*to), cryptobyte.String(nil)
	if !s.ReadASN1(&rdns, asn1.SEQUENCE) {
		return false
	}
	var out []byte
	n := 0
	for !rdns.Empty() {
		var set cryptobyte.String
		if !rdns.ReadASN1(&set, asn1.SET) {
			return false
		}
		var mended []byte
		for !set.Empty() {
			var a cryptobyte.String
			if n++; n > maxAttributes || !set.ReadASN1Element(&a, asn1.SEQUENCE) {
				return false
			}
			one, ok := r.attribute(a, which)
			if !ok {
				return false
			}
			mended = append(mended, one...)
		}
		out = append(out, element(asn1.SET, mended)...)
	}
	*to = element(asn1.SEQUENCE, out)
	return true
}

func (r *repair) attribute(whole []byte, which string) ([]byte, bool) {
	if takes(element(asn1.SEQUENCE, element(asn1.SET, whole)), nil) {
		return whole, true
	}
	s := cryptobyte.String(whole)
	var content, kind, value cryptobyte.String
	var tag asn1.Tag
	if !s.ReadASN1(&content, asn1.SEQUENCE) || !content.ReadASN1Element(&kind, asn1.OBJECT_IDENTIFIER) ||
		!content.ReadAnyASN1(&value, &tag) || !content.Empty() {
		return nil, false
	}
	r.odd("an attribute of the " + which + " is in a wrong or bad string type")
	text := element(asn1.UTF8String, []byte(textOf(tag, value)))
	mended := element(asn1.SEQUENCE, slices.Concat(kind, text))
	return mended, takes(element(asn1.SEQUENCE, element(asn1.SET, mended)), nil)
}

// textOf reads a string that is not what its type says, as well as it can be: it is for people, and for comparisons that a text of
// doubtful reading is to fail.
func textOf(tag asn1.Tag, value []byte) string {
	switch tag {
	case asn1.PrintableString, asn1.UTF8String, asn1.IA5String, asn1.T61String, numericString, videotexString, graphicString, visibleString,
		asn1.GeneralString:
		if utf8.Valid(value) {
			return string(value)
		}
		runes := make([]rune, len(value))
		for i, b := range value {
			runes[i] = rune(b)
		}
		return string(runes)
	case bmpString:
		if len(value)%2 == 0 {
			units := make([]uint16, 0, len(value)/2)
			for i := 0; i < len(value); i += 2 {
				units = append(units, uint16(value[i])<<8|uint16(value[i+1]))
			}
			return string(utf16.Decode(units))
		}
	case universalString:
		if len(value)%4 == 0 {
			runes := make([]rune, 0, len(value)/4)
			for i := 0; i < len(value); i += 4 {
				runes = append(runes, rune(uint32(value[i])<<24|uint32(value[i+1])<<16|uint32(value[i+2])<<8|uint32(value[i+3])))
			}
			return string(runes)
		}
	}
	return "#" + hex.EncodeToString(value) // RFC 4514 §2.4
}

// takes asks crypto/x509 for its opinion of one name or one extension: it reads a certificate that has nothing else. nil is nothing.
func takes(name, extension []byte) bool {
	_, err := x509.ParseCertificate(assemble(probe(name, extension), []byte("\x30\x03\x06\x01\x2a\x03\x01\x00")))
	return err == nil
}

// probe is a certificate of that subject, or with that extension alone: version 3, and a key of an unknown kind, which x509 passes over.
func probe(name, extension []byte) parts {
	p := parts{
		version: []byte("\xa0\x03\x02\x01\x02"), serial: []byte("\x02\x01\x01"), algorithm: []byte("\x30\x03\x06\x01\x2a"),
		issuer: []byte("\x30\x00"), subject: []byte("\x30\x00"), validity: []byte("\x30\x1e\x17\x0d000101000000Z\x17\x0d000101000000Z"),
		key: []byte("\x30\x08\x30\x03\x06\x01\x2a\x03\x01\x00"),
	}
	if name != nil {
		p.subject = name
	}
	if extension != nil {
		p.extensions = element(context(3).Constructed(), element(asn1.SEQUENCE, extension))
	}
	return p
}
