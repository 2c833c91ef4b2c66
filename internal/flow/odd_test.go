package flow_test

import (
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/rule"
	"carepost/internal/transit"
	"carepost/mdn"
)

// A notice that comes in time is known as one, however long it is awaited.
func TestLongPatience(t *testing.T) {
	s := newSide(t)
	s.Lifetime, s.Repeats = time.Hour, time.Hour
	s.Rules = rule.Rules{{With: rule.Who{Domains: map[addr.Domain]bool{lab.Domain: true}}, Patience: 10 * time.Hour}}
	m := s.track(false, lab)
	s.step("outbound")
	s.step("deliver")
	s.now = s.now.Add(9 * time.Hour)
	s.hear(m, lab, mdn.Processed, false)
	if got := s.state(m, lab); got != transit.Processed {
		t.Errorf("%q", got)
	}
}

// Who may speak for himself alone speaks of nobody else, and what he says of another recipient is not said of him.
func TestSpeaksOfAnother(t *testing.T) {
	s := newSide(t)
	other := addr.Address{Endpoint: "other", Domain: lab.Domain}
	m := s.track(false, lab, other)
	s.step("outbound")
	s.step("deliver")
	text := strings.ReplaceAll(s.word(m, lab, mdn.Failed, false), "rfc822;"+lab.String(), "rfc822;"+other.String())
	text = strings.ReplaceAll(text, "rfc822; "+lab.String(), "rfc822; "+other.String())
	s.accept(lab, s.seal(text, s.ca.Issue(t, lab.String())))
	s.step("inbound")
	for _, a := range []addr.Address{lab, other} {
		if got := s.state(m, a); got != transit.Sent {
			t.Errorf("%s: %q", a.Endpoint, got)
		}
	}
	s.hear(m, other, mdn.Failed, false) // by the domain's certificate
	if s.state(m, other) != transit.Failed || s.state(m, lab) != transit.Sent {
		t.Errorf("%q, %q", s.state(m, lab), s.state(m, other))
	}
}

// Whatever stands in a subject, the sender is told: a notice that cannot be composed would be none.
func TestOddSubjects(t *testing.T) {
	s := newSide(t)
	for name, subject := range map[string]string{
		"a line break": "=?utf-8?q?one=0D=0AX-Second:_two?=", "a nul": "=?utf-8?q?a=00b?=", "no utf-8": "=?utf-8?q?a=FFb?=", "raw": "a\xffb",
		"long": strings.Repeat("=?utf-8?q?=C3=A9=C3=A9=C3=A9=C3=A9=C3=A9=C3=A9=C3=A9=C3=A9=C3=A9?=\r\n ", 200),
	} {
		text := strings.Replace(letter(desk, "short", lab), "Subject: the subject", "Subject: "+subject, 1)
		id, err := s.Submit(t.Context(), by, transit.Envelope{From: addr.Path{Address: desk}, To: []addr.Address{lab}}, strings.NewReader(text))
		s.must(err)
		_, rest, _ := strings.Cut(text, "Message-ID: ")
		named, _, _ := strings.Cut(rest, "\r\n")
		m := tracked{id: id, messageID: named, to: []addr.Address{lab}}
		s.step("outbound")
		s.step("deliver")
		s.hear(m, lab, mdn.Failed, false)
		if got := s.heard(); got[named+" "+lab.String()+" failed"] != 1 {
			t.Errorf("%s: the sender hears %v", name, got)
		}
		for _, mail := range s.inbox() {
			if strings.Contains(s.text(mail), "\nX-Second") {
				t.Error("a field is smuggled in")
			}
		}
	}
}
