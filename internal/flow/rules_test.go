package flow_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"carepost/addr"
	"carepost/cms"
	"carepost/dsn"
	"carepost/internal/flow"
	"carepost/internal/rule"
	"carepost/internal/transit"
	"carepost/smime"
)

// multipart is a letter of parts, each with its header.
func multipart(from, to addr.Address, parts ...string) string {
	text := strings.Replace(letter(from, "", to), "text/plain", "multipart/mixed; boundary=cut", 1)
	for _, p := range parts {
		text += "--cut\r\n" + p + "\r\n"
	}
	return text + "--cut--\r\n"
}

const (
	plainPart = "Content-Type: text/plain\r\n\r\nthe result is enclosed"
	hl7Part   = "Content-Type: application/hl7-v2\r\n\r\nMSH|^~\\&|LAB"
	pdfPart   = "Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0xLjQK"
)

var records = addr.Address{Endpoint: "records", Domain: "north.example"}

// opened is what a stranger reads of what is handed over to him.
func (s *side) opened(c transit.Consignment) string {
	s.t.Helper()
	p := s.others[c.Domain]
	var out bytes.Buffer
	_, err := smime.Open(&out, io.NewSectionReader(c.Body, 0, c.Body.Size()), []cms.Recipient{{Certificate: p.Certificate, Key: p.Key}}, smime.OpenOptions{})
	s.must(err)
	return out.String()
}

// answersTo has a stranger's mail answered, and counts the notices.
func (s *side) answersTo() (processed, failed int) {
	s.t.Helper()
	for s.works("notice") > 0 {
		s.step("notice")
		processed++
	}
	for s.works("outbound") > 0 {
		s.step("outbound")
	}
	for s.works("deliver") > 0 {
		s.step("deliver")
	}
	for s.works("failure") > 0 {
		s.step("failure")
		failed++
	}
	return processed, failed
}

// What an address does not take is answered: processed first, then failed, with what is taken and who takes more. Nobody sees it. DIR-07, DIR-47; ATT-35.
func TestRefusedByRule(t *testing.T) {
	only := rule.Rules{{Accept: []string{"text/plain", "application/pdf"}, Instead: records}}
	yes := true
	s := newSide(t)
	for name, tc := range map[string]struct {
		rules rule.Rules
		text  string
		code  string // none: it is shown
		says  string
	}{
		"accepted":       {only, multipart(lab, desk, plainPart, pdfPart), "", ""},
		"not accepted":   {only, multipart(lab, desk, plainPart, hl7Part), "5.6.1", "send it to records@north.example, which takes more"},
		"cannot be read": {only, strings.Replace(multipart(lab, desk, plainPart), "Content-Type: text/plain", "Content-Type: text/plain\r\nContent-Type: text/html", 1), "5.6.0", "simpler form"},
		"too large":      {rule.Rules{{Size: 2000, Direction: transit.Inbound}}, letter(lab, large, desk), "5.2.3", "this address takes is 2 KB"},
		"not too large":  {rule.Rules{{Size: 2000, Direction: transit.Outbound}}, letter(lab, large, desk), "", ""},
		"for nobody":     {rule.Rules{{Readable: &yes}}, multipart(lab, desk, hl7Part), "5.6.0", "as text or PDF"},
		"for people too": {rule.Rules{{Readable: &yes}}, multipart(lab, desk, hl7Part, pdfPart), "", ""},
		"refused":        {rule.Rules{{Refuse: "closed for the move", With: rule.Who{Domains: map[addr.Domain]bool{lab.Domain: true}}}}, letter(lab, "x", desk), "5.7.1", "closed for the move"},
		"of another":     {rule.Rules{{Refuse: "closed", With: rule.Who{Domains: map[addr.Domain]bool{ward.Domain: true}}}}, letter(lab, "x", desk), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s.Rules = tc.rules
			shownBefore, refusedBefore := len(s.inbox()), s.audited("recipient.refuse")
			var reports []string
			s.reply = func(c transit.Consignment) transit.Outcome {
				reports = append(reports, s.opened(c))
				return answers(c, transit.Delivered, 250)
			}
			id := s.accept(lab, s.seal(tc.text, s.others[lab.Domain]))
			s.step("inbound")
			shown := len(s.inbox()) - shownBefore
			processed, failed := s.answersTo()
			for s.works("outbound") > 0 {
				s.step("outbound")
				s.step("deliver")
			}
			if r := s.recipient(id, desk); r.State != transit.Settled || processed != 1 {
				t.Errorf("%q, %d processed notices", r.State, processed)
			}
			refused := s.audited("recipient.refuse") - refusedBefore
			if tc.code == "" {
				if shown != 1 || failed != 0 || refused != 0 {
					t.Errorf("shown %d times, %d failed notices", shown, failed)
				}
				return
			}
			if shown != 0 || failed != 1 || len(reports) != 2 || refused != 1 {
				t.Fatalf("shown %d times, %d failed notices, %d reports", shown, failed, len(reports))
			}
			if !strings.Contains(strings.ToLower(unfold(reports[0])), "/mdn-sent-automatically;processed") {
				t.Error("the processed notice does not go first")
			}
			if !strings.Contains(reports[1], "Status: "+tc.code) || !strings.Contains(unfold(reports[1]), tc.says) {
				t.Errorf("%s", reports[1])
			}
		})
	}
}

// unfold takes line ends out of a text.
func unfold(text string) string { return strings.Join(strings.Fields(text), " ") }

// News of our own mail are read whatever a rule says of their sender: a rule of content is not made for them.
func TestNoRuleForNews(t *testing.T) {
	s := newSide(t)
	s.Rules = rule.Rules{{Accept: []string{"application/pdf"}, Direction: transit.Inbound}}
	id := s.submit("short", lab)
	s.step("outbound")
	s.step("deliver")
	s.accept(lab, s.seal(processedMDN(t, s.raw(id)), s.others[lab.Domain]))
	s.step("inbound")
	if r := s.recipient(id, lab); r.State != transit.Processed {
		t.Errorf("%q", r.State)
	}
	// Whatever somebody calls his letter: what is about nothing of ours is one.
	s.accept(lab, s.seal(processedMDN(t, "Message-ID: <nothing@north.example>\r\n"), s.others[lab.Domain]))
	s.step("inbound")
	if n := len(s.inbox()); n != 0 || s.works("notice")+s.works("failure") != 0 {
		t.Errorf("%d shown, %d answers", n, s.works("notice")+s.works("failure"))
	}
}

// Who may not be written to is told to the sender in the same report as who cannot; the others get their mail. DIR-48.
func TestOutboundByRule(t *testing.T) {
	s := newSide(t)
	yes := true
	s.Rules = rule.Rules{
		{Refuse: "not by Direct", With: rule.Who{Addresses: map[string]bool{ward.Key(): true}}, Direction: transit.Outbound},
		{Readable: &yes, Direction: transit.Outbound},
	}
	stranger := addr.Address{Endpoint: "x", Domain: "east.example"}
	id := s.submit("short", lab, ward, stranger)
	s.step("outbound")
	for a, want := range map[addr.Address]transit.State{lab: transit.Sealed, ward: transit.Failed, stranger: transit.Failed} {
		if r := s.recipient(id, a); r.State != want {
			t.Errorf("%s: %q", a.Domain, r.State)
		}
	}
	mails := s.inbox()
	if len(mails) != 1 {
		t.Fatalf("%d reports", len(mails))
	}
	r := s.status(mails[0])
	codes := map[string]dsn.Status{}
	for _, st := range r.Recipients {
		codes[st.Code] = st
	}
	if len(r.Recipients) != 2 || codes["5.7.1"].FinalRecipient != ward || codes["5.7.5"].FinalRecipient != stranger || !strings.Contains(s.text(mails[0]), "not by Direct") {
		t.Errorf("%+v", r.Recipients)
	}
	hl7 := s.submitText(multipart(desk, lab, hl7Part), lab)
	s.step("outbound")
	if r := s.recipient(hl7, lab); r.State != transit.Failed {
		t.Errorf("structured and nothing else: %q", r.State)
	}
	both := s.submitText(multipart(desk, lab, hl7Part, plainPart), lab)
	s.step("outbound")
	if r := s.recipient(both, lab); r.State != transit.Sealed {
		t.Errorf("structured with a text: %q", r.State)
	}
}

// What we owe is sent whatever the rules say of whom it is owed to.
func TestNoRuleForWhatIsOwed(t *testing.T) {
	s := newSide(t)
	yes := true
	s.Rules = rule.Rules{{Refuse: "nobody", Hold: &yes, Size: 1, Direction: transit.Outbound}}
	s.accept(lab, s.seal(letter(lab, "x", desk), s.others[lab.Domain]))
	s.step("inbound")
	s.step("notice")
	s.step("outbound")
	if s.works("deliver") != 1 {
		t.Error("the processed notice does not go")
	}
}

// A tag is no way round a rule: what is said of an account is said of its tags, both ways. ATT-35.
func TestRuleOfATag(t *testing.T) {
	s := newSide(t)
	s.Rules = rule.Rules{{For: rule.Who{Addresses: map[string]bool{desk.Key(): true}}, Direction: transit.Inbound, Accept: []string{"application/pdf"}},
		{With: rule.Who{Addresses: map[string]bool{desk.Key(): true}}, Direction: transit.Outbound, Refuse: "not within the house"}}
	id := s.arrives(addr.Path{Address: lab}, s.seal(letter(lab, "to a tag", urgent), s.others[lab.Domain]), urgent)
	if processed, failed := s.answersTo(); processed != 1 || failed != 1 || len(s.inbox()) != 0 {
		t.Errorf("%d processed, %d failed, %d shown\n%s", processed, failed, len(s.inbox()), s.told(id))
	}
	if r := (*flow.Refusal)(nil); !errors.As(s.Sealable(t.Context(), desk, urgent), &r) || !strings.Contains(r.Reason, "not within the house") {
		t.Errorf("sealable: %v", r)
	}
	out := s.submit("short", urgent)
	for s.works("outbound") > 0 { // the answer's too
		s.step("outbound")
	}
	if r := s.recipient(out, urgent); r.State != transit.Failed {
		t.Errorf("%q", r.State)
	}
}
