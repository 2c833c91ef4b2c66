package certificate

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	encoding "encoding/asn1"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Extensions of RFC 5280 §4.2.1 and §4.2.2.
const (
	idNames  = "2.5.29.17"
	idPoints = "2.5.29.31"
	idAccess = "1.3.6.1.5.5.7.1.1"
)

// mendable is what an extension that may be mended is called; "": it may not be. hint says that it decides nothing.
func mendable(id string) (name string, hint bool) {
	switch id {
	case "2.5.29.14":
		return "subject key identifier", true
	case "2.5.29.35":
		return "authority key identifier", true
	case "2.5.29.18":
		return "issuer alternative name", true
	case "2.5.29.9":
		return "subject directory attributes", true
	case "2.5.29.32":
		return "certificate policies", false
	case idPoints:
		return "CRL distribution points", false
	case idAccess:
		return "authority information access", false
	case idNames:
		return "subject alternative name", false
	}
	return "", false
}

// extensions mends the [3] of a certificate extension by extension.
func (r *repair) extensions(to *[]byte) bool {
	if len(*to) == 0 {
		return true
	}
	s := cryptobyte.String(*to)
	if !s.ReadASN1(&s, context(3).Constructed()) || !s.ReadASN1(&s, asn1.SEQUENCE) {
		return false
	}
	var seen []pkix.Extension
	var out []byte
	for !s.Empty() {
		var content cryptobyte.String
		if !s.ReadASN1(&content, asn1.SEQUENCE) || len(seen) == maxExtensions {
			return false
		}
		e, ok := r.extension(content)
		if !ok {
			return false
		}
		first := slices.IndexFunc(seen, func(o pkix.Extension) bool { return o.Id.Equal(e.Id) })
		if seen = append(seen, e); first >= 0 {
			if !r.again(seen[first], e) {
				return false
			}
			continue
		}
		mended, ok := r.value(e)
		if !ok {
			return false
		}
		out = append(out, mended...)
	}
	*to = element(context(3).Constructed(), element(asn1.SEQUENCE, out))
	r.then(func(c *x509.Certificate) { c.Extensions = seen })
	return true
}

// extension reads the three fields. DER knows one TRUE; BER takes any octet but 0.
func (r *repair) extension(content cryptobyte.String) (e pkix.Extension, ok bool) {
	var value cryptobyte.String
	if !content.ReadASN1ObjectIdentifier(&e.Id) {
		return e, false
	}
	if content.PeekASN1Tag(asn1.BOOLEAN) {
		var flag cryptobyte.String
		if !content.ReadASN1(&flag, asn1.BOOLEAN) || len(flag) != 1 {
			return e, false
		}
		if e.Critical = flag[0] != 0; e.Critical && flag[0] != 0xff {
			r.odd("a critical flag is no Boolean of DER")
		}
	}
	ok = content.ReadASN1(&value, asn1.OCTET_STRING) && content.Empty()
	e.Value = value
	return e, ok
}

// again says whether an extension may stand there a second time (RFC 5280 §4.2: it must not).
func (r *repair) again(first, second pkix.Extension) bool {
	id := first.Id.String()
	r.odd("the extension " + id + " stands there more than once")
	same := first.Critical == second.Critical && bytes.Equal(first.Value, second.Value)
	_, hint := mendable(id)
	standard := strings.HasPrefix(id, "2.5.29.") || id == idAccess
	return same || !first.Critical && !second.Critical && (hint || !standard)
}

// value mends what one extension says, and returns it whole; nil if it is left out.
func (r *repair) value(e pkix.Extension) (_ []byte, ok bool) {
	if der := marshal(e); takes(nil, der) {
		return der, true
	}
	id := e.Id.String()
	name, _ := mendable(id)
	if name == "" {
		return nil, false
	}
	plain := e
	plain.Critical = false
	switch der := marshal(plain); {
	case id == idNames:
		return r.names(e)
	case e.Critical && takes(nil, der):
		r.odd("the " + name + " is marked critical")
		return der, true
	}
	r.odd("the " + name + " cannot be read")
	if e.Critical {
		r.then(func(c *x509.Certificate) { c.UnhandledCriticalExtensions = append(c.UnhandledCriticalExtensions, e.Id) })
	}
	if id != idPoints && id != idAccess {
		return nil, true
	}
	plain.Value = goodPart(plain)
	if id == idAccess { // it may have been a responder's: that there was one is not to be lost
		r.then(func(c *x509.Certificate) {
			if len(c.OCSPServer) == 0 {
				c.OCSPServer = []string{""}
			}
		})
	}
	return marshal(plain), true
}

// goodPart is what can be read of a SEQUENCE OF. What comes after the place where its elements cannot be told apart is lost, and what
// comes after maxParts of them.
func goodPart(e pkix.Extension) []byte {
	s, list := cryptobyte.String(e.Value), cryptobyte.String(nil)
	var good []byte
	if s.ReadASN1(&list, asn1.SEQUENCE) {
		for n := 0; n < maxParts && !list.Empty(); n++ {
			var one cryptobyte.String
			var tag asn1.Tag
			if !list.ReadAnyASN1Element(&one, &tag) {
				break
			}
			alone := e
			if alone.Value = element(asn1.SEQUENCE, one); takes(nil, marshal(alone)) {
				good = append(good, one...)
			}
		}
	}
	return element(asn1.SEQUENCE, good)
}

// names mends a subjectAltName: the names that cannot be read are put apart. Where names cannot be told apart it cannot be mended.
func (r *repair) names(e pkix.Extension) ([]byte, bool) {
	s, list := cryptobyte.String(e.Value), cryptobyte.String(nil)
	if !s.ReadASN1(&list, asn1.SEQUENCE) || !s.Empty() {
		return nil, false
	}
	var good []byte
	for n := 0; !list.Empty(); n++ {
		var whole, content cryptobyte.String
		var tag asn1.Tag
		if n == maxParts || !list.ReadAnyASN1Element(&whole, &tag) {
			return nil, false
		}
		one, alone := whole, e
		if alone.Value = element(asn1.SEQUENCE, whole); takes(nil, marshal(alone)) {
			good = append(good, whole...)
			continue
		}
		if !one.ReadASN1(&content, tag) {
			return nil, false
		}
		r.odd("a name of the subject alternative name cannot be read")
		r.then(func(c *x509.Certificate) { unreadable(c, tag, content) })
	}
	e.Value = element(asn1.SEQUENCE, good)
	return marshal(e), true
}

func marshal(e pkix.Extension) []byte {
	der, err := encoding.Marshal(e)
	if err != nil {
		return []byte{0} // no extension to anybody: nil would be one that is left out
	}
	return der
}
