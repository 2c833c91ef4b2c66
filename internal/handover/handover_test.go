package handover

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"carepost/dicom/dimse"
	"carepost/internal/mailbox"
	"carepost/internal/store"
	"carepost/internal/store/storetest"
	"carepost/internal/transit"
)

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A COMPLETE study is given away once, whatever else is on the queue; its row and the audit say so.
func TestGiven(t *testing.T) {
	to := &script{}
	h := newHouse(t, to)
	h.deliver(letter(t, whole))
	if h.left() != 1 {
		t.Fatalf("%d pieces of work: the other destination is not for this account", h.left())
	}
	h.step()
	r := h.row()
	if r.State != store.HandoverDone || r.Total != 4 || r.Taken != 4 || h.left() != 0 || h.audited("study.hand-over") != 1 || len(to.given) != 1 {
		t.Errorf("%+v, %d left, %v", r, h.left(), to.given)
	}
	if err := h.Retry(t.Context(), "test", r.ID); !errors.Is(err, store.ErrConflict) {
		t.Errorf("again: %v", err)
	}
}

// What had no room is tried again, alone; what is refused is not, until the operator says so.
func TestPartly(t *testing.T) { partly(t, store.Options{}) }

// The rows of an installation on PostgreSQL say the same.
func TestPartlyOnPostgres(t *testing.T) { partly(t, store.Options{DSN: storetest.Postgres(t)}) }

func partly(t *testing.T, o store.Options) {
	to := &script{says: map[int]Outcome{1: {Later, "A700H out of resources"}, 2: {Refused, "C000H cannot be understood"}, 3: {Fate: Warned}}}
	h := newHouseOn(t, o, to)
	h.deliver(letter(t, whole))
	h.step()
	if r := h.row(); r.State != store.HandoverWaiting || r.Taken != 2 || h.left() != 1 {
		t.Fatalf("%+v", r)
	}
	list, err := h.List(t.Context(), false)
	if err != nil || len(list) != 1 || list[0].To != desk || !strings.Contains(list[0].Error, "1 of 4 instances are not taken yet, 1 were refused") || list[0].Fates[Refused] != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	delete(to.says, 1)
	h.step()
	r := h.row()
	if r.State != store.HandoverFailed || r.Taken != 3 || len(to.given[1]) != 1 || to.given[1][0] != to.order[1] || h.audited("study.hand-over-fail") != 1 {
		t.Fatalf("%+v, %v", r, to.given)
	}
	if n, err := h.Failed(t.Context()); n != 1 || err != nil {
		t.Errorf("%d failed, %v", n, err)
	}
	shown, err := h.Show(t.Context(), "test", r.ID)
	if err != nil || len(shown.Detail.Refused) != 1 || shown.Detail.Refused[0].SOPInstance != to.order[2] || h.audited("handover.show") != 1 {
		t.Errorf("%+v, %v", shown, err)
	}
	if strings.Contains(h.log.String(), to.order[2]) || strings.Contains(h.log.String(), "desk") {
		t.Errorf("the log tells of people: %s", h.log.String())
	}
	delete(to.says, 2)
	h.must(h.Retry(t.Context(), "test", r.ID))
	h.step()
	if r := h.row(); r.State != store.HandoverDone || r.Taken != 4 || !slices.Equal(to.given[2], to.order[2:3]) || h.left() != 0 {
		t.Errorf("%+v, %v", r, to.given)
	}
}

// A try that ends in the middle loses nothing that is known; what nobody takes for days is given up, for the operator to see.
func TestLost(t *testing.T) {
	to := &script{says: map[int]Outcome{2: {Fate: Untried}, 3: {Fate: Untried}}, end: errors.New("dimse: the association was lost")}
	h := newHouse(t, to)
	h.deliver(letter(t, whole))
	h.step()
	if r := h.row(); r.State != store.HandoverWaiting || r.Taken != 2 || h.left() != 1 {
		t.Fatalf("%+v", r)
	}
	h.now = h.now.Add(patience + time.Hour)
	h.step()
	if r := h.row(); r.State != store.HandoverFailed || !strings.Contains(r.Detail.Reason, "given up: 2 of 4") || len(to.given[1]) != 2 {
		t.Fatalf("%+v %v", r, to.given)
	}
	// The queue's own retry is as good as ours, and its patience is new.
	to.says, to.end = nil, nil
	h.tx(func(tx *store.Tx) error {
		all, err := tx.Works(store.Dead, 10)
		if err == nil && len(all) != 1 {
			t.Errorf("%d are buried", len(all))
		}
		return errors.Join(err, tx.RetryWorkNow(all[0].ID))
	})
	h.step()
	if r := h.row(); r.State != store.HandoverDone || len(to.given[2]) != 2 {
		t.Errorf("%+v", r)
	}
}

// What is not COMPLETE stays in its mail; what is no study, or of another sender, is nobody's business.
func TestNotGiven(t *testing.T) {
	for name, tc := range map[string]struct {
		text  string
		state store.HandoverState
	}{
		"flipped":  {letter(t, func(b []byte) []byte { b = bytes.Clone(b); b[len(b)/2] ^= 1; return b }), store.HandoverLeft},
		"cut":      {letter(t, func(b []byte) []byte { return b[:len(b)/2] }), store.HandoverLeft},
		"loose":    {loose(t), store.HandoverLeft},
		"none":     {header + "\r\njust text\r\n", ""},
		"not MIME": {header + "Content-Type: multipart/mixed; boundary=b\r\nContent-Type: text/plain\r\n\r\n", ""},
	} {
		to := &script{}
		h := newHouse(t, to)
		h.deliver(tc.text)
		h.step()
		if r := h.row(); r.State != tc.state || len(to.given) != 0 || h.left() != 0 || (tc.state != "") != (h.audited("study.leave") == 1) {
			t.Errorf("%s: %+v, %d left", name, r, h.left())
		}
	}
	to := &script{}
	h := newHouse(t, to, "west.example")
	h.deliver(letter(t, whole))
	h.step()
	if r := h.row(); r.State != "" || len(to.given) != 0 || h.left() != 0 {
		t.Errorf("of another sender: %+v", r)
	}
}

// loose is a mail with an image attached by itself.
func loose(t testing.TB) string {
	t.Helper()
	files, err := filepath.Glob("../demo/study/files/*.dcm")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	text.WriteString(header + "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nan image\r\n--b\r\n" +
		"Content-Type: application/dicom\r\nContent-Disposition: attachment; filename=\"1.dcm\"\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	for line := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString(b)), 76) {
		text.WriteString(string(line) + "\r\n")
	}
	return text.String() + "--b--\r\n"
}

// The sender's notice of the final delivery waits for the study, and is not given where that fails.
func TestAwaited(t *testing.T) {
	to := &script{says: map[int]Outcome{0: {Later, "A700H"}}}
	h := newHouse(t, to)
	message := h.mail()
	laid := func() (l mailbox.Laying) {
		h.must(h.o.Store.View(t.Context(), func(tx *store.Tx) (err error) { l, err = h.boxes.Laid(tx, desk, message); return err }))
		return l
	}
	if laid() != mailbox.NotLaid {
		t.Error("before it is looked at")
	}
	h.step()
	if laid() != mailbox.NotLaid {
		t.Error("while something is missing")
	}
	to.says[0] = Outcome{Refused, "C000H"}
	h.step()
	if laid() != mailbox.NeverLaid {
		t.Error("refused")
	}
	h.boxes.Outs[0].Quietly = true
	if laid() != mailbox.Laid {
		t.Error("nobody waits for it")
	}
	h.boxes.Outs[0].Quietly = false
	delete(to.says, 0)
	h.must(h.Retry(t.Context(), "test", h.row().ID))
	if laid() != mailbox.NotLaid {
		t.Error("it is on its way again")
	}
	h.step()
	if laid() != mailbox.Laid {
		t.Error("it is there")
	}
}

// mail delivers a study in a mail that has a message.
func (h *house) mail() string {
	h.t.Helper()
	m := store.Message{Direction: transit.Inbound, Kind: transit.Mail}
	h.tx(func(tx *store.Tx) error { return tx.InsertMessage(&m) })
	d, err := h.o.Blobs.Create()
	h.must(err)
	defer d.Discard()
	_, err = d.Write([]byte(letter(h.t, whole)))
	h.must(err)
	ref, err := d.Commit()
	h.must(err)
	h.tx(func(tx *store.Tx) error {
		if err := tx.InsertBlob(store.Blob(ref)); err != nil {
			return err
		}
		return h.boxes.Deliver(tx, desk, mailbox.Inbox, store.Mail{Message: m.ID, Blob: ref.ID, At: arrived, Size: ref.Size})
	})
	return m.ID
}

// What ended is listed for a while, and then forgotten; the audit keeps it.
func TestForgotten(t *testing.T) {
	h := newHouse(t, &script{})
	for i, later := range []time.Duration{0, kept / 2, kept + time.Hour} { // the rows have the time of the database
		h.now = time.Now().Add(later)
		h.deliver(letter(t, whole))
		h.step()
		list, err := h.List(t.Context(), true)
		if want := []int{1, 2, 0}[i]; err != nil || len(list) != want || h.audited("study.hand-over") != i+1 {
			t.Errorf("after %v: %d listed, %v, %d entries", later, len(list), err, h.audited("study.hand-over"))
		}
	}
}

// The operator ends a way, also one that is under way, and one that leads nowhere any more; a mail that is deleted ends it too.
func TestEnded(t *testing.T) {
	to := &script{says: map[int]Outcome{0: {Later, "A700H"}}}
	h := newHouse(t, to)
	h.deliver(letter(t, whole))
	h.step()
	h.must(h.Drop(t.Context(), "test", h.row().ID))
	if h.row().State != "" || h.left() != 0 || h.audited("handover.drop") != 1 {
		t.Errorf("%+v, %d left", h.row(), h.left())
	}
	if err := h.Drop(t.Context(), "test", "none"); !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}

	h = newHouse(t, to)
	h.deliver(letter(t, whole))
	h.o.Destinations[0].Name = "renamed"
	h.step()
	if r := h.row(); r.State != store.HandoverFailed || !strings.Contains(r.Detail.Reason, "no [[dicom.out]]") {
		t.Errorf("%+v", r)
	}
	h.o.Destinations[0].Name = "pacs"
	h.must(h.Retry(t.Context(), "test", h.row().ID))
	h.tx(func(tx *store.Tx) error { _, err := tx.RemoveMail(h.row().Mailbox, h.row().UID); return err })
	h.step()
	if h.row().State != "" || h.left() != 0 || h.audited("study.leave") != 0 { // nobody had looked whether there is a study in it
		t.Errorf("a mail that is gone: %+v", h.row())
	}

	h = newHouse(t, to)
	h.deliver(letter(t, whole))
	h.step()
	h.tx(func(tx *store.Tx) error { _, err := tx.RemoveMail(h.row().Mailbox, h.row().UID); return err })
	h.step()
	if h.row().State != "" || h.left() != 0 || h.audited("study.leave") != 1 {
		t.Errorf("a mail that is gone with a part of its study: %+v, %d entries", h.row(), h.audited("study.leave"))
	}

	h = newHouse(t, to)
	h.deliver(letter(t, whole))
	h.tx(func(tx *store.Tx) error {
		all, err := tx.Works(store.Ready, 10)
		return errors.Join(err, tx.CancelWork(all[0].ID))
	})
	list, err := h.List(t.Context(), false)
	if err != nil || len(list) != 1 || !list[0].Idle {
		t.Fatalf("taken off the queue: %+v, %v", list, err)
	}
	delete(to.says, 0)
	h.must(h.Retry(t.Context(), "test", h.row().ID))
	h.step()
	if h.row().State != store.HandoverDone {
		t.Errorf("%+v", h.row())
	}
}

// What cannot be read here has been refused by nobody.
func TestOwnFault(t *testing.T) {
	if o := result(dimse.Result{Err: fmt.Errorf("%w: too many open files", dimse.ErrSource)}); o.Fate != Later {
		t.Errorf("%+v", o)
	}
	if o := result(dimse.Result{Err: dimse.ErrNotAccepted}); o.Fate != Refused {
		t.Errorf("%+v", o)
	}
}
