package policy

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net/netip"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

// generalNames writes names of RFC 5280 §4.2.1.6 with their kind before them. Kinds without a common way of writing are left out.
func generalNames(value []byte) (all []string) {
	s := cryptobyte.String(value)
	if !s.ReadASN1(&s, der.SEQUENCE) {
		return nil
	}
	for !s.Empty() {
		var content cryptobyte.String
		var tag der.Tag
		if !s.ReadAnyASN1(&content, &tag) {
			return all
		}
		switch tag {
		case der.Tag(1).ContextSpecific():
			all = append(all, "rfc822:"+string(content))
		case der.Tag(2).ContextSpecific():
			all = append(all, "dns:"+string(content))
		case der.Tag(6).ContextSpecific():
			all = append(all, "uri:"+string(content))
		case der.Tag(7).ContextSpecific():
			if ip, ok := netip.AddrFromSlice(content); ok {
				all = append(all, "ip:"+ip.String())
			}
		case der.Tag(4).ContextSpecific().Constructed():
			var name pkix.RDNSequence
			if rest, err := asn1.Unmarshal(content, &name); err == nil && len(rest) == 0 {
				all = append(all, "directory:"+name.String())
			}
		}
	}
	return all
}

// identifiers reads a SEQUENCE OF OBJECT IDENTIFIER.
func identifiers(value []byte) (all []string) {
	s := cryptobyte.String(value)
	if !s.ReadASN1(&s, der.SEQUENCE) {
		return nil
	}
	for !s.Empty() {
		var id asn1.ObjectIdentifier
		if !s.ReadASN1ObjectIdentifier(&id) {
			return all
		}
		all = append(all, id.String())
	}
	return all
}

// practiceStatements reads the CPS pointers of certificate policies (RFC 5280 §4.2.1.4).
func practiceStatements(value []byte) (all []string) {
	s := cryptobyte.String(value)
	if !s.ReadASN1(&s, der.SEQUENCE) {
		return nil
	}
	for !s.Empty() {
		var policy, qualifiers cryptobyte.String
		if !s.ReadASN1(&policy, der.SEQUENCE) || !policy.SkipASN1(der.OBJECT_IDENTIFIER) {
			return all
		}
		if policy.Empty() || !policy.ReadASN1(&qualifiers, der.SEQUENCE) {
			continue
		}
		for !qualifiers.Empty() {
			var one, id, text cryptobyte.String
			if !qualifiers.ReadASN1(&one, der.SEQUENCE) || !one.ReadASN1(&id, der.OBJECT_IDENTIFIER) {
				return all
			}
			if bytes.Equal(id, []byte("\x2b\x06\x01\x05\x05\x07\x02\x01")) && one.ReadASN1(&text, der.IA5String) { // id-qt-cps
				all = append(all, string(text))
			}
		}
	}
	return all
}
