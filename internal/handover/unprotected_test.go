package handover

import (
	"strings"
	"testing"

	"carepost/internal/mailbox"
	"carepost/internal/store"
)

// What came neither encrypted nor signed is given to no PACS, however whole it is: the mark cannot go there. DCM-32. ATT-43.
func TestUnprotectedStays(t *testing.T) {
	to := &script{}
	h := newHouse(t, to)
	h.deliver(mailbox.ProtectionField + ": none; STD-GEN-ZIP-MAIL, neither encrypted nor signed\r\n" + letter(t, whole))
	h.step()
	r := h.row()
	if r.State != store.HandoverLeft || !strings.Contains(r.Detail.Reason, "nobody vouches") || len(to.given) != 0 || h.left() != 0 || h.audited("study.leave") != 1 {
		t.Errorf("%+v, %v", r, to.given)
	}
}
