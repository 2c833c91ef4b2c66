package trust

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	tags "golang.org/x/crypto/cryptobyte/asn1"
)

// reasons is a set of reasons for revocation, by the bits of ReasonFlags (RFC 5280 §4.2.1.13).
type reasons uint16

// allReasons are keyCompromise to aACompromise: bits 1 to 8.
const allReasons reasons = 0x1fe

// maxPoints bounds the distribution points that are read of one certificate or list.
const maxPoints = 32

// point is a DistributionPoint (RFC 5280 §4.2.1.13) or the point that a list is for (§5.2.5).
type point struct {
	urls     []string
	names    [][]byte // GeneralNames as DER, compared byte for byte
	reasons  reasons
	indirect bool // somebody else signs the list
}

// pointsOf reads the distribution points that a certificate names, or a list names for its deltas. What cannot be read names none:
// then nobody says that the certificate is good.
func pointsOf(extensions []extension, oid asn1.ObjectIdentifier, issuer []byte) (out []point) {
	for _, e := range extensions {
		if !e.Id.Equal(oid) {
			continue
		}
		der := cryptobyte.String(e.Value)
		var all cryptobyte.String
		if !der.ReadASN1(&all, tags.SEQUENCE) || !der.Empty() {
			return nil
		}
		for !all.Empty() && len(out) < maxPoints {
			var one cryptobyte.String
			var p point
			if !all.ReadASN1(&one, tags.SEQUENCE) || !p.parse(one, issuer) {
				return nil
			}
			out = append(out, p)
		}
	}
	return out
}

func (p *point) parse(in cryptobyte.String, issuer []byte) bool {
	var name, why, other cryptobyte.String
	var named, some bool
	if !in.ReadOptionalASN1(&name, &named, inside(0)) || !in.ReadOptionalASN1(&why, &some, outside(1)) ||
		!in.ReadOptionalASN1(&other, &p.indirect, inside(2)) || !in.Empty() {
		return false
	}
	if named && !p.parseName(name, issuer) {
		return false
	}
	if p.indirect && !named { // the point is that issuer's directory entry
		p.names = append(p.names, other)
	}
	p.reasons = allReasons
	return !some || p.reasons.parse(why)
}

// parseName reads a DistributionPointName. One that is relative to the issuer is made whole (RFC 5280 §4.2.1.13).
func (p *point) parseName(in cryptobyte.String, issuer []byte) bool {
	var full, relative cryptobyte.String
	switch {
	case in.PeekASN1Tag(inside(0)):
		if !in.ReadASN1(&full, inside(0)) || !in.Empty() {
			return false
		}
		for !full.Empty() && len(p.names) < maxPoints {
			var name, value cryptobyte.String
			var tag tags.Tag
			if !full.ReadAnyASN1Element(&name, &tag) {
				return false
			}
			p.names = append(p.names, name)
			if tag == outside(6) && name.ReadASN1(&value, tag) { // uniformResourceIdentifier
				p.urls = append(p.urls, string(value))
			}
		}
		return true
	case in.ReadASN1(&relative, inside(1)) && in.Empty():
		above := cryptobyte.String(issuer)
		var names cryptobyte.String
		if !above.ReadASN1(&names, tags.SEQUENCE) {
			return false
		}
		var b cryptobyte.Builder
		b.AddASN1(inside(4), func(b *cryptobyte.Builder) { // directoryName
			b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddBytes(names)
				b.AddASN1(tags.SET, func(b *cryptobyte.Builder) { b.AddBytes(relative) })
			})
		})
		whole, err := b.Bytes()
		p.names = append(p.names, whole)
		return err == nil
	}
	return false
}

// parse reads the contents of ReasonFlags.
func (r *reasons) parse(bits cryptobyte.String) bool {
	if len(bits) < 1 || len(bits) > 3 || bits[0] > 7 || len(bits) == 1 && bits[0] != 0 {
		return false
	}
	*r = 0
	for i := range 9 {
		if n := 1 + i/8; n < len(bits) && bits[n]&(0x80>>(i%8)) != 0 {
			*r |= 1 << i
		}
	}
	*r &= allReasons
	return true
}

// shares says that p and other have a name in common.
func (p point) shares(names [][]byte) bool {
	return slices.ContainsFunc(p.names, func(a []byte) bool {
		return slices.ContainsFunc(names, func(b []byte) bool { return bytes.Equal(a, b) })
	})
}

// crlPoints are the distribution points of c.
func crlPoints(c *x509.Certificate) []point { return pointsOf(c.Extensions, oidCRLPoints, c.RawIssuer) }

func inside(n uint8) tags.Tag  { return tags.Tag(n).ContextSpecific().Constructed() }
func outside(n uint8) tags.Tag { return tags.Tag(n).ContextSpecific() }
