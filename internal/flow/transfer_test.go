package flow_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/dicom/fileset"
	"carepost/dicom/zipmail"
	"carepost/internal/flow"
	"carepost/internal/rule"
	"carepost/internal/store"
	"carepost/internal/transit"
)

// sets are so many File-sets of one image each.
func sets(t *testing.T, names ...string) (out []*fileset.Plan) {
	t.Helper()
	dir := os.Getenv("CAREPOST_TESTDATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "testdata")
	}
	for _, n := range names {
		p, err := fileset.Scan(context.Background(), fileset.ScanOptions{}, filepath.Join(dir, "dicom", "files", n+".dcm"))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

// partLetter is the mail that carries one of them.
func (s *side) partLetter(from, to addr.Address, id string, p zipmail.Part, all []*fileset.Plan, carried *fileset.Plan) string {
	s.t.Helper()
	var b bytes.Buffer
	s.must(zipmail.Compose(s.t.Context(), &b, zipmail.Letter{From: from, To: []addr.Address{to}, Date: s.now, MessageID: id, Part: p, Parts: zipmail.List(all)}, carried, "b1", nil))
	return b.String()
}

// Issue 7: what is interrupted goes on, and no part goes twice; once all parts have gone the same set is another transfer. DCM-16.
func TestTransferResumed(t *testing.T) {
	s := newSide(t)
	all := sets(t, "io8", "io12", "dx10")
	begin := func() flow.Transfer {
		got, err := s.BeginTransfer(t.Context(), by, flow.NewTransfer{From: desk, To: []addr.Address{lab}, Parts: zipmail.List(all)})
		s.must(err)
		return got
	}
	submit := func(tr flow.Transfer, n int) string {
		p := zipmail.Part{Transfer: tr.Name, N: n, Of: 3, Sets: tr.Sets}
		return s.submitText(s.partLetter(desk, lab, tr.Parts[n-1].MessageID, p, all, all[n-1]), lab)
	}
	first := begin()
	if first.Of != 3 || len(first.Parts) != 3 || len(first.Outstanding()) != 3 {
		t.Fatalf("%+v", first)
	}
	one := submit(first, 1)
	second := begin() // after a crash
	if second.ID != first.ID || fmt.Sprint(second.Outstanding()) != "[2 3]" || second.Parts[0].Message != one {
		t.Errorf("%s %v %+v", second.ID, second.Outstanding(), second.Parts)
	}
	// Two commands at once: whoever is second is told so, whatever his bytes.
	submit(second, 2)
	s.now = s.now.Add(time.Minute)
	if _, err := s.trySubmit(s.partLetter(desk, lab, second.Parts[1].MessageID, zipmail.Part{Transfer: second.Name, N: 2, Of: 3}, all, all[1]), lab); !isRefusal(err) {
		t.Errorf("a part twice: %v", err)
	}
	submit(second, 3)
	list, err := s.Transfers(t.Context(), by, desk, transit.Outbound)
	s.must(err)
	if len(list) != 1 || len(list[0].Outstanding()) != 0 {
		t.Errorf("%+v", list)
	}
	s.step("outbound")
	got, parts, err := s.Transfer(t.Context(), by, first.ID)
	s.must(err)
	if len(parts) != 3 || len(parts[0].Results) != 1 || got.ID != first.ID {
		t.Errorf("%+v", parts)
	}
	if again := begin(); again.ID == first.ID || len(again.Outstanding()) != 3 {
		t.Errorf("the same set another time: %+v", again)
	}
	if s.audited("transfer.begin") != 2 || s.audited("transfer.resume") != 1 || s.audited("transfer.read") != 1 || s.audited("transfer.list") != 1 {
		t.Error("not all of it is in the audit")
	}
	if _, err := s.BeginTransfer(t.Context(), by, flow.NewTransfer{From: lab, To: []addr.Address{desk}, Parts: zipmail.List(all)}); !isRefusal(err) {
		t.Errorf("a stranger's: %v", err)
	}
	if _, err := s.BeginTransfer(t.Context(), by, flow.NewTransfer{From: desk, To: []addr.Address{lab}, Parts: zipmail.List(all[:1])}); !isRefusal(err) {
		t.Errorf("of one part: %v", err)
	}
	if _, _, err := s.Transfer(t.Context(), by, "nothing"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("one that is not there: %v", err)
	}
}

// ATT-40: the receiver shows which parts are there, what is still to come, and what does not fit together.
func TestTransferArrives(t *testing.T) {
	s := newSide(t)
	all := sets(t, "io8", "io12", "dx10")
	digest := zipmail.SetsDigest(all[0].UID, all[1].UID, all[2].UID)
	mails := 0
	arrive := func(name string, n int, sets string, carried *fileset.Plan, edit func(string) string) string {
		mails++
		text := s.partLetter(lab, desk, fmt.Sprintf("<%d@south.example>", mails), zipmail.Part{Transfer: name, N: n, Of: 3, Sets: sets}, all, carried)
		if edit != nil {
			text = edit(text)
		}
		id := s.accept(lab, s.seal(text, s.others[lab.Domain]))
		s.step("inbound")
		return id
	}
	words := func(message string) string {
		t.Helper()
		tr, n, err := s.TransferOf(t.Context(), by, desk, message)
		s.must(err)
		if n == 0 {
			return ""
		}
		return tr.Words(n)
	}
	cut := func(text string) string { i := strings.Index(text, "UEsDB"); return text[:i+2000] + "\r\n--b1--\r\n" }
	third := arrive("T", 3, digest, all[2], nil)
	if got := words(third); got != "part 3 of 3; 1 of 3 are here, still to come: 1-2" {
		t.Errorf("the last first: %q", got)
	}
	arrive("T", 1, digest, all[0], cut)
	if got := words(third); got != "part 3 of 3; 1 of 3 are here, still to come: 1-2" {
		t.Errorf("a damaged part counts: %q", got)
	}
	arrive("T", 1, digest, all[0], nil)
	if got := words(third); got != "part 3 of 3; 2 of 3 are here, still to come: 2" {
		t.Errorf("sent again: %q", got)
	}
	arrive("T", 2, digest, all[1], nil)
	arrive("T", 2, digest, all[1], nil) // sent twice
	if got := words(third); got != "part 3 of 3; all parts are here" {
		t.Errorf("all: %q", got)
	}
	list, err := s.Transfers(t.Context(), by, desk, transit.Inbound)
	s.must(err)
	if whole, proven, _ := list[0].Whole(); len(list) != 1 || !whole || !proven || !list[0].Sender.Equal(lab) {
		t.Errorf("%+v", list)
	}
	for name, c := range map[string]struct {
		sets [3]string
		of   [3]int // index of the set that comes as part 1, 2, 3
		want string
	}{
		"exchanged": {[3]string{digest, digest, digest}, [3]int{0, 0, 2}, "not the ones|are not those that the sender listed"},
		"disagree":  {[3]string{digest, zipmail.SetsDigest("1"), digest}, [3]int{0, 1, 2}, "do not agree"},
		"unlisted":  {[3]string{"", "", ""}, [3]int{0, 1, 2}, "all parts are here"},
	} {
		last := ""
		for n := range 3 {
			last = arrive(name, n+1, c.sets[n], all[c.of[n]], nil)
		}
		got := words(last)
		if want := c.want[strings.Index(c.want, "|")+1:]; !strings.Contains(got, want) {
			t.Errorf("%s: %q", name, got)
		}
	}
	arrive("two", 1, digest, all[0], nil)
	if got := words(arrive("two", 1, digest, all[1], nil)); !strings.Contains(got, "two different File-sets are called part 1") {
		t.Errorf("two parts of one number: %q", got)
	}
	plain := s.accept(lab, s.seal(letter(lab, "no part of anything", desk), s.others[lab.Domain]))
	s.step("inbound")
	if got := words(plain); got != "" {
		t.Errorf("a letter: %q", got)
	}
}

// Issue 7: what a server says of the size it takes is known to the next message (RFC 1870).
func TestRoom(t *testing.T) {
	s := newSide(t)
	room := func() flow.Room {
		r, err := s.Room(t.Context(), desk, []addr.Address{lab, ward})
		s.must(err)
		return r
	}
	if r := room(); r != (flow.Room{}) {
		t.Errorf("before: %+v", r)
	}
	s.reply = func(c transit.Consignment) transit.Outcome {
		o := answers(c, transit.Rejected, 0)
		o.Most = 5e6
		for i := range o.At {
			o.At[i].Enhanced, o.At[i].Text = "5.3.4", "the message is bigger than the server takes"
		}
		return o
	}
	s.submit("large", lab)
	s.step("outbound")
	s.step("deliver")
	if r := room(); r.Sealed != 5e6 || r.Message != 0 {
		t.Errorf("after: %+v", r)
	}
	if box := s.inbox(); len(box) != 1 || !strings.Contains(strings.Join(strings.Fields(s.text(box[0])), " "), "in several mails") {
		t.Error("the sender is not told what to do")
	}
	fragments := packed(rule.SMIME, lab.Domain)
	fragments.Fragment = 100_000
	s.Rules = rule.Rules{fragments}
	if r := room(); r.Sealed != 0 {
		t.Errorf("in fragments: %+v", r)
	}
	s.Rules = nil
	s.now = s.now.Add(31 * 24 * time.Hour)
	if r := room(); r.Sealed != 0 {
		t.Errorf("much later: %+v", r)
	}
}

// DCM-16: a part that has the room of a mail makes a mail that is no larger once it is sealed, and fills most of it.
func TestArchiveRoom(t *testing.T) {
	s := newSide(t)
	set := sets(t, "io8")[0]
	for _, limit := range []int64{300_000, 2_000_000} {
		room := zipmail.ArchiveRoom(0, limit, 0)
		var b bytes.Buffer
		err := zipmail.ComposeSet(&b, zipmail.Letter{From: lab, To: []addr.Address{desk}, Date: s.now, MessageID: "<1@south.example>", Part: zipmail.Part{Transfer: "T", N: 1, Of: 9},
			Parts: zipmail.List(sets(t, "io8", "io12", "dx10"))}, set.Instances, func(w io.Writer) error { _, err := w.Write(make([]byte, room)); return err }, "b1")
		s.must(err)
		if n := int64(len(s.seal(b.String(), s.others[lab.Domain]))); n > limit || n < limit*7/10 {
			t.Errorf("an archive of %d bytes makes a mail of %d, where %d are allowed", room, n, limit)
		}
	}
	if zipmail.ArchiveRoom(0, 0, 0) >= 0 || zipmail.ArchiveRoom(1000, 0, 0) != 0 || zipmail.ArchiveRoom(1e6, 1e9, 0) >= 750_000 {
		t.Error("no limit, no room, or a message larger than its sender may write it")
	}
}
