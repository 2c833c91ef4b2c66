package casetest

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"strconv"

	"carepost/trust/certtest"
)

// crl makes a list: crl CA revoked=X since=DATE this=DATE next=DATE number=N …
func (w *World) crl(args []string) *x509.RevocationList {
	w.Helper()
	var revoked []*x509.Certificate
	for _, name := range options(args, "revoked") {
		revoked = append(revoked, w.cert(name))
	}
	crl := w.ca(args[0]).EditedCRL(w, func(l *x509.RevocationList) {
		l.SignatureAlgorithm = 0
		if has(args, "sha1") {
			l.SignatureAlgorithm = x509.SHA1WithRSA
		}
		w.entries(l, args)
		w.dates(l, args)
		w.listExtensions(l, args)
	}, revoked...)
	if has(args, "forged") {
		der := append([]byte(nil), crl.Raw...)
		der[len(der)-1] ^= 1
		parsed, err := x509.ParseRevocationList(der)
		if err != nil {
			w.Fatal(err)
		}
		crl = parsed
	}
	w.Lists = append(w.Lists, crl)
	return crl
}

func (w *World) entries(l *x509.RevocationList, args []string) {
	for _, s := range options(args, "serial") {
		n, ok := new(big.Int).SetString(s, 10)
		if !ok {
			w.Fatalf("serial=%s", s)
		}
		l.RevokedCertificateEntries = append(l.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: n, RevocationTime: certtest.NotBefore})
	}
	for i := range l.RevokedCertificateEntries {
		e := &l.RevokedCertificateEntries[i]
		if s := option(args, "since", ""); s != "" {
			e.RevocationTime = w.time(s)
		}
		if s := option(args, "reason", ""); s != "" {
			e.ReasonCode, _ = strconv.Atoi(s)
		}
		if has(args, "indirect-entry") {
			e.ExtraExtensions = append(e.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 29}, Critical: true, Value: []byte{0x30, 0}})
		}
		if has(args, "strange-entry") {
			e.ExtraExtensions = append(e.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 99}, Critical: true, Value: []byte{5, 0}})
		}
	}
}

func (w *World) dates(l *x509.RevocationList, args []string) {
	if s := option(args, "this", ""); s != "" {
		l.ThisUpdate = w.time(s)
	}
	if s := option(args, "next", ""); s != "" {
		l.NextUpdate = w.time(s)
	}
	if s := option(args, "number", ""); s != "" {
		n, _ := strconv.ParseInt(s, 10, 64)
		l.Number = big.NewInt(n)
	}
}

func (w *World) listExtensions(l *x509.RevocationList, args []string) {
	extension := func(last int, critical bool, value string) {
		l.ExtraExtensions = append(l.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, last}, Critical: critical, Value: []byte(value)})
	}
	if has(args, "delta") {
		extension(27, true, "\x02\x01\x01")
	}
	// The issuing distribution point has its parts in the order of RFC 5280 §5.2.5.
	point := ""
	for _, u := range options(args, "point") {
		point += string(tlv(0x86, w.url(u)))
	}
	if point != "" {
		point = tlv(0xa0, tlv(0xa0, point))
	}
	for _, part := range []struct{ word, der string }{
		{"user-only", "\x81\x01\xff"}, {"ca-only", "\x82\x01\xff"}, {"some-reasons", "\x83\x02\x06\x40"}, {"other-reasons", "\x83\x03\x07\x3f\x80"},
		{"indirect", "\x84\x01\xff"}, {"attributes-only", "\x85\x01\xff"},
	} {
		if has(args, part.word) {
			point += part.der
		}
	}
	if point != "" {
		extension(28, true, tlv(0x30, point))
	}
	w.statusExtensions(l, args)
	if has(args, "strange") {
		extension(99, true, "\x05\x00")
	}
	if has(args, "odd") {
		extension(98, false, "\x05\x00")
	}
}

// tlv is DER with a length of up to 65535.
func tlv(tag byte, content string) string {
	switch n := len(content); {
	case n > 0xffff:
		panic("too long for a test")
	case n > 0xff:
		return string([]byte{tag, 0x82, byte(n >> 8), byte(n)}) + content
	case n > 0x7f:
		return string([]byte{tag, 0x81, byte(n)}) + content
	default:
		return string([]byte{tag, byte(n)}) + content
	}
}
