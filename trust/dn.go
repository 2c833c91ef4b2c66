package trust

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// String types of names beside those that cryptobyte knows.
const (
	tagNumericString   = asn1.Tag(18)
	tagGraphicString   = asn1.Tag(25)
	tagVisibleString   = asn1.Tag(26)
	tagUniversalString = asn1.Tag(28)
	tagBMPString       = asn1.Tag(30)
)

// sameName compares two Names in DER as RFC 5280 §7.1 has it: without regard to string types, case, and how many blanks there are.
func sameName(a, b []byte) bool { return bytes.Equal(a, b) || canonical(a) == canonical(b) }

// canonical is a string that equal Names share (RFC 5280 §7.1). Something that is no Name equals itself alone.
func canonical(name []byte) string {
	rdns, _, ok := readName(name)
	if !ok {
		return "\x00" + string(name)
	}
	return "\x01" + strings.Join(rdns, "")
}

// beginsWith says whether the distinguished name lies in the subtree of base: it is base, or has further RDNs behind it (RFC 5280
// §4.2.1.10). !ok: one of them cannot be read, or is in letters that cannot be told: what is excluded could hide so.
func beginsWith(name, base []byte) (match, ok bool) {
	n, clear1, ok1 := readName(name)
	b, clear2, ok2 := readName(base)
	if !ok1 || !ok2 || !clear1 || !clear2 {
		return false, false
	}
	return len(n) >= len(b) && slices.Equal(n[:len(b)], b), true
}

// readName returns the RDNs of a Name, in a form that can be compared as bytes. !clear: a text among them cannot be decoded, and is compared
// as it is.
func readName(name []byte) (rdns []string, clear, ok bool) {
	clear = true
	s, list := cryptobyte.String(name), cryptobyte.String(nil)
	if !s.ReadASN1(&list, asn1.SEQUENCE) || !s.Empty() {
		return nil, false, false
	}
	for !list.Empty() {
		var set cryptobyte.String
		if !list.ReadASN1(&set, asn1.SET) {
			return nil, false, false
		}
		var attributes []string
		for !set.Empty() {
			var a, kind, value cryptobyte.String
			var tag asn1.Tag
			if !set.ReadASN1(&a, asn1.SEQUENCE) || !a.ReadASN1(&kind, asn1.OBJECT_IDENTIFIER) || !a.ReadAnyASN1(&value, &tag) {
				return nil, false, false
			}
			text, decoded := prepared(tag, value)
			clear = clear && (decoded || !isText(tag))
			attributes = append(attributes, framed(string(kind))+framed(text))
		}
		slices.Sort(attributes) // a SET: the order says nothing
		rdns = append(rdns, framed(strings.Join(attributes, "")))
	}
	return rdns, clear, true
}

// framed puts the length before s, so that what is joined stays apart.
func framed(s string) string {
	return string(binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(s)), uint32(len(s)))) + s
}

// prepared is an attribute value for comparison (RFC 4518 in the part that RFC 5280 §7.1 asks for): compatibility forms and cases are
// one, blanks at the ends do not count, and several blanks are one. What is no string is compared as it is.
func prepared(tag asn1.Tag, value []byte) (_ string, ok bool) {
	text, ok := decoded(tag, value)
	if !ok {
		return "#" + string(rune(tag)) + hex.EncodeToString(value), false
	}
	if ascii(text) {
		text = asciiLower(text)
	} else {
		text = norm.NFKC.String(cases.Fold().String(norm.NFKC.String(text)))
	}
	return "=" + strings.Join(strings.Fields(text), " "), true
}

// isText says that a type is a string type of X.680.
func isText(tag asn1.Tag) bool {
	return tag == asn1.UTF8String || tag >= tagNumericString && tag <= asn1.IA5String || tag >= tagGraphicString && tag <= tagBMPString
}

// decoded reads the string types of RFC 5280 §4.1.2.4, and those that software writes besides.
func decoded(tag asn1.Tag, value []byte) (string, bool) {
	switch tag {
	case asn1.PrintableString, asn1.IA5String, tagNumericString, tagVisibleString, asn1.UTF8String:
		return string(value), utf8.Valid(value)
	case asn1.T61String: // as everybody reads it
		runes := make([]rune, len(value))
		for i, b := range value {
			runes[i] = rune(b)
		}
		return string(runes), true
	case tagBMPString:
		units := make([]uint16, 0, len(value)/2)
		for i := 0; i+1 < len(value); i += 2 {
			units = append(units, binary.BigEndian.Uint16(value[i:]))
		}
		return string(utf16.Decode(units)), len(value)%2 == 0
	case tagUniversalString:
		runes := make([]rune, 0, len(value)/4)
		for i := 0; i+3 < len(value); i += 4 {
			runes = append(runes, rune(binary.BigEndian.Uint32(value[i:])))
		}
		return string(runes), len(value)%4 == 0
	}
	return "", false
}
