package cms

import (
	"bytes"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// wellFormedDER says whether b is one or more complete DER encodings (X.690 §10), at most depth deep. Order within sets is
// not looked at, since SET and SET OF have different ones.
func wellFormedDER(b []byte, depth int) error {
	ends := make([]int, 0, depth)
	for off, end := 0, len(b); ; {
		for off == end && len(ends) > 0 {
			end, ends = ends[len(ends)-1], ends[:len(ends)-1]
		}
		if off == end {
			return nil
		}
		s := cryptobyte.String(b[off:end])
		var content cryptobyte.String
		var tag asn1.Tag
		whole := len(s)
		if !s.ReadAnyASN1(&content, &tag) {
			return syntax("no DER")
		}
		next := off + whole - len(s)
		if !plausible(byte(tag), content) {
			return syntax("no DER")
		}
		if byte(tag)&constructed == 0 {
			off = next
			continue
		}
		if len(ends) == depth {
			return limit("depth")
		}
		ends = append(ends, end)
		off, end = next-len(content), next
	}
}

// plausible applies what X.690 §10 and §8 say of a single universal type.
func plausible(tag byte, content []byte) bool {
	if tag >= 0x40 { // not universal
		return true
	}
	switch tag &^ constructed {
	case tagSequence &^ constructed, tagSet &^ constructed, 8, 11: // EXTERNAL, EMBEDDED PDV
		return tag&constructed != 0
	case tagEOC:
		return false
	case tagBoolean:
		return tag == tagBoolean && len(content) == 1 && (content[0] == 0 || content[0] == 0xff)
	case tagInteger:
		minimal := len(content) == 1 || len(content) > 1 &&
			(content[0] != 0 || content[1] >= 0x80) && (content[0] != 0xff || content[1] < 0x80)
		return tag == tagInteger && minimal
	}
	return tag&constructed == 0 // X.690 §10.2: strings are primitive
}

// setOf splits the content of a SET OF in DER: at most max elements, in the order of X.690 §11.6. That order pads the shorter
// encoding with zero octets; no complete encoding begins another one, so it is the order of bytes.Compare.
func setOf(content []byte, max int) (all [][]byte, ok bool) {
	s := cryptobyte.String(content)
	for !s.Empty() {
		var e cryptobyte.String
		var tag asn1.Tag
		if len(all) == max || !s.ReadAnyASN1Element(&e, &tag) {
			return nil, false
		}
		if len(all) > 0 && bytes.Compare(all[len(all)-1], e) > 0 {
			return nil, false
		}
		all = append(all, e)
	}
	return all, true
}

// algorithmIdentifier is RFC 5652 §10.1.1's, in DER.
type algorithmIdentifier struct {
	oid    oid
	params []byte // one whole encoding, nil when absent
}

// noParams says that parameters are absent or NULL.
func (a algorithmIdentifier) noParams() bool {
	return len(a.params) == 0 || string(a.params) == "\x05\x00"
}

// equal compares as RFC 6211 §2 asks, with absent and NULL the same (RFC 5754 §2 wants both accepted).
func (a algorithmIdentifier) equal(b algorithmIdentifier) bool {
	return a.oid == b.oid && (a.noParams() && b.noParams() || bytes.Equal(a.params, b.params))
}

// parseAlgorithm reads the content of an AlgorithmIdentifier.
func parseAlgorithm(content []byte) (a algorithmIdentifier, err error) {
	s := cryptobyte.String(content)
	var id, params cryptobyte.String
	var tag asn1.Tag
	if !s.ReadASN1(&id, asn1.OBJECT_IDENTIFIER) {
		return a, syntax("algorithm identifier")
	}
	if a.oid, err = parseOID(id); err != nil {
		return a, err
	}
	if s.Empty() {
		return a, nil
	}
	if !s.ReadAnyASN1Element(&params, &tag) || !s.Empty() {
		return a, syntax("algorithm identifier")
	}
	a.params = params
	return a, wellFormedDER(params, 8)
}
