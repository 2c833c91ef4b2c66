package flow_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/rule"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/trust"
	"carepost/trust/certtest"
)

// Where one profile lets nothing of ours sign, those of another have their mail all the same; who waits is told at the end. Direct 2.3.
func TestOneProfileHoldsBackNoOther(t *testing.T) {
	_, key, err := ed25519.GenerateKey(rand.Reader) // that one profile alone signs with
	if err != nil {
		t.Fatal(err)
	}
	s := newSide(t, certtest.Key(key))
	s.Rules = rule.Rules{only(trust.Lenient, ward.Domain)}
	id := s.submit("to both", lab, ward)
	s.step("outbound")
	if a, b := s.recipient(id, lab), s.recipient(id, ward); a.State != transit.Accepted || b.State != transit.Sealed {
		t.Errorf("%q and %q\n%s", a.State, b.State, s.told(id))
	}
	s.now = s.now.Add(5 * 24 * time.Hour)
	s.must(s.run(t.Context(), s.due("outbound")))
	if a, b := s.recipient(id, lab), s.recipient(id, ward); a.State != transit.Failed || b.State != transit.Sealed || s.works("outbound") != 0 {
		t.Errorf("at the end %q and %q", a.State, b.State)
	}
	mails := s.inbox()
	if len(mails) != 1 || !strings.Contains(strings.ReplaceAll(s.text(mails[0]), "=\r\n", ""), "ask your administrator for a certificate") {
		t.Errorf("%d reports", len(mails))
	}
}

// Reports come without a reverse-path, and are read by the profile of whoever sent them, as his letters are. Direct 3.1.1.
func TestReportByTheProfileOfItsSender(t *testing.T) {
	s := newSide(t)
	s.Rules = rule.Rules{only(trust.Lenient, lab.Domain)}
	for who, want := range map[addr.Address]transit.State{lab: transit.Processed, ward: transit.Sent} {
		text := letter(desk, "a letter", who)
		sent := s.submitText(text, who)
		s.step("outbound")
		s.step("deliver")
		notice := strings.ReplaceAll(processedMDN(t, text), lab.String(), who.String())
		s.arrives(addr.Path{}, append([]byte("From: "+who.String()+"\r\n"), s.compressed(s.seal(notice, s.others[who.Domain]))...), desk)
		if r := s.recipient(sent, who); r.State != want {
			t.Errorf("after a notice of %s: %q", who.Domain, r.State)
		}
	}
}

// In every round one key opens a message: where somebody has put two content keys into it, who is decided about later is not shown, nor judged
// by, what another key makes of it. ATT-13.
func TestRoundsOpenAlike(t *testing.T) {
	s := newSide(t)
	s.account(second)
	personal := s.ca.Issue(t, desk.String())
	s.certify(store.Owner{Address: desk}, personal)
	server, mid := certtest.NewServer(t), s.ca.Intermediate(t, "Between")
	mid.Publish(t, server)
	server.Put("/between.cer", nil) // so that there is no answer for those who do not have it as an anchor
	theirs := mid.Issue(t, lab.Domain.String())
	s.tx(func(tx *store.Tx) error {
		return tx.InsertAnchor(&store.Anchor{Owner: store.Owner{Address: desk}, Direction: transit.Inbound, DER: mid.Certificate.Raw, Source: "test"})
	})
	captured := s.sealFor(letter(lab, "for the desk alone", desk), theirs, personal.Certificate)
	added := s.sealFor(letter(lab, "another letter", second), theirs, s.own.Certificate)
	id := s.arrives(addr.Path{Address: lab}, spliced(t, captured, added, false), desk, second)
	if a, b := s.recipient(id, desk), s.recipient(id, second); a.State != transit.Opened || b.State != transit.Accepted {
		t.Fatalf("%q and %q\n%s", a.State, b.State, s.told(id))
	}
	s.now = s.now.Add(5 * 24 * time.Hour) // it stays aside then, without an answer
	s.must(s.run(t.Context(), s.due("inbound")))
	if r := s.recipient(id, second); r.State != transit.Aside || strings.Contains(s.told(id), "does not decrypt") {
		t.Errorf("in the second round: %q\n%s", r.State, s.told(id))
	}
}

// What a rule held and nobody released was shown to nobody: sent again, it is a letter like any other.
func TestTurnedAwayAndSentAgain(t *testing.T) {
	s := newSide(t)
	text := letter(lab, "t", desk)
	for i, want := range []transit.State{transit.Opened, transit.Opened, transit.Settled} {
		s.Rules = nil
		if i == 0 {
			s.Rules = holding(transit.Inbound)
		}
		s.now = s.now.Add(time.Second)
		id := s.arrives(addr.Path{Address: lab}, s.seal(text, s.others[lab.Domain]), desk)
		if r := s.recipient(id, desk); r.State != want {
			t.Errorf("%d: %q", i, r.State)
		}
		if i == 0 {
			s.must(s.Cancel(t.Context(), operator, s.held(1)[0].Work))
		}
	}
	if n := len(s.inbox()); n != 1 {
		t.Errorf("%d are shown", n)
	}
}

// Whom a rule keeps out does not get in under the envelope of a colleague, nor a colleague's letter under his.
func TestRulesOfAllSenders(t *testing.T) {
	s := newSide(t)
	colleague := addr.Address{Endpoint: "colleague", Domain: lab.Domain}
	s.Rules = rule.Rules{{With: rule.Who{Addresses: map[string]bool{lab.Key(): true}}, Refuse: "no mail from there"}}
	for i, tc := range []struct {
		envelope, from addr.Address
		refused        bool
	}{{lab, lab, true}, {colleague, lab, true}, {lab, colleague, true}, {colleague, colleague, false}} {
		before := s.works("failure")
		s.arrives(addr.Path{Address: tc.envelope}, s.seal(letter(tc.from, "t", desk), s.others[lab.Domain]), desk)
		if got := s.works("failure") > before; got != tc.refused {
			t.Errorf("%d: refused %v", i, got)
		}
	}
	if n := len(s.inbox()); n != 1 {
		t.Errorf("%d are shown", n)
	}
}

// Whether something could be sealed is said by the profile that it would be sealed by: v1.2 asks that a legacy name agrees. Direct 4.1.1.
func TestSealableByProfile(t *testing.T) {
	s := newSide(t)
	s.others[ward.Domain] = s.ca.Issue(t, ward.String(), certtest.EmailDN(lab.String()))
	for _, p := range []trust.Policy{trust.V12, trust.V13} {
		s.Rules = rule.Rules{only(p, ward.Domain)}
		if err := s.Sealable(t.Context(), desk, ward); isRefusal(err) != (p == trust.V12) || p == trust.V13 && err != nil {
			t.Errorf("%d: %v", p, err)
		}
	}
}
