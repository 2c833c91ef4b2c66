package handover

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"carepost/dicom/textsr"
	"carepost/internal/audit"
	"carepost/internal/store"
)

// Where the operator wants it, what the sender wrote goes to the PACS with the study, and the study is what it was. DCM-27.
func TestLetterTravels(t *testing.T) {
	address, dir := storescp(t)
	to := dimseTo(address, "ARCHIVE")
	h := newHouse(t, to)
	h.o.Destinations[0].Letter = true
	h.deliver(letter(t, whole))
	h.step()
	if r := h.row(); r.State != store.HandoverDone || r.Taken != 5 || r.Detail.Letter != "t" || len(r.Detail.Fates) != 4 {
		t.Fatalf("%+v", r)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 5 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	want, got := demo(t), sums{}
	for _, f := range files {
		out, err := exec.Command("dsrdump", "+Pl", f).CombinedOutput()
		if err != nil { // an image
			got.add(t, read(t, f))
			continue
		}
		for _, said := range []string{"Basic Text SR Document", "lab@south.example", "Letter that came with the study by mail", plan(t).Tree[0].ID} {
			if !strings.Contains(string(out), said) {
				t.Errorf("the letter lacks %q:\n%s", said, out)
			}
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d images", len(got))
	}
	for uid, sum := range want {
		if got[uid] != sum {
			t.Errorf("%s: another data set than was sent", uid)
		}
	}
	h.must(h.o.Store.View(t.Context(), func(tx *store.Tx) error {
		all, err := audit.List(tx, audit.Filter{Action: "study.hand-over"})
		if err != nil || len(all) != 1 || all[0].Detail["letters"] != "1" || all[0].Detail["instances"] != "5" {
			t.Errorf("%+v, %v", all, err)
		}
		return nil
	}))
}

// The letter is the same instance each time and at each destination; one that is refused is told as any other is, and who wants it no more
// has the rest handed over.
func TestLetterRefused(t *testing.T) {
	to := &script{says: map[int]Outcome{4: {Refused, "no such class"}}}
	h := newHouse(t, to)
	h.o.Destinations[0].Letter = true
	h.deliver(letter(t, whole))
	h.step()
	r := h.row()
	if r.State != store.HandoverFailed || r.Taken != 4 || r.Detail.Letter != "r" || len(r.Detail.Refused) != 1 || r.Detail.Refused[0].SOPClass != textsr.SOPClass {
		t.Fatalf("%+v", r)
	}
	h.must(h.Retry(t.Context(), "test", r.ID))
	h.step()
	if len(to.given) != 2 || len(to.given[1]) != 1 || to.given[1][0] != to.given[0][4] {
		t.Errorf("%v", to.given)
	}
	h.o.Destinations[0].Letter = false
	h.must(h.Retry(t.Context(), "test", r.ID))
	h.step()
	if r := h.row(); r.State != store.HandoverDone || r.Total != 4 || r.Taken != 4 || r.Detail.Letter != "" || len(to.given) != 2 {
		t.Errorf("%+v, %v", r, to.given)
	}
}

// A letter to several patients' studies goes to none of them; the study goes, and the operator sees why.
func TestLetterStays(t *testing.T) {
	to := &script{}
	h := newHouse(t, to)
	h.o.Destinations[0].Letter = true
	h.deliver(letter(t, whole))
	j := h.work()
	it, err := h.open(t.Context(), j, h.row())
	h.must(err)
	defer it.close()
	if out, why, err := it.lettered(t.Context()); len(out) != 1 || why != "" || err != nil {
		t.Errorf("%v, %q, %v", out, why, err)
	}
	it.about.Patients = append(it.about.Patients, it.about.Patients[0])
	if out, why, err := it.lettered(t.Context()); out != nil || !strings.Contains(why, "not of one patient alone") || err != nil {
		t.Errorf("%v, %q, %v", out, why, err)
	}
}

// A set that another version counted otherwise is begun anew and not stuck for ever.
func TestBegunAnew(t *testing.T) {
	to := &script{says: map[int]Outcome{2: {Refused, "C000H"}}}
	h := newHouse(t, to)
	h.deliver(letter(t, whole))
	h.step()
	h.must(h.Retry(t.Context(), "test", h.row().ID))
	h.tx(func(tx *store.Tx) error {
		r, err := tx.Handover(h.row().ID)
		if err != nil {
			return err
		}
		r.Detail.Fates = "tt"
		return tx.PutHandover(r)
	})
	delete(to.says, 2)
	h.step()
	if r := h.row(); r.State != store.HandoverDone || r.Taken != 4 || len(to.given[1]) != 4 {
		t.Errorf("%+v, %v", r, to.given)
	}
}
