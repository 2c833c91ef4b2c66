package flow_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"io"
	"strings"
	"testing"

	"carepost/addr"
	"carepost/cms"
	"carepost/internal/rule"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/message"
	"carepost/smime"
	"carepost/trust"
	"carepost/trust/certtest"
)

// sent is a message as its recipients see it.
type sent struct {
	*smime.Opened
	from addr.Path
	to   []addr.Address
	wire string // as it is transmitted
	text string // what is inside
}

// letters has everything that is delivered opened by the keys of the strangers.
func (s *side) letters() *[]sent {
	out := new([]sent)
	s.reply = func(c transit.Consignment) transit.Outcome {
		var keys []cms.Recipient
		for _, p := range s.others {
			keys = append(keys, cms.Recipient{Certificate: p.Certificate, Key: p.Key.(crypto.Decrypter)})
		}
		wire, err := io.ReadAll(io.NewSectionReader(c.Body, 0, c.Body.Size()))
		s.must(err)
		var text bytes.Buffer
		opened, err := smime.Open(&text, bytes.NewReader(wire), keys, smime.OpenOptions{})
		s.must(err)
		*out = append(*out, sent{opened, c.From, c.To, string(wire), text.String()})
		return answers(c, transit.Delivered, 250)
	}
	return out
}

// certify gives an address or a domain of ours a certificate.
func (s *side) certify(o store.Owner, p certtest.Pair) {
	s.t.Helper()
	s.tx(func(tx *store.Tx) error {
		key, err := s.Keys.Import(s.t.Context(), tx, p.Key)
		if err != nil {
			return err
		}
		c := p.Certificate
		return tx.InsertCert(&store.Cert{Owner: o, Key: key, DER: c.Raw, NotBefore: c.NotBefore, NotAfter: c.NotAfter})
	})
}

// A blind copy says so to whom it is for, and nobody else's says anything of it, inside or outside: RFC 5322 §3.6.3, DIR-10, DIR-13. Who is
// refused is not in the outer header.
func TestBlindCopies(t *testing.T) {
	s := newSide(t)
	letters := s.letters()
	auditor := addr.Address{Endpoint: "the auditor", Domain: lab.Domain}
	chief := addr.Address{Endpoint: "chief", Domain: ward.Domain}
	nobody := addr.Address{Endpoint: "x", Domain: "unknown.example"}
	for _, eol := range []string{"\r\n", "\n"} {
		*letters = nil
		text := strings.ReplaceAll("Bcc: "+chief.String()+"\r\nBcc: \"the auditor\"@south.example\r\n"+letter(desk, "a line\r\n", lab, ward, nobody), "\r\n", eol)
		id := s.submitText(text, lab, ward, auditor, chief, nobody)
		s.step("outbound")
		for range 4 {
			s.step("deliver")
		}
		if len(*letters) != 4 {
			t.Fatalf("%d sealed messages", len(*letters))
		}
		for _, l := range *letters {
			if len(l.to) != 1 || len(l.Good()) != 1 {
				t.Fatalf("for %d, %d signatures good", len(l.to), len(l.Good()))
			}
			blind := l.to[0] == auditor || l.to[0] == chief
			bcc, err := l.Header.Mailboxes("Bcc")
			s.must(err)
			if blind != (len(bcc) == 1) || blind && bcc[0].Address != l.to[0] {
				t.Errorf("blind %v: Bcc %v", blind, bcc)
			}
			outer, _, _ := strings.Cut(l.wire, "\r\n\r\n")
			if strings.Contains(outer, "Bcc") || strings.Contains(outer, "unknown.example") {
				t.Errorf("outside:\n%s", outer)
			}
			if to, err := l.Outer.Mailboxes("To"); err != nil || len(to) != 1 || to[0].Address != l.to[0] {
				t.Errorf("outer To %v, %v", to, err)
			}
			for _, hidden := range []addr.Address{auditor, chief} {
				if l.to[0] != hidden && strings.Contains(l.wire+l.text, hidden.Endpoint) {
					t.Errorf("a copy tells of a blind one:\n%s", l.text)
				}
			}
			if !strings.Contains(l.text, nobody.String()) || !strings.HasSuffix(strings.TrimRight(l.text, "\r\n"), "a line") {
				t.Errorf("inside:\n%s", l.text)
			}
			if _, err := message.Parse(bytes.NewReader([]byte(l.text)), int64(len(l.text)), message.Limits{}); err != nil {
				t.Error(err)
			}
		}
		if told := s.told(id); strings.Count(told, "addressed: as a blind copy, sealed apart, which says so") != 2 {
			t.Errorf("%s", told)
		}
	}
}

// Where a partner takes blind copies for tampering its own are refused, and nobody else's: DIR-10; 1.3.
func TestBlindCopyUnder13(t *testing.T) {
	s := newSide(t)
	s.Rules = rule.Rules{only(trust.V13, lab.Domain)}
	letters := s.letters()
	auditor, chief := addr.Address{Endpoint: "auditor", Domain: lab.Domain}, addr.Address{Endpoint: "chief", Domain: ward.Domain}
	id := s.submitText(letter(desk, "t", lab), lab, auditor, chief)
	s.step("outbound")
	s.step("deliver")
	s.step("deliver")
	if a, b, c := s.recipient(id, lab).State, s.recipient(id, auditor).State, s.recipient(id, chief).State; a != transit.Sent || b != transit.Failed || c != transit.Sent {
		t.Errorf("%q, %q, %q", a, b, c)
	}
	if len(*letters) != 2 {
		t.Errorf("%d letters", len(*letters))
	}
	mails := s.inbox()
	if len(mails) != 1 {
		t.Fatalf("%d reports", len(mails))
	}
	report := s.text(mails[0])
	for _, want := range []string{auditor.String(), "neither in To nor in Cc", "name the recipient in To or Cc, or write to it in a message of its own", "5.7.1"} {
		if !strings.Contains(strings.Join(strings.Fields(report), " "), want) {
			t.Errorf("the report lacks %q:\n%s", want, report)
		}
	}
	if strings.Contains(report, chief.String()) {
		t.Error("the report tells of who got it")
	}
}

// What the recipient of a blind copy is told: by its own header, or that it names others alone.
func TestBlindCopyArrives(t *testing.T) {
	s := newSide(t)
	p := s.others[lab.Domain]
	chief := addr.Address{Endpoint: "chief", Domain: ward.Domain}
	for _, tc := range []struct {
		named, blind addr.Address
		want         string
	}{
		{ward, addr.Address{}, "addressed: to others alone"},
		{ward, addr.Address{Endpoint: "DESK", Domain: desk.Domain}, "addressed: to others; to this recipient as a blind copy, as it says"},
		{ward, chief, "addressed: to others alone"},
		{desk, chief, ""},
	} {
		var sealed bytes.Buffer
		s.must(smime.Seal(&sealed, strings.NewReader(letter(lab, "blind", tc.named)), smime.SealOptions{
			Signers: []cms.Signer{{Key: p.Key, Certificate: p.Certificate, Time: s.now}}, Recipients: []*x509.Certificate{s.own.Certificate}, Blind: tc.blind,
		}))
		id := s.accept(lab, sealed.Bytes())
		s.step("inbound")
		told := s.told(id)
		if !strings.Contains(told, tc.want) || tc.want == "" && strings.Contains(told, "addressed") || !strings.Contains(told, "verified") {
			t.Errorf("want %q:\n%s", tc.want, told)
		}
	}
}
