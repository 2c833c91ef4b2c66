package intake

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"carepost/internal/rule"
	"carepost/internal/store"
	"carepost/internal/transit"
)

// pictured is made with so many bytes of pixels that do not get smaller.
func pictured(study, instance string, n int) []byte {
	pixels := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(len(instance)), instance[0]})
	r.Read(pixels)
	return element(made(study, instance, nil), 0x7FE00010, "OB", string(pixels))
}

// A device's study that is larger than its recipients take goes in several mails, in the step that says so; an object that comes again is sent
// again once one of them has failed for everybody. DCM-16.
func TestLargeStudy(t *testing.T) {
	h := newHouse(t, everything())
	h.o.Flow.Rules = rule.Rules{{Size: 300_000}}
	want := map[string]bool{}
	for i := range 5 {
		b := pictured("1", fmt.Sprint(i+1), 90_000)
		want[string(b)] = true
		h.take(device, b)
	}
	h.quietly()
	mails := h.sentMails()
	if s := h.only(); len(mails) < 3 || s.State != store.IntakeSent || s.Message != mails[0].ID || h.bodies() != len(mails) || h.audited("intake.send") != 1 {
		t.Fatalf("%d mails, %+v, %d bodies", len(mails), s, h.bodies())
	}
	for i, m := range mails {
		text := h.text(m)
		if !strings.HasPrefix(m.Header.Subject, fmt.Sprintf("DICOM-ZIP (%d/%d)", i+1, len(mails))) || m.Header.Transfer != mails[0].Header.Transfer || m.Header.Attests != "route:all" || len(text) > 300_000 ||
			!bytes.Contains(text, []byte(fmt.Sprintf("This is part %d of %d of one transfer", i+1, len(mails)))) {
			t.Errorf("part %d: %+v\n%.1500s", i+1, m.Header, text)
		}
		for b := range h.objects(m) {
			delete(want, b)
		}
	}
	if len(want) > 0 {
		t.Errorf("%d objects are missing", len(want))
	}
	again := pictured("1", "1", 90_000)
	if x := h.take(device, again); !x.Repeat {
		t.Error("an object that was sent is taken again")
	}
	h.must(h.o.Store.Tx(t.Context(), func(tx *store.Tx) error {
		rs, err := tx.Recipients(mails[len(mails)-1].ID)
		if err != nil {
			return err
		}
		return tx.MoveRecipient(rs[0].ID, rs[0].Version, store.Move{To: transit.Failed, Cause: "test"})
	}))
	if x := h.take(device, again); x.Repeat {
		t.Error("an object is not taken again though a part of its study has failed")
	}

	// What cannot be divided waits for a person, and says why.
	h.o.Flow.Rules = rule.Rules{{Size: 100_000}}
	h.take(device, pictured("2", "9", 200_000))
	h.quietly()
	if s := h.only(); s.State != store.IntakeHeld || s.Why != WhyRefused || !strings.Contains(strings.Join(s.Reason, ""), "one image alone") {
		t.Errorf("%+v", s)
	}
}
