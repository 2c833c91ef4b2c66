package flow_test

import (
	"strings"
	"testing"

	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/trust/certtest"
)

// Who is trusted to be written to and not to write is heard about what we wrote, and about nothing else: a letter that calls itself a
// report is a letter. Direct 4.2.1.
func TestReportOfOneWay(t *testing.T) {
	s := newSide(t)
	theirs := certtest.NewCA(t, "Outgoing only")
	p := theirs.Issue(t, lab.Domain.String())
	s.others[lab.Domain] = p
	s.tx(func(tx *store.Tx) error {
		return tx.InsertAnchor(&store.Anchor{Owner: store.Owner{Domain: desk.Domain}, Direction: transit.Outbound, DER: theirs.Certificate.Raw, Source: "test"})
	})
	for _, kind := range []string{"", "; report-type=delivery-status", "; report-type=disposition-notification"} {
		text := strings.Replace(letter(lab, "--b\r\n\r\nbuy\r\n--b--\r\n", desk), "text/plain", "multipart/report"+kind+"; boundary=b", 1)
		id := s.accept(lab, s.seal(text, p))
		s.step("inbound")
		if r := s.recipient(id, desk); r.State != transit.Aside {
			t.Errorf("%q: %q", kind, r.State)
		}
	}
	text := letter(desk, "how are you?", lab)
	sent := s.submitText(text, lab)
	s.step("outbound")
	s.step("deliver")
	s.accept(lab, s.seal(processedMDN(t, text), p))
	s.step("inbound")
	if r := s.recipient(sent, lab); r.State != transit.Processed {
		t.Errorf("after his notice our letter is %q", r.State)
	}
	if n := len(s.inbox()); n != 0 {
		t.Errorf("%d letters are shown of somebody who may not write", n)
	}
}

// Who may write and is not written to gets our notices, and nothing that one of us calls a report.
func TestOwnReportToOneWay(t *testing.T) {
	s := newSide(t)
	theirs := certtest.NewCA(t, "Incoming only")
	p := theirs.Issue(t, lab.Domain.String())
	s.others[lab.Domain] = p
	s.tx(func(tx *store.Tx) error {
		return tx.InsertAnchor(&store.Anchor{Owner: store.Owner{Domain: desk.Domain}, Direction: transit.Inbound, DER: theirs.Certificate.Raw, Source: "test"})
	})
	s.accept(lab, s.seal(letter(lab, "a letter", desk), p))
	s.step("inbound")
	s.step("notice")
	s.step("outbound")
	s.step("deliver")
	if n := s.audited("notice.send"); n != 1 {
		t.Errorf("%d notices", n)
	}
	text := strings.Replace(letter(desk, "--b\r\n\r\nabout Grace\r\n--b--\r\n", lab), "text/plain", "multipart/report; report-type=disposition-notification; boundary=b", 1)
	id := s.submitText(text, lab)
	s.step("outbound")
	if r := s.recipient(id, lab); r.State != transit.Failed {
		t.Errorf("a letter to somebody who is not written to is %q", r.State)
	}
}
