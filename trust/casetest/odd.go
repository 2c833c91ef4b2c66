package casetest

import (
	"crypto/x509"
	"encoding/asn1"

	"carepost/trust/certtest"
)

// odd makes a certificate anew so that crypto/x509 does not read it.
func (w *World) odd(ca *certtest.CA, c *x509.Certificate, how string) []byte {
	edit := map[string]func(*certtest.TBS){
		"negative-serial": func(t *certtest.TBS) { t.Serial = asn1.RawValue{FullBytes: []byte("\x02\x01\xff")} },
		"bad-key-id":      func(t *certtest.TBS) { t.Extension(14).Value = []byte("\x05") },
		"bad-point": func(t *certtest.TBS) {
			t.Extensions = append(t.Extensions, certtest.Extension{ID: asn1.ObjectIdentifier{2, 5, 29, 31}, Value: []byte("\x05\x00")})
		},
		"bad-policies": func(t *certtest.TBS) {
			t.Extensions = append(t.Extensions, certtest.Extension{ID: asn1.ObjectIdentifier{2, 5, 29, 32}, Critical: 0xff, Value: []byte("\x05\x00")})
		},
		"bad-uri": func(t *certtest.TBS) { // behind what is there
			e := t.Extension(17)
			e.Value = []byte(tlv(0x30, string(e.Value[2:])+tlv(0x86, "http://a b:c")))
		},
		"eight-bit-address": func(t *certtest.TBS) {
			t.Extension(17).Value = []byte(tlv(0x30, tlv(0x81, "lab@m\xc3\xbcller.example")))
		},
		"printable-address": func(t *certtest.TBS) {
			t.Subject.FullBytes = []byte(tlv(0x30, tlv(0x31, tlv(0x30, "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01"+tlv(0x13, "desk@h.example")))))
		},
	}[how]
	if edit == nil {
		w.Fatalf("unknown oddity %q", how)
	}
	return ca.Odd(w, c, edit)
}
