package flow_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"io"
	"slices"
	"strings"
	"testing"

	"carepost/addr"
	"carepost/cms"
	"carepost/internal/flow"
	"carepost/internal/rule"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/message"
	"carepost/smime"
	"carepost/trust"
	"carepost/trust/certtest"
)

// second is another account of the side.
var second = addr.Address{Endpoint: "ward", Domain: desk.Domain}

func (s *side) account(a addr.Address) {
	s.t.Helper()
	s.tx(func(tx *store.Tx) error { _, err := tx.InsertAccount(a); return err })
}

// arrives takes sealed bytes in an envelope and opens them.
func (s *side) arrives(from addr.Path, sealed []byte, to ...addr.Address) (id string) {
	s.t.Helper()
	id, err := s.Accept(s.t.Context(), transit.Envelope{From: from, To: to}, bytes.NewReader(sealed))
	s.must(err)
	s.step("inbound")
	return id
}

// told is what the timeline of a message tells.
func (s *side) told(id string) (all string) {
	s.t.Helper()
	l, err := s.Timeline(s.t.Context(), by, id)
	s.must(err)
	for _, e := range l.Events {
		all += e.Detail + "\n"
	}
	return all
}

// only makes a rule about mail with a domain.
func only(p trust.Policy, d addr.Domain) rule.Rule {
	return rule.Rule{With: rule.Who{Domains: map[addr.Domain]bool{d: true}}, Profile: &p}
}

// A letter is judged for each recipient by what holds between him and the sender, and a blind copy by its profile. DIR-10, DIR-13.
func TestProfileOfAPartner(t *testing.T) {
	s := newSide(t)
	s.account(second)
	s.Rules = rule.Rules{{For: rule.Who{Addresses: map[string]bool{second.Key(): true}}, Profile: new(trust.Policy)}, only(trust.V13, ward.Domain)}
	*s.Rules[0].Profile = trust.V12 // for our ward, whoever writes
	for _, tc := range []struct {
		name         string
		from         addr.Address
		to           []addr.Address // of the envelope; the header names desk
		unwrapped    bool
		desk, second transit.State
	}{
		{"everybody", lab, []addr.Address{desk, second}, false, transit.Opened, transit.Opened},
		{"1.3", ward, []addr.Address{desk, second}, false, transit.Opened, transit.Opened},
		{"everybody, unwrapped", lab, []addr.Address{desk, second}, true, transit.Opened, transit.Opened},
		{"1.3, unwrapped", ward, []addr.Address{desk, second}, true, transit.Aside, transit.Opened},
	} {
		var sealed bytes.Buffer
		p := s.others[tc.from.Domain]
		s.must(smime.Seal(&sealed, strings.NewReader(letter(tc.from, tc.name, desk)), smime.SealOptions{
			Signers:    []cms.Signer{{Key: p.Key, Certificate: p.Certificate, Time: s.now}},
			Recipients: []*x509.Certificate{s.own.Certificate}, Unwrapped: tc.unwrapped, Rand: rand.Reader,
		}))
		id := s.arrives(addr.Path{Address: tc.from}, sealed.Bytes(), tc.to...)
		if a, b := s.recipient(id, desk).State, s.recipient(id, second).State; a != tc.desk || b != tc.second {
			t.Errorf("%s: %q and %q", tc.name, a, b)
		}
		if tells := strings.Contains(s.told(id), "noted: the message is not wrapped"); tells != tc.unwrapped {
			t.Errorf("%s: noted %v:\n%s", tc.name, tells, s.told(id))
		}
	}
	third := addr.Address{Endpoint: "third", Domain: desk.Domain}
	s.account(third)
	id := s.arrives(addr.Path{Address: ward}, s.seal(letter(ward, "blind", desk), s.others[ward.Domain]), desk, third)
	if a, b := s.recipient(id, desk).State, s.recipient(id, third).State; a != transit.Opened || b != transit.Aside {
		t.Errorf("blind under v1.3: %q and %q", a, b)
	}
}

// compressed is a sealed message whose content is compressed before it is encrypted, which one profile alone reads.
func (s *side) compressed(sealed []byte) []byte {
	s.t.Helper()
	_, body, _ := strings.Cut(string(sealed), "\r\n\r\n")
	own := []cms.Recipient{{Certificate: s.own.Certificate, Key: s.own.Key.(crypto.Decrypter)}}
	_, plain, err := cms.ReadEnveloped(message.NewBase64Reader(strings.NewReader(body)), own, cms.ReadOptions{})
	s.must(err)
	var small, out bytes.Buffer
	c, err := cms.NewCompressedWriter(&small)
	s.must(err)
	_, err = io.Copy(c, plain)
	s.must(err)
	s.must(c.Close())
	out.WriteString("MIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	lines := message.NewBase64Writer(&out)
	w, err := cms.NewEnvelopedWriter(lines, cms.Encryption{}, s.own.Certificate)
	s.must(err)
	inner := "Content-Type: application/pkcs7-mime; smime-type=compressed-data; name=smime.p7z\r\nContent-Transfer-Encoding: base64\r\n\r\n"
	var b64 bytes.Buffer
	text := message.NewBase64Writer(&b64)
	_, err = text.Write(small.Bytes())
	s.must(err)
	s.must(text.Close())
	_, err = io.WriteString(w, inner+b64.String())
	s.must(err)
	s.must(w.Close())
	s.must(lines.Close())
	return out.Bytes()
}

// Whose profile counts is told by whom the signature binds, not by what an envelope claims. Direct 4.2.2.
func TestProfileIsNotClaimed(t *testing.T) {
	s := newSide(t)
	both := s.ca.Issue(t, lab.Domain.String(), func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, ward.Domain.String()) })
	s.Rules = rule.Rules{only(trust.Lenient, lab.Domain), only(trust.V13, ward.Domain)}
	for _, tc := range []struct {
		name     string
		envelope addr.Address
		from     addr.Address
		by       certtest.Pair
		want     transit.State
	}{
		{"the lenient partner", lab, lab, s.others[lab.Domain], transit.Opened},
		{"the strict one", ward, ward, s.others[ward.Domain], transit.Aside},
		{"the strict one, in the other's envelope", lab, ward, s.others[ward.Domain], transit.Aside},
		{"one who is both", lab, ward, both, transit.Aside},
	} {
		id := s.arrives(addr.Path{Address: tc.envelope}, s.compressed(s.seal(letter(tc.from, tc.name, desk), tc.by)), desk)
		if r := s.recipient(id, desk); r.State != tc.want {
			t.Errorf("%s: %q\n%s", tc.name, r.State, s.told(id))
		}
	}
}

// A letter without reverse-path is bound to its From, and answered there (Direct 3.2), unless the profile asks for one.
func TestNullReversePath(t *testing.T) {
	s := newSide(t)
	s.Rules = rule.Rules{only(trust.V13, ward.Domain)}
	id := s.arrives(addr.Path{}, s.seal(letter(lab, "from nowhere", desk), s.others[lab.Domain]), desk)
	if r := s.recipient(id, desk); r.State != transit.Opened || !strings.Contains(s.told(id), "noted: the message is no report and comes without") {
		t.Fatalf("%q\n%s", r.State, s.told(id))
	}
	s.step("notice")
	s.step("outbound")
	var to []addr.Address
	s.reply = func(c transit.Consignment) transit.Outcome {
		to = append(to, c.To...)
		return answers(c, transit.Delivered, 250)
	}
	s.step("deliver")
	if !slices.Contains(to, lab) || slices.ContainsFunc(to, func(a addr.Address) bool { return a != lab }) {
		t.Errorf("answered to %v", to)
	}
	id = s.arrives(addr.Path{}, s.seal(letter(ward, "from nowhere", desk), s.others[ward.Domain]), desk)
	if r := s.recipient(id, desk); r.State != transit.Aside || s.works("notice") != 0 {
		t.Errorf("of a strict partner: %q", r.State)
	}
	id = s.arrives(addr.Path{}, s.seal(letter(lab, "in another's name", desk), s.others[ward.Domain]), desk)
	if r := s.recipient(id, desk); r.State != transit.Aside {
		t.Errorf("signed by another: %q", r.State)
	}
}

// Who may write in whose name: From and Sender of what our accounts submit. DIR-10, DIR-46; RFC 5322 §3.6.2.
func TestOnBehalf(t *testing.T) {
	s := newSide(t)
	s.account(second)
	for _, tc := range []struct {
		name, from, sender string
		allowed            bool   // on_behalf
		clause             string // "": taken
	}{
		{"oneself", "desk@north.example", "", false, ""},
		{"oneself, as Sender too", "desk@north.example", "Desk <DESK@north.example>", false, ""},
		{"another Sender", "desk@north.example", "ward@north.example", true, "Direct 2.2"},
		{"a Sender that cannot be read", "desk@north.example", "desk@@", true, "Direct 2.2"},
		{"two Senders", "desk@north.example", "desk@north.example, ward@north.example", true, "Direct 2.2"},
		{"another", "ward@north.example", "desk@north.example", false, "Direct 2.2"},
		{"another, allowed", "ward@north.example", "desk@north.example", true, ""},
		{"another, without saying so", "ward@north.example", "", true, "RFC 5322 §3.6.2"},
		{"nobody", "nobody@north.example", "desk@north.example", true, "Direct 1.4"},
		{"a stranger", lab.String(), "desk@north.example", true, "Direct 1.4"},
		{"a tag", "desk+x@north.example", "desk@north.example", true, "Direct 1.4"},
		{"two authors", "desk@north.example, ward@north.example", "desk@north.example", true, "Direct 2.2"},
	} {
		s.OnBehalf = tc.allowed
		text := strings.Replace(letter(desk, tc.name, lab), "From: desk@north.example\r\n", "From: "+tc.from+"\r\n", 1)
		if tc.sender != "" {
			text = "Sender: " + tc.sender + "\r\n" + text
		}
		_, err := s.trySubmit(text, lab)
		clause := ""
		if isRefusal(err) {
			clause = refusalOf(err).Clause
		} else {
			s.must(err)
		}
		if clause != tc.clause {
			t.Errorf("%s: %q (%v), want %q", tc.name, clause, err, tc.clause)
		}
	}
}

// In another's name only a certificate signs that speaks for both: not the account's own.
func TestOnBehalfIsSignedForBoth(t *testing.T) {
	s := newSide(t)
	s.OnBehalf = true
	s.account(second)
	s.certify(store.Owner{Address: desk}, s.ca.Issue(t, desk.String()))
	sent := s.letters()
	s.submit("in my own", lab)
	s.submitText("Sender: desk@north.example\r\n"+letter(second, "in the ward's", lab), lab)
	for range 2 {
		s.step("outbound")
		s.step("deliver")
	}
	for i, want := range []trust.Binding{trust.AddressBound, trust.OrgBound} {
		if got, _ := trust.Names((*sent)[i].Signatures[0].Certificate, desk); got != want {
			t.Errorf("letter %d is signed by a certificate that is %s", i, got)
		}
	}
	// Where there is no such certificate it is refused at once.
	alone := newSide(t, func(c *x509.Certificate) { c.DNSNames, c.EmailAddresses = nil, []string{desk.String()} })
	alone.OnBehalf = true
	alone.account(second)
	_, err := alone.trySubmit("Sender: desk@north.example\r\n"+letter(second, "x", lab), lab)
	if !isRefusal(err) || refusalOf(err).Clause != "Direct 4.1" {
		t.Errorf("%v", err)
	}
}

func refusalOf(err error) *flow.Refusal {
	return err.(*flow.Refusal)
}
