package flow_test

import (
	"bytes"
	"crypto/x509"
	"slices"
	"strings"
	"testing"

	"carepost/addr"
	"carepost/cms"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/smime"
	"carepost/trust/certtest"
)

// open lets us open an unwrapped letter of from, with these signatures.
func (s *side) open(from addr.Address, text string, reads []cms.Algorithm, signers ...certtest.Pair) store.Recipient {
	s.t.Helper()
	o := smime.SealOptions{Recipients: []*x509.Certificate{s.own.Certificate}, Unwrapped: true}
	for _, p := range signers {
		o.Signers = append(o.Signers, cms.Signer{Key: p.Key, Certificate: p.Certificate, Time: s.now, Capabilities: reads})
	}
	var out bytes.Buffer
	s.must(smime.Seal(&out, strings.NewReader(letter(from, text, desk)), o))
	id := s.accept(from, out.Bytes())
	s.step("inbound")
	return s.recipient(id, desk)
}

// Who passes on what another has signed, beside a signature of his own, does not keep the other's own letter from being shown.
func TestSignatureOfAnotherBeside(t *testing.T) {
	s := newSide(t)
	theirs, his := s.others[lab.Domain], s.others[ward.Domain]
	for _, open := range []func() store.Recipient{
		func() store.Recipient { return s.open(ward, "the result", nil, theirs, his) },
		func() store.Recipient { return s.open(lab, "the result", nil, theirs) },
	} {
		if r := open(); r.State != transit.Opened {
			t.Errorf("the letter is %q", r.State)
		}
	}
	if n := len(s.inbox()); n != 2 {
		t.Errorf("%d letters are shown, want 2", n)
	}
}

// What a letter announces counts once: sent again by whoever kept it, it does not undo what was announced since, in the same second.
func TestAnnouncedOnce(t *testing.T) {
	s := newSide(t)
	theirs := s.others[lab.Domain]
	reads := []cms.Algorithm{cms.AES256CBC}
	s.open(lab, "first", []cms.Algorithm{cms.AES256GCM, cms.AES256CBC}, theirs)
	s.open(lab, "second", reads, theirs)
	s.open(lab, "first", []cms.Algorithm{cms.AES256GCM, cms.AES256CBC}, theirs)
	s.tx(func(tx *store.Tx) error {
		said, known, err := tx.Announced(desk.Domain, lab, theirs.Certificate.Raw)
		if !known || !slices.Equal(said, []string{cms.AES256CBC.String()}) {
			t.Errorf("announced: %q", said)
		}
		return err
	})
}
