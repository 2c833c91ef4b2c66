package casetest

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"fmt"

	"carepost/certificate"
	"carepost/trust/certtest"
)

// authority makes a root, or an authority below another.
func (w *World) authority(verb string, args []string) {
	w.Helper()
	name, b := args[0], w.build(args[1:])
	common := option(args, "name", name)
	var ca, from *certtest.CA
	if verb == "root" {
		ca = certtest.NewCA(w, common, b.edits...)
	} else {
		from = w.ca(option(args, "from", "R"))
		b.add(func(c *x509.Certificate) { c.AuthorityKeyId = from.Certificate.SubjectKeyId }) // self-issued ones have it too
		ca = from.Intermediate(w, common, b.edits...)
	}
	w.retouch(&ca.Pair, b, from)
	w.keep(name, ca, from)
}

func (w *World) leaf(args []string) {
	w.Helper()
	b := w.build(args)
	var pair certtest.Pair
	var from *certtest.CA
	if has(args, "self") {
		pair = certtest.SelfSigned(w, "", b.edits...)
	} else {
		from = w.ca(option(args, "from", "R"))
		pair = from.Issue(w, "", b.edits...)
	}
	w.retouch(&pair, b, from)
	w.certs["leaf"] = pair.Certificate
	if pair.Certificate != nil {
		w.issued(pair.Certificate, from)
	}
	w.Question.Certificate = pair.Certificate
}

// retouch changes what has been signed, and signs again where b wants it.
func (w *World) retouch(pair *certtest.Pair, b *builder, from *certtest.CA) {
	w.Helper()
	der := pair.Certificate.Raw
	if len(b.patches) > 0 {
		signer := pair.Key
		if from != nil {
			signer = from.Key
		}
		der = w.resign(der, signer, b.patches)
	}
	if b.form != "" {
		der = w.odd(from, pair.Certificate, b.form)
	}
	if b.otherAlgorithm { // the outer one is the last that is written: ecdsa-with-SHA256 becomes ecdsa-with-SHA512
		i := bytes.LastIndex(der, []byte("\x2a\x86\x48\xce\x3d\x04\x03\x02"))
		der = append([]byte(nil), der...)
		der[i+7] = 4
	}
	if b.forged { // not a bit of the contents is changed: only the signature
		der = append([]byte(nil), der...)
		der[len(der)-1] ^= 1
	}
	w.Garbled = nil
	c, err := certificate.Parse(der)
	if err != nil {
		if !b.garbled {
			w.Fatal(err)
		}
		w.Garbled, c = der, nil
	}
	pair.Certificate = c
}

// serve puts something behind a path: serve /x.cer cert NAME | p7 NAME… | pem NAME… | crl CA … | junk | big
func (w *World) serve(args []string) {
	w.Helper()
	path, kind, args := args[0], args[1], args[2:]
	named := func() (certs []*x509.Certificate) {
		for _, name := range args {
			certs = append(certs, w.cert(name))
		}
		w.Served = append(w.Served, certs...)
		return certs
	}
	switch kind {
	case "cert":
		w.server.Put(path, named()[0].Raw)
	case "pem":
		var body []byte
		for _, c := range named() {
			body = append(body, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
		}
		w.server.Put(path, body)
	case "p7":
		w.server.Put(path, CertsOnly(named()...))
	case "p7pem":
		w.server.Put(path, pem.EncodeToMemory(&pem.Block{Type: "PKCS7", Bytes: CertsOnly(named()...)}))
	case "crl":
		w.server.Put(path, w.crl(args).Raw)
	case "ocsp":
		w.server.Put(path, w.ocsp(args))
	case "ocsp-refusal": // tryLater
		w.server.Put(path, []byte{0x30, 3, 0x0a, 1, 3})
	case "junk":
		w.server.Put(path, []byte("not what was asked for"))
	case "big":
		w.server.Put(path, make([]byte, 65<<10))
	default:
		w.Fatalf("serve: unknown kind %q", kind)
	}
}

// CertsOnly is a certs-only PKCS#7 message (RFC 5652 §5.1).
func CertsOnly(certs ...*x509.Certificate) []byte {
	var bag []byte
	for _, c := range certs {
		bag = append(bag, c.Raw...)
	}
	marshal := func(v any) asn1.RawValue {
		der, err := asn1.Marshal(v)
		if err != nil {
			panic(fmt.Sprint("CertsOnly: ", err))
		}
		return asn1.RawValue{FullBytes: der}
	}
	set := asn1.RawValue{Tag: asn1.TagSet, IsCompound: true}
	signed := marshal(struct {
		Version int
		Digests asn1.RawValue
		Content struct{ Type asn1.ObjectIdentifier }
		Bag     asn1.RawValue
		Signers asn1.RawValue
	}{1, set, struct{ Type asn1.ObjectIdentifier }{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}},
		asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: bag}, set})
	return marshal(struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue
	}{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2},
		asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: signed.FullBytes}}).FullBytes
}
