package flow_test

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/cms"
	"carepost/internal/transit"
	"carepost/smime"
)

// A letter that comes again, signed and sealed anew, is shown once and answered once; what is another letter is shown. DIR-27.
func TestToldOnce(t *testing.T) {
	s := newSide(t)
	theirs, other := s.others[lab.Domain], s.others[ward.Domain]
	text := "Received: from a by b; now\r\n" + letter(lab, "the result\r\n", desk)
	again := func(text string) []byte { // another second, another signature
		s.now = s.now.Add(time.Second)
		return s.seal(text, theirs)
	}
	answered, shown := 0, 0
	for _, tc := range []struct {
		name   string
		from   addr.Address
		sealed []byte
		to     addr.Address
		again  bool
	}{
		{"first", lab, again(text), desk, false},
		{"sealed and signed anew", lab, again(text), desk, true},
		{"with another trace", lab, again("Received: from c by d; later\r\nX-Loop: 1\r\n" + text), desk, true},
		{"folded anew", lab, again(strings.Replace(text, "Content-Type: text/plain", "Content-Type:\r\n\ttext/plain", 1)), desk, true},
		{"another text", lab, again(strings.Replace(text, "result", "resu1t", 1)), desk, false},
		{"one line more", lab, again(text + "\r\n"), desk, false},
		{"another subject", lab, again(strings.Replace(text, "the subject", "the other", 1)), desk, false},
		{"another type", lab, again(strings.Replace(text, "text/plain", "text/html", 1)), desk, false},
		{"another Message-ID", lab, again(strings.Replace(text, "Message-ID: <", "Message-ID: <x", 1)), desk, false},
		{"another recipient", lab, again(text), urgent, false},
		{"another sender", ward, s.seal(strings.Replace(text, "From: lab@south.example", "From: "+ward.String(), 1), other), desk, false},
		{"without Message-ID", lab, again(strings.Replace(text, "Message-ID", "X-ID", 1)), desk, false},
		{"without Message-ID again", lab, again(strings.Replace(text, "Message-ID", "X-ID", 1)), desk, false},
		{"the first once more", lab, again(text), desk, true},
	} {
		id := s.arrives(addr.Path{Address: tc.from}, tc.sealed, tc.to)
		want := transit.Opened
		if tc.again {
			want = transit.Settled
		} else {
			answered, shown = answered+1, shown+1
		}
		if r := s.recipient(id, tc.to); r.State != want {
			t.Errorf("%s: %q", tc.name, r.State)
		}
	}
	if n := len(s.inbox()); n != shown {
		t.Errorf("%d letters are shown, want %d", n, shown)
	}
	if n := s.works("notice"); n != answered {
		t.Errorf("%d notices, want %d", n, answered)
	}
}

// Unwrapped as well, whatever trace its header has: the content is what was signed.
func TestToldOnceUnwrapped(t *testing.T) {
	s := newSide(t)
	text := letter(lab, "the result\r\n", desk)
	p := s.others[lab.Domain]
	for i, want := range []transit.State{transit.Opened, transit.Settled} {
		s.now = s.now.Add(time.Second)
		var sealed bytes.Buffer
		s.must(smime.Seal(&sealed, strings.NewReader(text), smime.SealOptions{Unwrapped: true,
			Signers: []cms.Signer{{Key: p.Key, Certificate: p.Certificate, Time: s.now}}, Recipients: []*x509.Certificate{s.own.Certificate}}))
		id := s.arrives(addr.Path{Address: lab}, append(fmt.Appendf(nil, "Received: from %d by b; now\r\n", i), sealed.Bytes()...), desk)
		if r := s.recipient(id, desk); r.State != want {
			t.Errorf("%d: %q", i, r.State)
		}
	}
}

// Nobody had the address when it came first: when somebody has it the letter is new, for it was never shown.
func TestNotToldToNobody(t *testing.T) {
	s := newSide(t)
	text := letter(lab, "t", second)
	for i, want := range []int{1, 1, 1} {
		if i == 1 {
			s.account(second)
		}
		s.now = s.now.Add(time.Second)
		failures := s.works("failure")
		id := s.arrives(addr.Path{Address: lab}, s.seal(text, s.others[lab.Domain]), second)
		if r := s.recipient(id, second); (r.State == transit.Settled) != (i == 2) {
			t.Errorf("%d: %q", i, r.State)
		}
		if s.works("failure") != want || i == 0 && failures != 0 {
			t.Errorf("%d: %d failures", i, s.works("failure"))
		}
	}
}
