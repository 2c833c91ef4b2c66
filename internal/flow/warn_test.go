package flow_test

import (
	"strings"
	"testing"

	"carepost/dicom/zipmail"
	"carepost/internal/transit"
)

// Who gets mail that was held learns as well that its file-set is not whole, when he gets it: not before, and once. DCM-33, DCM-22.
func TestReleasedIsWarnedOf(t *testing.T) {
	for name, cut := range map[string]bool{"whole": false, "cut": true} {
		t.Run(name, func(t *testing.T) {
			s := newSide(t)
			s.Rules = holding(transit.Inbound)
			text := study(t, lab, desk, zipmail.GenSec, "phantom")
			if cut {
				text = text[:len(text)*2/3]
			}
			s.accept(lab, s.seal(text, s.others[lab.Domain]))
			s.step("inbound")
			if n := len(s.inbox()); n != 0 {
				t.Fatalf("%d are shown", n)
			}
			s.must(s.Release(t.Context(), operator, s.held(1)[0].Work))
			s.twice(s.claim("warn"))
			mails := s.inbox()
			if !cut {
				if len(mails) != 1 {
					t.Errorf("%d mails about a set that is whole", len(mails))
				}
				return
			}
			if len(mails) != 2 || mails[1].Subject != "DAMAGED: DICOM-ZIP phantom" {
				t.Fatalf("%d mails: %+v", len(mails), mails)
			}
			if letter := strings.ReplaceAll(s.text(mails[1]), "=\r\n", ""); !strings.Contains(letter, "To: "+desk.String()) || !strings.Contains(letter, "Do not\r\nuse them") {
				t.Errorf("%s", letter)
			}
		})
	}
}
