package certificate

import (
	"crypto/x509"
	"math/big"
	"net"
	"net/url"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Limits of one odd certificate.
const (
	maxOddities   = 32  // more, and it is refused
	maxExtensions = 100 // of one that is taken apart
	maxParts      = 200 // names or places of one extension that is taken apart
	maxSerial     = 64  // octets; RFC 5280 §4.1.2.2 has 20
)

// mended is an odd certificate.
type mended struct {
	certificate *x509.Certificate
	oddities    []string
}

// parts are the fields of a TBSCertificate (RFC 5280 §4.1), each a whole element.
type parts struct {
	version, serial, algorithm, issuer, validity, subject, key, unique, extensions []byte
}

// repair is the state of mending one certificate.
type repair struct {
	oddities []string
	set      []func(*x509.Certificate) // what is put into the certificate once it is read
}

func (r *repair) odd(text string) {
	if !slices.Contains(r.oddities, text) {
		r.oddities = append(r.oddities, text)
	}
}

func (r *repair) then(f func(*x509.Certificate)) { r.set = append(r.set, f) }

// mend reads a certificate that crypto/x509 refuses; !ok: it cannot be mended.
func mend(der []byte) (_ mended, ok bool) {
	if len(der) > maxOdd {
		return mended{}, false
	}
	p, raw, signature, ok := split(der)
	if !ok {
		return mended{}, false
	}
	r := &repair{}
	was := p
	if !r.serial(&p.serial) || !r.name(&p.issuer, "issuer") || !r.name(&p.subject, "subject") || !r.dates(&p.validity) ||
		!r.extensions(&p.extensions) || len(r.oddities) == 0 || len(r.oddities) > maxOddities {
		return mended{}, false
	}
	c, err := x509.ParseCertificate(assemble(p, signature))
	if err != nil {
		return mended{}, false
	}
	c.Raw, c.RawTBSCertificate = der, raw
	c.RawIssuer, c.RawSubject = was.issuer, was.subject
	for _, f := range r.set {
		f(c)
	}
	return mended{c, r.oddities}, true
}

// split takes a certificate apart. raw is the TBSCertificate, and signature what follows it.
func split(der []byte) (p parts, raw, signature []byte, ok bool) {
	in, tbs := cryptobyte.String(der), cryptobyte.String(nil)
	if !in.ReadASN1(&in, asn1.SEQUENCE) || !in.ReadASN1Element(&tbs, asn1.SEQUENCE) {
		return p, nil, nil, false
	}
	var whole cryptobyte.String
	if s := cryptobyte.String(der); !s.ReadASN1Element(&whole, asn1.SEQUENCE) || !s.Empty() {
		return p, nil, nil, false
	}
	raw, signature = tbs, in
	if !tbs.ReadASN1(&tbs, asn1.SEQUENCE) {
		return p, nil, nil, false
	}
	optional := func(to *[]byte, tag asn1.Tag) bool {
		return !tbs.PeekASN1Tag(tag) || tbs.ReadASN1Element((*cryptobyte.String)(to), tag)
	}
	field := func(to *[]byte, tag asn1.Tag) bool { return tbs.ReadASN1Element((*cryptobyte.String)(to), tag) }
	ok = optional(&p.version, context(0).Constructed()) && field(&p.serial, asn1.INTEGER) && field(&p.algorithm, asn1.SEQUENCE) &&
		field(&p.issuer, asn1.SEQUENCE) && field(&p.validity, asn1.SEQUENCE) && field(&p.subject, asn1.SEQUENCE) && field(&p.key, asn1.SEQUENCE)
	var issuerID, subjectID []byte
	ok = ok && optional(&issuerID, context(1)) && optional(&subjectID, context(2)) && optional(&p.extensions, context(3).Constructed())
	p.unique = slices.Concat(issuerID, subjectID)
	return p, raw, signature, ok && tbs.Empty()
}

func context(n uint8) asn1.Tag { return asn1.Tag(n).ContextSpecific() }

func assemble(p parts, signature []byte) []byte {
	b := cryptobyte.NewBuilder(nil)
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, part := range [][]byte{p.version, p.serial, p.algorithm, p.issuer, p.validity, p.subject, p.key, p.unique, p.extensions} {
				b.AddBytes(part)
			}
		})
		b.AddBytes(signature)
	})
	der, _ := b.Bytes() // nil where a length does not fit: x509 refuses that
	return der
}

// element is one DER element.
func element(tag asn1.Tag, content []byte) []byte {
	b := cryptobyte.NewBuilder(nil)
	b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes(content) })
	der, _ := b.Bytes()
	return der
}

// serial mends the serial number: DER has one form of every integer, and RFC 5280 §4.1.2.2 wants it positive.
func (r *repair) serial(to *[]byte) bool {
	s, content := cryptobyte.String(*to), cryptobyte.String(nil)
	if !s.ReadASN1(&content, asn1.INTEGER) || len(content) == 0 || len(content) > maxSerial {
		return false
	}
	n := new(big.Int).SetBytes(content)
	negative := content[0]&0x80 != 0
	if negative {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(content))))
		r.odd("the serial number is negative")
	}
	if len(content) > 1 && (content[0] == 0 && content[1]&0x80 == 0 || content[0] == 0xff && content[1]&0x80 != 0) {
		r.odd("the serial number has needless octets")
	} else if !negative {
		return true
	}
	*to = element(asn1.INTEGER, []byte{1})
	r.then(func(c *x509.Certificate) { c.SerialNumber = n })
	return true
}

// dates mends fractions of seconds (RFC 5280 §4.1.2.5.2 forbids them). A date that is missing or cannot be read is not mended.
func (r *repair) dates(to *[]byte) bool {
	s, dates := cryptobyte.String(*to), cryptobyte.String(nil)
	if !s.ReadASN1(&dates, asn1.SEQUENCE) {
		return false
	}
	var out []byte
	for i := range 2 {
		var one, content cryptobyte.String
		var tag asn1.Tag
		if !dates.ReadAnyASN1Element(&one, &tag) {
			return false
		}
		whole := one
		if tag == asn1.GeneralizedTime && one.ReadASN1(&content, tag) && slices.Contains(content, '.') {
			t, err := time.Parse("20060102150405.999999999Z", string(content))
			if err != nil {
				return false
			}
			r.odd("a date has fractions of a second")
			whole = element(tag, []byte(t.Format("20060102150405Z")))
			r.then(func(c *x509.Certificate) { *[]*time.Time{&c.NotBefore, &c.NotAfter}[i] = t })
		}
		out = append(out, whole...)
	}
	if !dates.Empty() {
		return false
	}
	*to = element(asn1.SEQUENCE, out)
	return true
}

// unreadable puts a subjectAltName that x509 does not read where its kind stands, so that it matches no address and no name
// constraint allows it.
func unreadable(c *x509.Certificate, tag asn1.Tag, content []byte) {
	switch tag {
	case context(1):
		c.EmailAddresses = append(c.EmailAddresses, string(content))
	case context(2):
		c.DNSNames = append(c.DNSNames, string(content))
	case context(6):
		c.URIs = append(c.URIs, &url.URL{Opaque: string(content)})
	case context(7):
		c.IPAddresses = append(c.IPAddresses, net.IP(content))
	}
}
