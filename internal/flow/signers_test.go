package flow_test

import (
	"bytes"
	"crypto/x509"
	"strings"
	"testing"

	"carepost/cms"
	"carepost/internal/audit"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/smime"
	"carepost/trust/certtest"
)

// detail is what the audit keeps of the last act of that name.
func (s *side) detail(action string) (d map[string]string) {
	s.t.Helper()
	s.must(s.Store.View(s.t.Context(), func(tx *store.Tx) error {
		all, err := audit.List(tx, audit.Filter{Action: action, Limit: 1000})
		if len(all) > 0 {
			d = all[len(all)-1].Detail
		}
		return err
	}))
	return d
}

// A certificate of our own on a curve signs, and opens what is encrypted to it. DIR-19.
func TestOwnCurve(t *testing.T) {
	s := newSide(t, certtest.Key(certtest.ECDSA(t)), certtest.Usage(x509.KeyUsageDigitalSignature|x509.KeyUsageKeyAgreement))
	id := s.accept(lab, s.seal(letter(lab, "to a curve", desk), s.others[lab.Domain]))
	s.step("inbound")
	if r := s.recipient(id, desk); r.State != transit.Opened {
		t.Fatalf("%s", r.State)
	}
	if text := s.text(s.inbox()[0]); !strings.Contains(text, "to a curve") {
		t.Errorf("%q", text)
	}
	id = s.submit("from a curve", lab)
	s.step("outbound")
	var told string
	l, err := s.Timeline(t.Context(), by, id)
	s.must(err)
	for _, e := range l.Events {
		told += e.Detail
	}
	if !strings.Contains(told, "signed ECDSA P-256 with SHA-256, encrypted AES-256-CBC for 1 certificate by RSAES-PKCS1") {
		t.Errorf("%s", told)
	}
}

// Every signature of a message is judged, and the audit tells of each: also of those that decide nothing.
func TestSignaturesInTheAudit(t *testing.T) {
	s := newSide(t)
	stranger := certtest.NewCA(t, "Stranger").Issue(t, lab.Domain.String())
	own := s.others[lab.Domain]
	var sealed bytes.Buffer
	s.must(smime.Seal(&sealed, strings.NewReader(letter(lab, "by two", desk)), smime.SealOptions{
		Signers: []cms.Signer{
			{Key: stranger.Key, Certificate: stranger.Certificate, Time: s.now},
			{Key: own.Key, Certificate: own.Certificate, Time: s.now, PSS: true},
		},
		Recipients: []*x509.Certificate{s.own.Certificate},
	}))
	s.accept(lab, sealed.Bytes())
	s.step("inbound")
	told := s.detail("recipient.open")["signatures"]
	lines := strings.Split(told, "\n")
	if len(lines) != 2 || !strings.Contains(told, "RSA with SHA-256") || !strings.Contains(told, ": good, refused: ") ||
		!strings.Contains(told, "RSA-PSS with SHA-256") || !strings.Contains(told, ": good, trusted") {
		t.Errorf("%s", told)
	}
}
