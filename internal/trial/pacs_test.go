package trial_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carepost/dicom/dimse"
	"carepost/internal/crash"
)

// Modalities hand in studies by C-STORE, they go by mail, and the other side gives them to two archives: DCMTK's storescu and dcmsend, its
// storescp, and Orthanc. Each side dies at every point of intake and of handing over, and at random moments while it is busy: every instance
// arrives in both archives with its data set as it was, byte for byte, and lies in the folder of studies once. Nobody's data directory
// or log ever holds a patient's name. DCM-02, DCM-22.
func TestFromModalityToArchive(t *testing.T) {
	t.Parallel()
	w := newWards(t)
	w.arrive(t, w.sent(t, samples(t)))
	w.arrive(t, w.sent(t, w.study(3, 20<<10)))
	for _, a := range crash.All() {
		switch room, _, _ := strings.Cut(a.Name, "."); room {
		case "intake":
			w.fall(t, w.a, a.Name)
		case "handover":
			w.fall(t, w.b, a.Name)
		}
	}
	rounds := 1
	if full() {
		rounds = 15
	}
	for range rounds {
		for _, who := range []*practice{w.a, w.b} {
			w.killed(t, who)
		}
	}
	w.end(t)
}

// wards are two installations, a modality before the first and two archives behind the second.
type wards struct {
	*archives
	a, b    *practice
	device  string // where a takes associations
	folders string // where b lays studies
	all     map[string][]byte
	count   int
	look    *lookout
}

func newWards(t *testing.T) *wards {
	t.Helper()
	w := &wards{archives: startArchives(t), all: map[string][]byte{}, look: newLookout()}
	w.a, w.b = pair(t, binary(t, "crashpoints"))
	w.device = w.a.address + ":11112"
	w.a.configure(t, fmt.Sprintf(`
[dicom]
listen = %q
quiet = "300ms"

[[dicom.route]]
name = "everything"
from = %q
to = [%q]
`, w.device, w.a.desk, w.b.desk))
	w.b.configure(t, fmt.Sprintf(`
[[dicom.out]]
name = "storescp"
address = %q
called = "ARCHIVE"
plain = true

[[dicom.out]]
name = "orthanc"
address = %q
called = "ORTHANC"
plain = true
`, w.plain, w.orthanc.DIMSE))
	w.folders = filepath.Join(filepath.Dir(w.b.dir), "home", "studies")
	w.b.run(t, "", "account", "drop", w.b.desk.String(), "--studies", w.folders, "--config", w.b.dir)
	w.a.start(t)
	w.b.start(t)
	return w
}

// configure adds tables to carepost.toml.
func (p *practice) configure(t testing.TB, text string) {
	t.Helper()
	path := filepath.Join(p.dir, "carepost.toml")
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(old, text...), 0o600); err != nil {
		t.Fatal(err)
	}
}

// study makes a study of n instances of some size, as files in a folder.
func (w *wards) study(n, size int) map[string][]byte {
	w.count++
	out := map[string][]byte{}
	for i := range n {
		x := object{study: fmt.Sprintf("2.25.77.%d", w.count), number: i + 1, size: size}
		out[x.uid()] = x.file()
	}
	return out
}

// sent has the modality hand a study in, again and again until all of it is taken, and returns it.
func (w *wards) sent(t *testing.T, study map[string][]byte) map[string][]byte {
	t.Helper()
	w.modality(t, study)()
	return study
}

// modality begins to hand a study in, by one program or the other in turn; the function it returns waits for the end of that.
func (w *wards) modality(t *testing.T, study map[string][]byte) (wait func()) {
	t.Helper()
	maps.Copy(w.all, study)
	dir := t.TempDir()
	for uid, b := range study {
		if err := os.WriteFile(filepath.Join(dir, uid), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	host, port, _ := strings.Cut(w.device, ":")
	args := []string{"dcmsend", "-aet", "CT1", "-aec", "CAREPOST", "--scan-directories", host, port, dir} // offers what each file is written in
	if w.count%2 == 1 {
		args = []string{"storescu", "-aet", "CT2", "-aec", "CAREPOST", "--required", "+sd", host, port, dir}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for end := time.Now().Add(patience); ; <-time.After(100 * time.Millisecond) {
			out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
			if err == nil {
				return
			}
			if time.Now().After(end) {
				t.Errorf("the modality: %v\n%s", err, out)
				return
			}
		}
	}()
	return func() { <-done }
}

// fall has a side die at a point while a study is on its way.
func (w *wards) fall(t *testing.T, who *practice, point string) {
	t.Helper()
	who.stop(t)
	run := who.launch(t, point)
	select {
	case <-run.ready:
	case <-run.ended:
		t.Fatalf("%s at its start\n%s", point, who.lastWords())
	}
	study := w.study(3, 20<<10)
	wait := w.modality(t, study)
	select {
	case <-run.ended:
	case <-time.After(patience):
		t.Fatalf("%s was not passed\n%s", point, who.lastWords())
	}
	if !run.killed() {
		t.Fatalf("%s: it ended by itself: %v\n%s", point, run.err, who.lastWords())
	}
	w.look.silent(t, w.a, w.b)
	who.start(t)
	wait()
	w.arrive(t, study)
}

// killed kills a side at a random moment while a larger study comes in, or is handed over.
func (w *wards) killed(t *testing.T, who *practice) {
	t.Helper()
	study := w.study(60, 64<<10)
	wait := w.modality(t, study)
	if who == w.b {
		wait()
		until(t, func() bool { return w.has(t) > len(w.all)-len(study) }, func() string { return "the study to begin to arrive\n" + w.b.lastWords() })
	} else {
		<-time.After(rand.N(800 * time.Millisecond))
	}
	who.kill(t)
	w.look.silent(t, w.a, w.b)
	who.start(t)
	wait()
	w.arrive(t, study)
}

// arrive waits until both archives have a study, and nobody has anything left to do.
func (w *wards) arrive(t *testing.T, study map[string][]byte) {
	t.Helper()
	until(t, func() bool {
		w.a.hurry()
		w.b.hurry()
		return w.has(t) == len(w.all) && w.orthanc.Count(t) == len(w.all)
	}, func() string {
		return fmt.Sprintf("%d instances in the archives; there are %d and %d\n%s\n%s", len(w.all), w.has(t), w.orthanc.Count(t), w.a.lastWords(), w.b.lastWords())
	})
	rest(t, w.a, w.b)
	w.look.silent(t, w.a, w.b)
}

// end compares everything with what was sent.
func (w *wards) end(t *testing.T) {
	t.Helper()
	for name, have := range map[string]map[string][]byte{"storescp": w.received(t), "Orthanc": w.orthanc.Files(t)} {
		for uid, b := range w.all {
			if !bytes.Equal(dataSet(t, have[uid]), dataSet(t, b)) {
				t.Errorf("%s has not the data set of %s", name, uid)
			}
		}
		if len(have) != len(w.all) {
			t.Errorf("%s has %d instances of %d", name, len(have), len(w.all))
		}
	}
	laid := map[string]int{}
	err := filepath.WalkDir(w.folders, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		if i, _, err := dimse.OpenPart10(f); err == nil {
			laid[i.SOPInstance]++
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	for uid := range w.all {
		if laid[uid] != 1 {
			t.Errorf("%s lies in %d folders of studies", uid, laid[uid])
		}
	}
	if left := w.a.run(t, "", "dicom", "intake", "list", "--json", "--config", w.a.dir); strings.Contains(left, `"state"`) {
		t.Errorf("studies wait: %s", left)
	}
}
