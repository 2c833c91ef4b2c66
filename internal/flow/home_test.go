package flow_test

import (
	"bytes"
	"crypto/x509"
	"strings"
	"testing"

	"carepost/addr"
	"carepost/cms"
	"carepost/internal/mailbox"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/mdn"
	"carepost/message"
	"carepost/smime"
	"carepost/trust"
	"carepost/trust/certtest"
)

var urgent = addr.Address{Endpoint: "desk+Urgent", Domain: desk.Domain}

// sealFor makes what a stranger would send to certificates of ours.
func (s *side) sealFor(text string, signer certtest.Pair, to ...*x509.Certificate) []byte {
	s.t.Helper()
	var out bytes.Buffer
	s.must(smime.Seal(&out, strings.NewReader(text), smime.SealOptions{
		Signers: []cms.Signer{{Key: signer.Key, Certificate: signer.Certificate, Time: s.now}}, Recipients: to,
	}))
	return out.Bytes()
}

// A tag is for our own mailboxes: the mail lies in the account's, and the account answers, about the address as it was written. By a certificate
// that speaks for what was written: the address's own says nothing of it. Direct 4.1.1; RFC 3798 §3.2.
func TestTag(t *testing.T) {
	s := newSide(t)
	personal := s.ca.Issue(t, desk.String())
	s.certify(store.Owner{Address: desk}, personal)
	letters := s.letters()
	id := s.arrives(addr.Path{Address: lab}, s.seal(letter(lab, "to a tag", urgent), s.others[lab.Domain]), urgent)
	if r := s.recipient(id, urgent); r.State != transit.Opened {
		t.Fatalf("%q\n%s", r.State, s.told(id))
	}
	if mails := s.inbox(); len(mails) != 1 || !strings.Contains(s.text(mails[0]), "to a tag") {
		t.Errorf("%d letters in the account's inbox", len(mails))
	}
	s.step("notice")
	s.step("outbound")
	s.step("deliver")
	l := (*letters)[0]
	root, err := message.Parse(strings.NewReader(l.text), int64(len(l.text)), message.Limits{})
	s.must(err)
	n, err := mdn.Parse(root, strings.NewReader(l.text))
	s.must(err)
	if n.From != desk || l.from.Address != desk || n.OriginalRecipient != urgent || n.FinalRecipient != urgent || n.Disposition != mdn.Processed {
		t.Errorf("from %v, envelope %v, about %v and %v", n.From, l.from, n.OriginalRecipient, n.FinalRecipient)
	}
	signer := l.Signatures[0].Certificate
	if b, _ := trust.Names(signer, urgent); b != trust.OrgBound {
		t.Errorf("the notice is signed by a certificate that is %s to what was written", b)
	}
	// An ordinary letter is answered by the address's own.
	s.arrives(addr.Path{Address: lab}, s.seal(letter(lab, "without", desk), s.others[lab.Domain]), desk)
	s.step("notice")
	s.step("outbound")
	s.step("deliver")
	if !(*letters)[1].Signatures[0].Certificate.Equal(personal.Certificate) {
		t.Error("the account's own certificate is not used")
	}
}

// A certificate of the address opens nothing for its tags, nor is one found for them; and what is sealed for the tag of somebody else is not shown.
// DIR-13.
func TestTagIsNoName(t *testing.T) {
	s := newSide(t)
	personal := s.ca.Issue(t, desk.String())
	s.certify(store.Owner{Address: desk}, personal)
	theirs := s.others[lab.Domain]
	id := s.arrives(addr.Path{Address: lab}, s.sealFor(letter(lab, "1", urgent), theirs, personal.Certificate), urgent)
	if r := s.recipient(id, urgent); r.State != transit.Aside {
		t.Errorf("sealed for the address alone: %q", r.State)
	}
	id = s.arrives(addr.Path{Address: lab}, s.sealFor(letter(lab, "2", urgent, desk), theirs, personal.Certificate), urgent, desk)
	if a, b := s.recipient(id, urgent), s.recipient(id, desk); a.State != transit.Aside || b.State != transit.Opened {
		t.Errorf("sealed for the address, to both: %q and %q", a.State, b.State)
	}
	// A signature of lab's own certificate says nothing of lab+x, nor the other way round.
	own := s.ca.Issue(t, lab.String())
	tagged := addr.Address{Endpoint: "lab+x", Domain: lab.Domain}
	for from, by := range map[addr.Address]certtest.Pair{tagged: own, lab: s.ca.Issue(t, tagged.String())} {
		id := s.arrives(addr.Path{Address: from}, s.seal(letter(from, "3", desk), by), desk)
		if r := s.recipient(id, desk); r.State != transit.Aside {
			t.Errorf("from %s: %q", from, r.State)
		}
	}
}

// Whom an account trusts is trusted for its tags, and nobody else: a partner's key that was given up does not come in by a tag. Direct 4.2.1.
func TestTagTrustsAsItsAccount(t *testing.T) {
	s := newSide(t)
	former := certtest.SelfSigned(t, "partner.example")
	fresh := certtest.SelfSigned(t, "partner.example")
	partner := addr.Address{Endpoint: "p", Domain: "partner.example"}
	s.tx(func(tx *store.Tx) error {
		if err := tx.PutPin(&store.Pin{Owner: store.Owner{Domain: desk.Domain}, Address: partner, DER: former.Certificate.Raw}); err != nil {
			return err
		}
		return tx.PutPin(&store.Pin{Owner: store.Owner{Address: desk}, Address: partner, DER: fresh.Certificate.Raw})
	})
	for _, tc := range []struct {
		by   certtest.Pair
		want transit.State
	}{{former, transit.Aside}, {fresh, transit.Opened}} {
		id := s.arrives(addr.Path{Address: partner}, s.seal(letter(partner, "p", urgent), tc.by), urgent)
		if r := s.recipient(id, urgent); r.State != tc.want {
			t.Errorf("%q, want %q\n%s", r.State, tc.want, s.told(id))
		}
	}
}

// A tag of nobody is an address of nobody: the other side hears so after the processed notice. An account with a '+' in its name is itself.
func TestTagOfNobody(t *testing.T) {
	s := newSide(t)
	night := addr.Address{Endpoint: "desk+night", Domain: desk.Domain}
	s.account(night)
	nobody := addr.Address{Endpoint: "nobody+desk", Domain: desk.Domain}
	id := s.arrives(addr.Path{Address: lab}, s.seal(letter(lab, "t", nobody, night, urgent, desk), s.others[lab.Domain]), nobody, night, urgent, desk)
	for _, a := range []addr.Address{nobody, night, urgent, desk} {
		if r := s.recipient(id, a); r.State != transit.Opened {
			t.Errorf("%q", r.State)
		}
	}
	if n := s.works("failure"); n != 1 {
		t.Errorf("%d failures", n)
	}
	if n := s.works("notice"); n != 4 {
		t.Errorf("%d notices are owed", n)
	}
	if n := len(s.inbox()); n != 1 {
		t.Errorf("%d copies for one who is named twice", n)
	}
	mails, err := s.Mailboxes.List(t.Context(), by, night, mailbox.Inbox, 0, 10)
	if err != nil || len(mails) != 1 {
		t.Errorf("%d, %v", len(mails), err)
	}
}
