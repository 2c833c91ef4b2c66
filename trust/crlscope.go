package trust

import (
	"bytes"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// readExtensions obeys RFC 5280 §5.2: a critical extension that is not understood makes the list useless.
func (l *list) readExtensions() error {
	for _, e := range l.Extensions {
		switch {
		case e.Id.Equal(oidDeltaCRL):
			in := cryptobyte.String(e.Value)
			l.base = new(big.Int)
			if !in.ReadASN1Integer(l.base) || !in.Empty() {
				return errCRL
			}
		case e.Id.Equal(oidIssuingPoint):
			if err := l.scope.parse(e.Value, l.RawIssuer); err != nil {
				return err
			}
		case e.Id.Equal(oidFreshest):
			l.freshest = pointsOf(l.Extensions, oidFreshest, l.RawIssuer)
		case e.Id.Equal(oidCRLNumber), e.Id.Equal(oidAuthorityKey):
		case e.Critical:
			l.unusable = "it has a critical extension that is not understood"
		}
	}
	switch s := l.scope; {
	case s.indirect:
		l.unusable = "it is an indirect CRL"
	case s.attrsOnly:
		l.unusable = "it is for attribute certificates only"
	}
	return nil
}

func (s *scope) parse(der, issuer []byte) error {
	in := cryptobyte.String(der)
	var seq, name, some cryptobyte.String
	var hasReasons bool
	if !in.ReadASN1(&seq, asn1.SEQUENCE) || !in.Empty() ||
		!seq.ReadOptionalASN1(&name, &s.named, inside(0)) ||
		!readFlag(&seq, outside(1), &s.userOnly) || !readFlag(&seq, outside(2), &s.caOnly) ||
		!seq.ReadOptionalASN1(&some, &hasReasons, outside(3)) ||
		!readFlag(&seq, outside(4), &s.indirect) || !readFlag(&seq, outside(5), &s.attrsOnly) || !seq.Empty() {
		return errCRL
	}
	s.der, s.point = der, point{reasons: allReasons}
	if s.named && !s.point.parseName(name, issuer) || hasReasons && !s.point.reasons.parse(some) {
		return errCRL
	}
	return nil
}

// readFlag reads an IMPLICIT BOOLEAN DEFAULT FALSE.
func readFlag(s *cryptobyte.String, tag asn1.Tag, out *bool) bool {
	var v cryptobyte.String
	var present bool
	if !s.ReadOptionalASN1(&v, &present, tag) || present && len(v) != 1 {
		return false
	}
	*out = present && v[0] != 0
	return true
}

// updates says whether l is a delta CRL for base (RFC 5280 §5.2.4, §6.3.3 (c)): of the same issuer, key and scope, made from that list
// or an earlier one, and later than it.
func (l *list) updates(base *list) bool {
	return l.base != nil && base.base == nil && l.Number != nil && base.Number != nil &&
		bytes.Equal(l.RawIssuer, base.RawIssuer) && bytes.Equal(l.AuthorityKeyId, base.AuthorityKeyId) &&
		bytes.Equal(l.scope.der, base.scope.der) && base.Number.Cmp(l.base) >= 0 && base.Number.Cmp(l.Number) < 0
}
