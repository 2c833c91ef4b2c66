package intake

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/dicom/fileset"
	"carepost/dicom/zipmail"
	"carepost/internal/blob"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/message"
)

// A study is sent once it is quiet, whole, as one mail with every object byte for byte, and its spool is emptied in the same transaction.
func TestStudyIsSent(t *testing.T) {
	h := newHouse(t, everything())
	files, err := filepath.Glob("../demo/study/files/*.dcm")
	if err != nil || len(files) != 4 {
		t.Fatalf("%v, %v", files, err)
	}
	want := map[string]bool{}
	for _, name := range files {
		b, err := os.ReadFile(name)
		h.must(err)
		want[string(b)] = true
		if x := h.take(device, b); x.Repeat || x.SOPInstance == "" || x.SOPClass == "" {
			t.Errorf("%+v", x)
		}
		h.now = h.now.Add(50 * time.Second)
		h.run(kindClose) // not yet
		if len(h.sentMails()) != 0 {
			t.Fatal("sent before it was quiet")
		}
	}
	if s := h.only(); s.State != store.IntakeOpen || s.Objects != 4 || h.bodies() != 4 {
		t.Errorf("%+v, %d bodies", s, h.bodies())
	}
	h.quietly()
	mails := h.sentMails()
	if len(mails) != 1 {
		t.Fatalf("%d mails", len(mails))
	}
	if s := h.only(); s.State != store.IntakeSent || s.Message != mails[0].ID || s.Route != "all" || h.bodies() != 1 {
		t.Errorf("%+v, %d bodies", s, h.bodies())
	}
	m := mails[0]
	if m.Direction != transit.Outbound || m.Header.Subject != "DICOM-ZIP" || !m.Envelope.From.Address.Equal(imaging) {
		t.Errorf("%+v", m)
	}
	h.look(m, want)
	if h.audited("intake.begin") != 1 || h.audited("intake.close") != 1 || h.audited("intake.send") != 1 || h.audited("intake.hold") != 0 {
		t.Error("the audit has other entries")
	}
}

// look unpacks the set of a mail and compares it with what was handed in.
func (h *house) look(m store.Message, want map[string]bool) {
	h.t.Helper()
	for b := range h.objects(m) {
		delete(want, b)
	}
	if len(want) > 0 {
		h.t.Errorf("%d objects are missing", len(want))
	}
}

// objects are the files of the set of a mail, which is COMPLETE.
func (h *house) objects(m store.Message) map[string]bool {
	h.t.Helper()
	out := map[string]bool{}
	body := bytes.NewReader(h.text(m))
	root, err := message.Parse(body, body.Size(), message.Limits{})
	h.must(err)
	part, findings := zipmail.Find(root)
	if part == nil || len(findings) > 0 {
		h.t.Fatalf("%v, %v", part, findings)
	}
	archive, err := io.ReadAll(part.Open(body))
	h.must(err)
	dir := filepath.Join(h.t.TempDir(), "set")
	report, err := fileset.Unpack(h.t.Context(), bytes.NewReader(archive), int64(len(archive)), dir, fileset.UnpackOptions{})
	h.must(err)
	if report.Verdict != fileset.Complete {
		h.t.Errorf("%v: %v", report.Verdict, report.Findings)
	}
	h.must(filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			b, err := os.ReadFile(path)
			out[string(b)] = true
			return err
		}
		return err
	}))
	return out
}

// Each study goes for itself, and so does each way that it comes by; a route says where. ATT-41.
func TestRoutes(t *testing.T) {
	h := newHouse(t,
		Route{Name: "mr", Study: map[string][]Pattern{"modality": {"MR"}}, From: imaging, To: []addr.Address{ward}},
		Route{Name: "kept", Calling: []Pattern{"SECRET*"}, Keep: true},
		Route{Name: "knee", Study: map[string][]Pattern{"description": {"*kn?e*"}, "referring": {"müller^*"}}, From: imaging, To: []addr.Address{lab}, Subject: "Knee"},
		Route{Name: "cr", Called: []Pattern{"WEST"}, From: imaging, To: []addr.Address{lab}, Cc: []addr.Address{ward}},
	)
	h.take(device, made("1", "1", map[uint32]string{0x00080060: "MR"}))
	h.take(device, made("2", "2", map[uint32]string{0x00080005: "ISO_IR 192", 0x00081030: "Left KNEE", 0x00080090: "Müller^Eva"}))
	h.take(Origin{Calling: "X", Called: "west", Via: "dimse"}, made("1", "3", nil))
	h.take(Origin{Calling: "SECRET1", Called: "WEST", Via: "dimse"}, made("1", "4", nil))
	h.take(device, made("3", "5", nil))
	h.quietly()
	got := map[string]string{}
	all, err := h.List(t.Context(), "test", true)
	h.must(err)
	for _, s := range all {
		got[s.Calling+"/"+s.Called] += " " + string(s.State) + ":" + s.Route + string(s.Why)
	}
	for who, want := range map[string]string{"CT1/CAREPOST": " sent:mr sent:knee held:route", "X/west": " sent:cr", "SECRET1/WEST": " held:route"} {
		if got[who] != want {
			t.Errorf("%s: %q, want %q", who, got[who], want)
		}
	}
	if mails := h.sentMails(); len(mails) != 3 {
		t.Errorf("%d mails", len(mails))
	}
	if strings.Contains(h.log.String(), "CT1") || strings.Contains(h.log.String(), "Berg") {
		t.Errorf("the log names people or their devices: %s", h.log.String())
	}
}

// What its sender sends again is not taken twice, also when the mail has gone out meanwhile; unless that mail has reached nobody. ATT-41.
func TestRepeat(t *testing.T) {
	h := newHouse(t, everything())
	o := made("1", "1", nil)
	h.take(device, o)
	if x := h.take(device, o); !x.Repeat || h.only().Objects != 1 {
		t.Errorf("%+v, %+v", x, h.only())
	}
	h.quietly()
	if x := h.take(device, o); !x.Repeat {
		t.Errorf("%+v", x)
	}
	h.quietly()
	if n := len(h.sentMails()); n != 1 || h.bodies() != 1 {
		t.Fatalf("%d mails, %d bodies", n, h.bodies())
	}
	h.must(h.o.Store.Tx(t.Context(), func(tx *store.Tx) error {
		rs, err := tx.Recipients(h.sentMails()[0].ID)
		if err != nil {
			return err
		}
		return tx.MoveRecipient(rs[0].ID, rs[0].Version, store.Move{To: transit.Failed, Cause: "no certificate"})
	}))
	if x := h.take(device, o); x.Repeat {
		t.Errorf("%+v", x)
	}
	h.quietly()
	if n := len(h.sentMails()); n != 2 {
		t.Errorf("%d mails", n)
	}
	h.now = h.now.Add(25 * time.Hour)
	h.run(kindForget)
	if x := h.take(device, o); x.Repeat {
		t.Error("known for longer than it is to be")
	}
}

// Objects that come later go in a mail that says so.
func TestLate(t *testing.T) {
	h := newHouse(t, everything())
	h.take(device, made("1", "1", nil))
	h.quietly()
	h.take(device, made("1", "2", nil))
	h.quietly()
	mails := h.sentMails()
	if len(mails) != 2 || bytes.Contains(h.text(mails[0]), []byte("came later")) || !bytes.Contains(h.text(mails[1]), []byte("came later")) {
		t.Errorf("%d mails", len(mails))
	}
	h.now = h.now.Add(31 * 24 * time.Hour)
	h.run(kindForget)
	if all, err := h.List(t.Context(), "test", true); err != nil || len(all) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
}

// What contradicts itself waits for a person, who lets it pass or drops it; what comes meanwhile joins it. ATT-41.
func TestHeld(t *testing.T) {
	h := newHouse(t, everything())
	h.take(device, made("1", "1", nil))
	h.take(device, made("1", "2", map[uint32]string{0x00100010: "Other^Name"}))
	h.quietly()
	s := h.only()
	if s.State != store.IntakeHeld || s.Why != WhyConflict || len(s.Reason) != 1 || strings.Contains(s.Reason[0], "Other") {
		t.Errorf("%+v", s)
	}
	h.take(device, made("1", "3", nil))
	if again := h.only(); again.ID != s.ID || again.Objects != 3 {
		t.Errorf("%+v", again)
	}
	d, err := h.Show(t.Context(), "operator:0", s.ID)
	h.must(err)
	if len(d.Patients) != 2 || len(d.Object) != 3 || d.StudyUID != "2.25.1.1" || h.audited("intake.show") != 1 {
		t.Errorf("%+v", d)
	}
	h.must(h.Retry(t.Context(), "operator:0", s.ID, Allow{}))
	h.run(kindClose)
	if s := h.only(); s.State != store.IntakeHeld || h.audited("intake.hold") != 2 {
		t.Errorf("%+v", s)
	}
	h.must(h.Retry(t.Context(), "operator:0", s.ID, Allow{Names: true}))
	h.run(kindClose)
	if s := h.only(); s.State != store.IntakeSent || len(h.sentMails()) != 1 || h.sentMails()[0].Header.Attests != "route:all" {
		t.Errorf("%+v", s)
	}
	for name, err := range map[string]error{"retry": h.Retry(t.Context(), "operator:0", s.ID, Allow{}), "drop": h.Drop(t.Context(), "operator:0", s.ID)} {
		if !errors.Is(err, ErrState) {
			t.Errorf("%s of what was sent: %v", name, err)
		}
	}
	if err := h.Drop(t.Context(), "operator:0", "nothing"); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
	// Two patients under one study.
	h.take(device, made("2", "4", nil))
	h.take(device, made("2", "5", map[uint32]string{0x00100020: "4712"}))
	h.quietly()
	if s = h.only(); s.Why != WhyConflict {
		t.Errorf("%+v", s)
	}
	h.must(h.Drop(t.Context(), "operator:0", s.ID))
	if h.only().State != store.IntakeDropped || h.bodies() != 3 || // a mail, and two letters that studies wait
		h.audited("intake.drop") != 1 {
		t.Errorf("%+v, %d bodies", h.only(), h.bodies())
	}
	if x := h.take(device, made("2", "4", nil)); x.Repeat {
		t.Error("what was dropped is taken anew")
	}
}

// One UID with other bytes is kept beside the first and not sent without a person; a profile that does not fit and an account that is gone wait too. ATT-41.
func TestOtherReasons(t *testing.T) {
	dental := everything()
	dental.Profile, dental.Called = zipmail.Dental, []Pattern{"DENTAL"}
	stranger := everything()
	stranger.From.Endpoint, stranger.Called = "nobody", []Pattern{"NOBODY"}
	h := newHouse(t, dental, stranger, everything())
	h.take(device, made("1", "1", nil))
	h.take(device, made("1", "1", map[uint32]string{0x00200013: "7"}))
	for _, called := range []string{"DENTAL", "NOBODY"} {
		h.take(Origin{Calling: "CT1", Called: called, Via: "dimse"}, made("1", "1", nil))
	}
	h.quietly()
	all, err := h.List(t.Context(), "test", false)
	h.must(err)
	for i, want := range []Why{WhyConflict, WhyProfile, WhyRefused} {
		if all[i].Why != want || all[i].State != store.IntakeHeld || len(all[i].Reason) == 0 {
			t.Errorf("%+v, want %s", all[i], want)
		}
	}
	if l, err := h.Load(t.Context()); err != nil || l.Held != 3 || l.Studies != 3 || l.Objects != 4 {
		t.Errorf("%+v, %v", l, err)
	}
}

// A study that no route fitted is looked at again when the routes are others.
func TestRouteComesLater(t *testing.T) {
	h := newHouse(t)
	h.take(device, made("1", "1", nil))
	h.quietly()
	h.must(h.Start(t.Context()))
	if s := h.only(); s.Why != WhyRoute {
		t.Errorf("%+v", s)
	}
	h.must(h.Use(t.Context(), []Route{everything()}))
	h.run(kindClose)
	if s := h.only(); s.State != store.IntakeSent {
		t.Errorf("%+v", s)
	}
}

// A study whose work somebody has taken off the queue is sent after the next start.
func TestWorkComesBack(t *testing.T) {
	h := newHouse(t, everything())
	h.take(device, made("1", "1", nil))
	jobs, err := h.queue.Claim(t.Context(), kindClose, store.Small, 1)
	if err != nil || len(jobs) != 0 {
		t.Fatalf("%d pieces of work are due, %v", len(jobs), err)
	}
	h.must(h.o.Store.Tx(t.Context(), func(tx *store.Tx) error {
		all, err := tx.Works("", 10)
		for _, w := range all {
			err = errors.Join(err, tx.RetryWorkNow(w.ID))
		}
		return err
	}))
	jobs, err = h.queue.Claim(t.Context(), kindClose, store.Small, 1)
	if err != nil || len(jobs) != 1 {
		t.Fatalf("%d pieces of work, %v", len(jobs), err)
	}
	h.must(h.o.Store.Tx(t.Context(), jobs[0].Finish))
	h.quietly()
	if len(h.sentMails()) != 0 {
		t.Fatal("sent without work")
	}
	for range 2 {
		h.must(h.Start(t.Context()))
	}
	h.quietly()
	if len(h.sentMails()) != 1 {
		t.Error("not sent")
	}
}

// What cannot be sent ever is refused, each for its reason, and nothing is kept of it. ATT-41.
func TestRefused(t *testing.T) {
	good := made("1", "1", nil)
	lie := bytes.Replace(good, []byte("1.2.840.10008.5.1.4.1.1.7\x00"), []byte("1.2.840.10008.5.1.4.1.1.4\x00"), 1)
	h := newHouse(t, everything())
	for name, tc := range map[string]struct {
		r    io.Reader
		want error
	}{
		"nothing":     {strings.NewReader(""), ErrObject},
		"text":        {strings.NewReader("no object"), ErrObject},
		"cut":         {bytes.NewReader(good[:len(good)-3]), ErrObject},
		"no study":    {bytes.NewReader(made("1", "1", map[uint32]string{0x0020000D: ""})), ErrObject},
		"a directory": {bytes.NewReader(made("1", "1", map[uint32]string{0x00080016: "1.2.840.10008.1.3.10"})), ErrObject},
		"mismatch":    {bytes.NewReader(lie), ErrMismatch},
		"broken off":  {io.MultiReader(bytes.NewReader(good[:200]), failing{}), errGone},
	} {
		if _, err := h.Store(t.Context(), device, tc.r); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
	if all, err := h.List(t.Context(), "test", true); err != nil || len(all) != 0 || h.bodies() != 0 {
		t.Errorf("%+v, %v, %d bodies", all, err, h.bodies())
	}
}

var errGone = errors.New("the connection is gone")

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errGone }

// A disk that is nearly full is told as such: the device tries again later.
func TestNoRoom(t *testing.T) {
	h := newHouse(t, everything())
	full, err := blob.New(blob.Options{Dir: t.TempDir(), Box: h.o.Store.Box(), Reserve: 1 << 60})
	h.must(err)
	h.o.Blobs = full
	if _, err := h.Store(t.Context(), device, bytes.NewReader(made("1", "1", nil))); !errors.Is(err, ErrRoom) {
		t.Error(err)
	}
}

func TestPattern(t *testing.T) {
	for p, all := range map[Pattern]map[string]bool{
		"*":       {"": true, "x": true},
		"":        {"": true, "x": false},
		"CT?":     {"ct1": true, "CT": false, "CT12": false},
		"*knee*":  {"Left Knee 2": true, "kne": false},
		"a*b*c":   {"abc": true, "a--b--c": true, "acb": false, "aXbXcX": false},
		"MÜLLER*": {"müller^eva": true},
		"*a*a*a*": {strings.Repeat("a", 200): true, strings.Repeat("b", 200): false},
	} {
		for s, want := range all {
			if p.Fits(s) != want {
				t.Errorf("%q for %.20q: %v", p, s, !want)
			}
		}
	}
}
