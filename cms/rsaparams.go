package cms

import (
	"crypto"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// The parameters of RSASSA-PSS and RSAES-OAEP (RFC 4055 §3.1, §4.1). Both begin with a digest and a mask generation function, each
// SHA-1 where it is absent, and end with a field of their own. A default that is written out is read like one that is not.

// parsePSS reads RSASSA-PSS-params, which RFC 4056 §3 demands; the zero scheme is the answer to everything else. Both digests must
// be the same (RFC 8017 §8.1 recommends it). No salt at all is refused: crypto/rsa cannot be asked to insist on that.
func parsePSS(params []byte) scheme {
	seq, digest, mask, ok := digestAndMask(params)
	if !ok || digest != mask {
		return scheme{}
	}
	salt, trailer := 20, 1 // the defaults
	if c, present, ok := field(&seq, 2); !ok || present && (!c.ReadASN1Integer(&salt) || !c.Empty()) {
		return scheme{}
	}
	if c, present, ok := field(&seq, 3); !ok || present && (!c.ReadASN1Integer(&trailer) || !c.Empty()) {
		return scheme{}
	}
	if salt < 1 || salt > maxRSABits/8 || trailer != 1 || !seq.Empty() {
		return scheme{}
	}
	return scheme{RSAPSS, digest, salt}
}

// parseOAEP reads RSAES-OAEP-params and returns its digest and that of the mask, which may differ. The label must be empty.
func parseOAEP(params []byte) (digest, mask Algorithm, ok bool) {
	seq, digest, mask, ok := digestAndMask(params)
	if !ok {
		return 0, 0, false
	}
	c, present, ok := field(&seq, 2)
	if !ok || !seq.Empty() {
		return 0, 0, false
	}
	if present {
		var content, label cryptobyte.String
		if !c.ReadASN1(&content, asn1.SEQUENCE) || !c.Empty() {
			return 0, 0, false
		}
		a, err := parseAlgorithm(content)
		source := cryptobyte.String(a.params)
		if err != nil || a.oid != oidPSpecified || !source.ReadASN1(&label, asn1.OCTET_STRING) || !source.Empty() || len(label) > 0 {
			return 0, 0, false
		}
	}
	return digest, mask, true
}

// digestAndMask reads what both begin with; rest is what comes after. Parameters that are absent altogether are not ok.
func digestAndMask(params []byte) (rest cryptobyte.String, digest, mask Algorithm, ok bool) {
	s := cryptobyte.String(params)
	if !s.ReadASN1(&rest, asn1.SEQUENCE) || !s.Empty() {
		return nil, 0, 0, false
	}
	digest, mask = SHA1, SHA1
	c, present, ok := field(&rest, 0)
	if present {
		digest = hashIdentifier(&c)
	}
	if !ok || !c.Empty() || digest == 0 {
		return nil, 0, 0, false
	}
	if c, present, ok = field(&rest, 1); present {
		mask = maskIdentifier(&c)
	}
	if !ok || !c.Empty() || mask == 0 {
		return nil, 0, 0, false
	}
	return rest, digest, mask, true
}

// field reads [n] EXPLICIT, if it is there.
func field(seq *cryptobyte.String, n asn1.Tag) (content cryptobyte.String, present, ok bool) {
	ok = seq.ReadOptionalASN1(&content, &present, n.ContextSpecific().Constructed())
	return content, present, ok
}

// hashIdentifier reads the AlgorithmIdentifier of a digest, 0 for others. RFC 4055 §2.1: NULL and absent are the same.
func hashIdentifier(s *cryptobyte.String) Algorithm {
	var content cryptobyte.String
	if !s.ReadASN1(&content, asn1.SEQUENCE) {
		return 0
	}
	a, err := parseAlgorithm(content)
	if err != nil || !a.noParams() {
		return 0
	}
	return digestOf(a.oid)
}

// maskIdentifier reads the AlgorithmIdentifier of MGF1 and returns its digest, 0 for others.
func maskIdentifier(s *cryptobyte.String) Algorithm {
	var content cryptobyte.String
	if !s.ReadASN1(&content, asn1.SEQUENCE) {
		return 0
	}
	a, err := parseAlgorithm(content)
	if err != nil || a.oid != oidMGF1 {
		return 0
	}
	params := cryptobyte.String(a.params)
	digest := hashIdentifier(&params)
	if !params.Empty() {
		return 0
	}
	return digest
}

// addPSS writes RSASSA-PSS-params with a salt as long as h, and the trailer left out (RFC 4055 §3.1).
func addPSS(b *cryptobyte.Builder, h crypto.Hash) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		addDigestAndMask(b, hashOID(h))
		addField(b, 2, func(b *cryptobyte.Builder) { b.AddASN1Int64(int64(h.Size())) })
	})
}

// addDigestAndMask writes a digest other than SHA-1, and MGF1 with the same. RFC 4055 §2.1: with NULL.
func addDigestAndMask(b *cryptobyte.Builder, digest oid) {
	hash := func(b *cryptobyte.Builder) {
		addAlgorithm(b, digest, func(b *cryptobyte.Builder) { b.AddASN1NULL() })
	}
	addField(b, 0, hash)
	addField(b, 1, func(b *cryptobyte.Builder) { addAlgorithm(b, oidMGF1, hash) })
}

func addField(b *cryptobyte.Builder, n asn1.Tag, add func(b *cryptobyte.Builder)) {
	b.AddASN1(n.ContextSpecific().Constructed(), add)
}
