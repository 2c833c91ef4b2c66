package intake

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"carepost/addr"
	"carepost/internal/mailbox"
	"carepost/internal/store"
)

// inbox are the letters that our account has.
func (h *house) inbox() (out []string) {
	h.t.Helper()
	all, err := h.o.Flow.Mailboxes.List(h.t.Context(), "test", imaging, mailbox.Inbox, 0, 100)
	h.must(err)
	for _, m := range all {
		b, err := h.body(h.t.Context(), m.Blob)
		h.must(err)
		text := make([]byte, b.Size())
		_, err = b.ReadAt(text, 0)
		h.must(err)
		b.Close()
		out = append(out, m.Subject+"\n"+string(text))
	}
	return out
}

// The account that would send a study is told that it waits, and why, once for each reason; no patient is named.
func TestHeldIsTold(t *testing.T) {
	h := newHouse(t, everything())
	h.take(device, made("1", "1", nil))
	h.take(device, made("1", "2", map[uint32]string{0x00100010: "Other^Name"}))
	h.quietly()
	s := h.only()
	letters := h.inbox()
	if len(letters) != 1 || !strings.Contains(letters[0], "intake show "+s.ID) || !strings.Contains(letters[0], "different patient names") ||
		strings.Contains(letters[0], "Berg") || strings.Contains(letters[0], "Other") || strings.Contains(letters[0], "4711") {
		t.Fatalf("%q", letters)
	}
	for range 2 {
		h.must(h.Retry(t.Context(), "operator:0", s.ID, Allow{}))
		h.run(kindClose)
	}
	if n := len(h.inbox()); n != 1 || h.audited("intake.hold") != 3 {
		t.Errorf("%d letters of one reason", n)
	}
	// What no account would send is told to the one that the operator names; where that is nobody's, it waits all the same.
	h.Service.routes.Store(&[]Route{})
	for i, tell := range []addr.Address{imaging, {Endpoint: "nobody", Domain: imaging.Domain}, {}} {
		h.o.Tell = tell
		h.take(device, made(fmt.Sprint(2+i), fmt.Sprint(10+i), nil))
		h.quietly()
		if s := h.only(); s.State != store.IntakeHeld || s.Why != WhyRoute || len(h.inbox()) != 2 {
			t.Errorf("%v: %+v, %d letters", tell, s, len(h.inbox()))
		}
	}
}

// What a route keeps goes by another one when a person says so, who answers for it. ATT-41.
func TestRouteIsChosen(t *testing.T) {
	far := everything()
	far.Name, far.Called = "far", []Pattern{"NEVER"}
	h := newHouse(t, Route{Name: "kept", Keep: true}, far)
	h.take(device, made("1", "1", nil))
	h.quietly()
	s := h.only()
	if s.Why != WhyRoute || !strings.Contains(s.Reason[0], `"kept"`) || !strings.Contains(s.Reason[0], "--route") {
		t.Fatalf("%+v", s)
	}
	for _, name := range []string{"kept", "nowhere"} {
		if err := h.Retry(t.Context(), "operator:7", s.ID, Allow{Route: name}); !errors.Is(err, ErrRoute) {
			t.Errorf("%s: %v", name, err)
		}
	}
	h.must(h.Retry(t.Context(), "operator:7", s.ID, Allow{}))
	h.run(kindClose)
	if s := h.only(); s.Why != WhyRoute {
		t.Errorf("%+v", s)
	}
	h.must(h.Retry(t.Context(), "operator:7", s.ID, Allow{Route: "far"}))
	h.run(kindClose)
	if s := h.only(); s.State != store.IntakeSent || s.Route != "far" {
		t.Fatalf("%+v", s)
	}
	if m := h.sentMails()[0]; m.Header.Attests != "operator:7" {
		t.Errorf("%s answers for it", m.Header.Attests)
	}
	// A route that is gone meanwhile is no way.
	h.take(device, made("2", "2", nil))
	h.quietly()
	h.must(h.Retry(t.Context(), "operator:7", h.only().ID, Allow{Route: "far"}))
	h.must(h.Use(t.Context(), []Route{everything()}))
	h.run(kindClose)
	if s := h.only(); s.State != store.IntakeHeld || !strings.Contains(s.Reason[0], "far") {
		t.Errorf("%+v", s)
	}
}

// A study that is as large as one may be takes no more, also while a person is to look at it; what comes then is another one, whose mail
// says that there is an earlier one.
func TestFull(t *testing.T) {
	h := newHouse(t, everything())
	h.most = 3
	for i := range 5 {
		h.take(device, made("1", fmt.Sprint(i), nil))
	}
	h.quietly()
	mails := h.sentMails()
	if len(mails) != 2 || bytes.Contains(h.text(mails[0]), []byte("came later")) == bytes.Contains(h.text(mails[1]), []byte("came later")) {
		t.Errorf("%d mails, not one of which came later", len(mails))
	}
	h.Service.routes.Store(&[]Route{})
	for i := range 2 {
		h.take(device, made("2", fmt.Sprint(10+i), nil))
	}
	h.quietly()
	for i := range 4 {
		h.take(device, made("2", fmt.Sprint(20+i), nil))
	}
	h.quietly()
	all, err := h.List(t.Context(), "test", false)
	h.must(err)
	if len(all) != 2 || all[0].Objects != 3 || all[1].Objects != 3 || !all[1].Late {
		t.Errorf("%+v", all)
	}
	if l, err := h.Load(t.Context()); err != nil || l.Held != 2 || l.Studies != 2 {
		t.Errorf("%+v, %v", l, err)
	}
}
