package casetest

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ocsp"

	"carepost/trust"
	"carepost/trust/certtest"
)

// status are the options of a certificate about where its status is asked, and of an OCSP responder's.
func (b *builder) status(key, value string) bool {
	extension := func(id asn1.ObjectIdentifier, value string) bool {
		return b.add(func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: id, Value: []byte(value)})
		})
	}
	full := func(u string) string { return tlv(0xa0, tlv(0xa0, tlv(0x86, b.url(u)))) }
	points, freshest := asn1.ObjectIdentifier{2, 5, 29, 31}, asn1.ObjectIdentifier{2, 5, 29, 46}
	switch key {
	case "freshest":
		return extension(freshest, tlv(0x30, tlv(0x30, full(value))))
	case "cdp-split": // one distribution point for key compromise, one for the other reasons: URL,URL
		b.Split = true
		some, others, _ := strings.Cut(value, ",")
		return extension(points, tlv(0x30, tlv(0x30, full(some)+"\x81\x02\x06\x40")+tlv(0x30, full(others)+"\x81\x03\x07\x3f\x80")))
	case "cdp-indirect": // another issuer signs the list
		name := string(b.dn("CN=Elsewhere"))
		return extension(points, tlv(0x30, tlv(0x30, full(value)+tlv(0xa2, tlv(0xa4, name)))))
	case "nocheck":
		return extension(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}, "\x05\x00")
	}
	return false
}

// statusExtensions are the extensions of a list about deltas and reasons.
func (w *World) statusExtensions(l *x509.RevocationList, args []string) {
	add := func(last int, critical bool, value string) {
		l.ExtraExtensions = append(l.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, last}, Critical: critical, Value: []byte(value)})
	}
	if s := option(args, "base", ""); s != "" {
		w.Deltas = true
		n, _ := strconv.Atoi(s)
		add(27, true, tlv(2, string([]byte{byte(n)})))
	}
	if u := option(args, "freshest", ""); u != "" {
		add(46, false, tlv(0x30, tlv(0x30, tlv(0xa0, tlv(0xa0, tlv(0x86, w.url(u)))))))
	}
}

// responder makes a certificate for an OCSP responder: responder N from=CA …
func (w *World) responder(args []string) {
	w.Helper()
	from := w.ca(option(args, "from", "R"))
	edits := w.build(args[1:]).edits
	edits = append([]certtest.Edit{func(c *x509.Certificate) {
		c.Subject.CommonName, c.DNSNames = args[0], nil
		c.KeyUsage, c.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}
	}}, edits...)
	pair := from.Issue(w, args[0]+".example", edits...)
	w.keep(args[0], &certtest.CA{Pair: pair}, from)
}

// ocsp is an OCSP answer about a certificate: NAME from=CA by=RESPONDER status=… this= next= since= reason=I sha256 bare …
func (w *World) ocsp(args []string) []byte {
	w.Helper()
	w.Answers = true
	c, issuer := w.cert(args[0]), w.ca(option(args, "from", "R"))
	signer := w.ca(option(args, "by", option(args, "from", "R")))
	t := ocsp.Response{SerialNumber: c.SerialNumber, ThisUpdate: certtest.NotBefore, NextUpdate: certtest.NotAfter, RevokedAt: certtest.NotBefore,
		Status: map[string]int{"good": ocsp.Good, "revoked": ocsp.Revoked, "unknown": ocsp.Unknown}[option(args, "status", "good")]}
	if has(args, "sha256") {
		t.IssuerHash = crypto.SHA256
	}
	for key, at := range map[string]*time.Time{"this": &t.ThisUpdate, "next": &t.NextUpdate, "since": &t.RevokedAt} {
		if s := option(args, key, ""); s == "none" {
			*at = time.Time{}
		} else if s != "" {
			*at = w.time(s)
		}
	}
	t.RevocationReason, _ = strconv.Atoi(option(args, "reason", "0"))
	if has(args, "strange") {
		t.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 55555, 1}, Critical: true, Value: []byte{5, 0}}}
	}
	if signer != issuer && !has(args, "bare") {
		t.Certificate = signer.Certificate
	}
	about := issuer.Certificate
	if n := option(args, "about-issuer", ""); n != "" { // certID by another issuer
		about = w.cert(n)
	}
	der, err := ocsp.CreateResponse(about, signer.Certificate, t, signer.Key)
	if err != nil {
		w.Fatal(err)
	}
	if has(args, "forged") {
		der[len(der)-1] ^= 1
	}
	return der
}

// revocationAsked obeys the line of the question about unknown status: revocation await|accept|demand grace=24h
func (w *World) revocationAsked(args []string) {
	w.Helper()
	w.Question.Revocation.Unknown = map[string]trust.Unknown{"await": trust.Await, "accept": trust.Accept, "demand": trust.Demand}[args[0]]
	if s := option(args, "grace", ""); s != "" {
		d, err := time.ParseDuration(s)
		if err != nil {
			w.Fatal(err)
		}
		w.Question.Revocation.Grace = d
	}
}
