package agent_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"slices"
	"testing"

	"carepost/addr"
	"carepost/cms"
	"carepost/internal/agent"
	"carepost/trust"
	"carepost/trust/certtest"
)

// A better cipher or key transport is taken when every recipient has announced it for every certificate, and we make it. DIR-19.
func TestEncryption(t *testing.T) {
	w := newWorld(t)
	w.publish(t, w.ca, "a@one.example")
	w.publish(t, w.ca, "b@one.example")
	w.publish(t, w.ca, "c@two.example")
	w.publish(t, w.ca, "c@two.example") // two certificates
	// RFC 4262: AES-256-GCM, then AES-256-CBC.
	said := []byte("\x30\x1a\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01\x2e\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01\x2a")
	w.publish(t, w.ca, "d@three.example", func(c *x509.Certificate) {
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 15}, Value: said})
	})
	gcm, oaep, cbc := []cms.Algorithm{cms.AES256GCM, cms.AES128GCM}, []cms.Algorithm{cms.RSAESOAEPSHA256}, []cms.Algorithm{cms.AES256CBC}
	with := func(x cms.Algorithm, u cms.Use) cms.Algorithms {
		a, err := cms.V12.Algorithms().With(x, u)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	for _, tc := range []struct {
		name       string
		to         []string
		announced  map[string][]cms.Algorithm
		first      bool // of certificates: only the first one is spoken for
		configured cms.Algorithms
		cipher     cms.Algorithm
		transport  cms.Algorithm
	}{
		{"nothing", []string{"a@one.example"}, nil, false, cms.Algorithms{}, cms.AES256CBC, cms.RSAESPKCS1v15},
		{"all", []string{"a@one.example", "b@one.example"}, map[string][]cms.Algorithm{"a@one.example": gcm, "b@one.example": gcm}, false, cms.Algorithms{}, cms.AES256GCM, cms.RSAESPKCS1v15},
		{"one of two", []string{"a@one.example", "b@one.example"}, map[string][]cms.Algorithm{"a@one.example": gcm}, false, cms.Algorithms{}, cms.AES256CBC, cms.RSAESPKCS1v15},
		{"another domain's", []string{"a@one.example"}, map[string][]cms.Algorithm{"c@two.example": gcm}, false, cms.Algorithms{}, cms.AES256CBC, cms.RSAESPKCS1v15},
		{"the lesser one", []string{"a@one.example"}, map[string][]cms.Algorithm{"a@one.example": {cms.AES128GCM}}, false, cms.Algorithms{}, cms.AES128GCM, cms.RSAESPKCS1v15},
		{"one certificate of two", []string{"c@two.example"}, map[string][]cms.Algorithm{"c@two.example": gcm}, true, cms.Algorithms{}, cms.AES256CBC, cms.RSAESPKCS1v15},
		{"OAEP", []string{"a@one.example"}, map[string][]cms.Algorithm{"a@one.example": oaep}, false, cms.Algorithms{}, cms.AES256CBC, cms.RSAESOAEPSHA256},
		{"both", []string{"a@one.example"}, map[string][]cms.Algorithm{"a@one.example": slices.Concat(oaep, gcm)}, false, cms.Algorithms{}, cms.AES256GCM, cms.RSAESOAEPSHA256},
		{"in the certificate", []string{"d@three.example"}, nil, false, cms.Algorithms{}, cms.AES256GCM, cms.RSAESPKCS1v15},
		{"a message outweighs the certificate", []string{"d@three.example"}, map[string][]cms.Algorithm{"d@three.example": cbc}, false, cms.Algorithms{}, cms.AES256CBC, cms.RSAESPKCS1v15},
		{"not made by us", []string{"a@one.example"}, map[string][]cms.Algorithm{"a@one.example": gcm}, false, with(cms.AES256GCM, cms.Accept), cms.AES128GCM, cms.RSAESPKCS1v15},
		{"the default not made", []string{"a@one.example"}, nil, false, with(cms.AES256CBC, cms.Accept), cms.AES128CBC, cms.RSAESPKCS1v15},
		{"transport not made", []string{"a@one.example"}, nil, false, with(cms.RSAESPKCS1v15, cms.Refuse), cms.AES256CBC, cms.RSAESOAEPSHA256},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := agent.Outgoing{Now: now, Announced: func(a addr.Address, c *x509.Certificate) []cms.Algorithm {
				if tc.first && !c.Equal(w.certs[a.String()][0]) {
					return nil
				}
				return tc.announced[a.String()]
			}}
			for _, to := range tc.to {
				m.To = append(m.To, at(t, to))
			}
			m.Named = m.To
			p := w.party
			p.Configured = tc.configured
			d := w.Outbound(t.Context(), p, m)
			if len(d.Groups) != 1 {
				t.Fatalf("%d groups: %s", len(d.Groups), d.Recipients[0].Verdict.Reason)
			}
			if e := d.Groups[0].Encryption; e.Cipher != tc.cipher || e.Transport != tc.transport {
				t.Errorf("%s by %s, want %s by %s", e.Cipher, e.Transport, tc.cipher, tc.transport)
			}
		})
	}
}

// Certificates with keys that the table does not send to are refused, the others of a domain are not.
func TestKeysThatAreNotSentTo(t *testing.T) {
	w := newWorld(t)
	w.publish(t, w.ca, "rsa@one.example")
	w.publish(t, w.ca, "curve@one.example", certtest.Key(certtest.ECDSA(t)), certtest.Usage(x509.KeyUsageKeyAgreement))
	m := agent.Outgoing{Now: now, To: []addr.Address{at(t, "rsa@one.example"), at(t, "curve@one.example")}}
	p := w.party
	none, err := cms.V12.Algorithms().With(cms.ECDHP256, cms.Accept)
	if err != nil {
		t.Fatal(err)
	}
	p.Configured = none
	d := w.Outbound(t.Context(), p, m)
	if a, b := d.Recipients[0].Verdict, d.Recipients[1].Verdict; a.Status != trust.Trusted || b.Status != trust.Refused || b.Clause != "RFC 8551 §2.3" {
		t.Errorf("RSA %s, curve %s by %s", a.Status, b.Status, b.Clause)
	}
}

// How we sign, and what we announce. DIR-18.
func TestSigner(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	cert := certtest.NewCA(t, "Trial CA").Issue(t, "h.example", certtest.Key(key)).Certificate
	own := cms.Signer{Key: key, Certificate: cert, Time: now}
	s, err := agent.Party{}.Signer(own)
	if err != nil || s.Hash != 0 || s.PSS || !slices.Equal(s.Capabilities, []cms.Algorithm{
		cms.AES256GCM, cms.AES128GCM, cms.AES256CBC, cms.AES128CBC, cms.AES192CBC, cms.RSAESOAEPSHA256}) {
		t.Errorf("%+v, %v", s, err)
	}
	a := cms.V12.Algorithms()
	for x, u := range map[cms.Algorithm]cms.Use{cms.RSAPKCS1v15: cms.Accept, cms.SHA256: cms.Accept, cms.AES256GCM: cms.Refuse, cms.AES128GCM: cms.Refuse} {
		if a, err = a.With(x, u); err != nil {
			t.Fatal(err)
		}
	}
	s, err = agent.Party{Configured: a}.Signer(own)
	if err != nil || s.Digest().String() != "SHA-384" || !s.PSS || slices.Contains(s.Capabilities, cms.AES256GCM) {
		t.Errorf("%+v, %v", s, err)
	}
	if a, err = a.With(cms.RSAPSS, cms.Refuse); err != nil {
		t.Fatal(err)
	}
	if _, err = (agent.Party{Configured: a}).Signer(own); !errors.Is(err, cms.ErrAlgorithm) {
		t.Errorf("no RSA at all: %v", err)
	}
}
