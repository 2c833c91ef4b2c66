package keyring

import (
	"encoding/asn1"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

// open reads what stands in the open, and counts the rounds.
func (r *reading) open(data []byte) (*safe, error) {
	whole, err := definite(data)
	if err != nil {
		return nil, errShape()
	}
	in := cryptobyte.String(whole)
	var fields, content, inner cryptobyte.String
	var version int
	if !in.ReadASN1(&fields, der.SEQUENCE) || !fields.ReadASN1Integer(&version) {
		return nil, errShape()
	}
	id, content, ok := contentInfo(&fields)
	if !ok || !id.Equal(oidData) || !content.ReadASN1(&inner, der.OCTET_STRING) {
		return nil, unreadable("the PKCS #12 file is protected by a signature instead of a password: write it anew with a password")
	}
	s := &safe{authenticated: inner}
	if !fields.Empty() {
		s.mac = fields
		if err := r.mac(fields); err != nil {
			return nil, err
		}
	}
	if whole, err = definite(inner); err != nil {
		return nil, errShape()
	}
	inner = whole
	var list cryptobyte.String
	if !inner.ReadASN1(&list, der.SEQUENCE) {
		return nil, errShape()
	}
	for n := 0; !list.Empty(); n++ {
		id, content, ok := contentInfo(&list)
		if !ok || n == maxBags {
			return nil, errShape()
		}
		if err := r.content(s, id, content); err != nil {
			return nil, err
		}
	}
	return s, r.affordable()
}

// content reads one of the contents.
func (r *reading) content(s *safe, id asn1.ObjectIdentifier, content cryptobyte.String) error {
	if id.Equal(oidEncryptedData) {
		return r.encryptedData(s, content)
	}
	var octets cryptobyte.String
	if !id.Equal(oidData) || !content.ReadASN1(&octets, der.OCTET_STRING) {
		return errShape()
	}
	whole, err := definite(octets)
	if err != nil {
		return errShape()
	}
	return r.bags(s, whole)
}

// contentInfo reads the next ContentInfo (RFC 5652 §3): its type, and what is within the explicit tag.
func contentInfo(s *cryptobyte.String) (id asn1.ObjectIdentifier, content cryptobyte.String, ok bool) {
	var info cryptobyte.String
	ok = s.ReadASN1(&info, der.SEQUENCE) && info.ReadASN1ObjectIdentifier(&id) &&
		info.ReadASN1(&content, der.Tag(0).Constructed().ContextSpecific()) && info.Empty()
	return id, content, ok
}

// encryptedData reads EncryptedData (RFC 5652 §8), and counts its rounds.
func (r *reading) encryptedData(s *safe, content cryptobyte.String) error {
	var data, info, algorithm, inside, octets cryptobyte.String
	var version int
	var id asn1.ObjectIdentifier
	if !content.ReadASN1(&data, der.SEQUENCE) || !data.ReadASN1Integer(&version) || !data.ReadASN1(&info, der.SEQUENCE) ||
		!info.ReadASN1ObjectIdentifier(&id) || !info.ReadASN1Element(&algorithm, der.SEQUENCE) {
		return errShape()
	}
	var pieces []byte
	implicit := der.Tag(0).ContextSpecific()
	if info.PeekASN1Tag(implicit) {
		if !info.ReadASN1(&octets, implicit) {
			return errShape()
		}
		pieces = octets
	} else if !info.ReadASN1(&octets, implicit.Constructed()) {
		return errShape()
	} else {
		for !octets.Empty() { // in pieces: BER
			var piece cryptobyte.String
			if !octets.ReadASN1(&piece, der.OCTET_STRING) {
				return errShape()
			}
			pieces = append(pieces, piece...)
		}
	}
	s.encrypted = append(s.encrypted, sealed{algorithm, pieces})
	if whole := algorithm; !whole.ReadASN1(&inside, der.SEQUENCE) {
		return errShape()
	}
	return r.scheme(inside)
}

// bags sorts SafeContents (RFC 7292 §4.2), and counts the rounds of encrypted keys.
func (r *reading) bags(s *safe, contents cryptobyte.String) error {
	var list cryptobyte.String
	if !contents.ReadASN1(&list, der.SEQUENCE) {
		return errShape()
	}
	for !list.Empty() {
		var bag, fields, value, info, algorithm cryptobyte.String
		var id asn1.ObjectIdentifier
		if !list.ReadASN1Element(&bag, der.SEQUENCE) {
			return errShape()
		}
		whole := bag
		if !bag.ReadASN1(&fields, der.SEQUENCE) || !fields.ReadASN1ObjectIdentifier(&id) ||
			!fields.ReadASN1(&value, der.Tag(0).Constructed().ContextSpecific()) || len(s.keys)+len(s.certificates) == maxBags {
			return errShape()
		}
		switch {
		case id.Equal(oidShroudedBag):
			if !value.ReadASN1(&info, der.SEQUENCE) || !info.ReadASN1(&algorithm, der.SEQUENCE) {
				return errShape()
			}
			if err := r.scheme(algorithm); err != nil {
				return err
			}
			s.keys = append(s.keys, whole)
		case id.Equal(oidKeyBag):
			s.keys = append(s.keys, whole)
		case id.Equal(oidCertBag):
			var octets cryptobyte.String
			if !value.ReadASN1(&info, der.SEQUENCE) || !info.ReadASN1ObjectIdentifier(&id) || !info.ReadASN1(&value, der.Tag(0).Constructed().ContextSpecific()) ||
				!value.ReadASN1(&octets, der.OCTET_STRING) {
				return errShape()
			}
			if id.Equal(oidX509Bag) {
				s.certificates = append(s.certificates, octets)
			}
		}
	}
	if len(s.keys) > maxKeys {
		return unreadable("more than %d private keys in one PKCS #12 file: export them one after the other", maxKeys)
	}
	return nil
}
