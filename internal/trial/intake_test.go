package trial_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"carepost/dicom/dimse"
	"carepost/internal/admind"
	"carepost/internal/config"
)

// clinic is a pair of installations: devices hand studies in at the one, and the other lays them into folders.
type clinic struct {
	a, b    *practice
	dir     string
	studies string
	sent    map[string][sha256.Size]byte // data sets of what devices have handed in, by SOP Instance UID
	made    int
}

const dicomPort = "11112"

func newClinic(t *testing.T, binary string) *clinic {
	t.Helper()
	c := &clinic{dir: t.TempDir(), sent: map[string][sha256.Size]byte{}}
	c.a, c.b = pair(t, binary)
	c.a.append(t, fmt.Sprintf("[dicom]\nlisten = \"%s:%s\"\nquiet = \"1s\"\n[[dicom.route]]\nname = \"south\"\nfrom = \"%s\"\nto = [\"%s\"]\n", c.a.address, dicomPort, c.a.desk, c.b.desk))
	c.studies = filepath.Join(filepath.Dir(c.b.dir), "home", "studies")
	c.b.run(t, "", "account", "drop", c.b.desk.String(), "--studies", c.studies, "--config", c.b.dir)
	c.a.start(t)
	c.b.start(t)
	return c
}

// append adds to carepost.toml. A running gateway does not look.
func (p *practice) append(t testing.TB, text string) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(p.dir, config.Name), os.O_WRONLY|os.O_APPEND, 0o600)
	if err == nil {
		_, err = f.WriteString("\n" + text)
		f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// study makes a new one: the images of the demo under UIDs of their own.
func (c *clinic) study(t testing.TB) (dir string) {
	t.Helper()
	c.made++
	dir = filepath.Join(c.dir, fmt.Sprint(c.made))
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("..", "demo", "study", "files"))); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.dcm"))
	if err != nil || len(files) != 4 {
		t.Fatalf("%v, %v", files, err)
	}
	uid := fmt.Sprintf("2.25.%d.%d", time.Now().UnixNano(), c.made)
	args := append([]string{"-nb", "-gin", "-m", "(0020,000D)=" + uid + ".1", "-m", "(0020,000E)=" + uid + ".2"}, files...)
	if out, err := exec.Command("dcmodify", args...).CombinedOutput(); err != nil {
		t.Fatalf("dcmodify: %v\n%s", err, out)
	}
	for _, name := range files {
		i, sum := dataSet(t, name)
		c.sent[i.SOPInstance] = sum
	}
	return dir
}

// dataSet is the digest of what follows the file meta information: what is to arrive byte for byte.
func dataSet(t testing.TB, name string) (dimse.Instance, [sha256.Size]byte) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	i, r, err := dimse.OpenPart10(f)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		t.Fatal(err)
	}
	return i, [sha256.Size]byte(h.Sum(nil))
}

// handIn does what a modality does: it sends a folder, again and again until all of it is taken.
func (c *clinic) handIn(t testing.TB, dir string) {
	t.Helper()
	until(t, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		return exec.CommandContext(ctx, "storescu", "-aet", "CT1", "-aec", "CAREPOST", "+sd", c.a.address, dicomPort, dir).Run() == nil
	}, func() string { return "a study to be taken\n" + c.a.lastWords() })
}

// arrived counts what lies in the folders of the other side, by SOP Instance UID; what is not as it was sent is told.
func (c *clinic) arrived(t testing.TB, root string) map[string]int {
	t.Helper()
	out := map[string]int{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !within8(d.Name()) || strings.Contains(path, "/.") {
			if os.IsNotExist(err) {
				return nil
			}
			return err
		}
		i, sum := dataSet(t, path)
		if i.SOPClass == "1.2.840.10008.1.3.10" { // the directory
			return nil
		}
		out[i.SOPInstance]++
		if sum != c.sent[i.SOPInstance] {
			t.Errorf("%s: its data set is not the one that was sent", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// within8 says that a file may be an object of a set: no extension, and not our own letters.
func within8(name string) bool {
	return !strings.Contains(name, ".") && name != "MANIFEST" && name != "DICOMDIR" && name != "README"
}

// settled waits until both sides are at rest and everything has been sent on, and wants each object there once.
func (c *clinic) settled(t testing.TB) {
	t.Helper()
	until(t, func() bool {
		left := 1
		c.a.ask(func(ctx context.Context, client *admind.Client) error {
			all, err := client.Intake(ctx, false)
			if left = len(all); left > 0 && all[0].State == "held" {
				t.Fatalf("held: %v", all[0].Reason)
			}
			return err
		})
		return left == 0
	}, func() string { return "studies to be sent\n" + c.a.lastWords() })
	rest(t, c.a, c.b)
	got := c.arrived(t, c.studies)
	for _, uid := range slices.Sorted(maps.Keys(c.sent)) {
		if got[uid] != 1 {
			t.Errorf("%s is there %d times", uid, got[uid])
		}
	}
	if len(got) != len(c.sent) {
		t.Errorf("%d objects arrived, %d were sent", len(got), len(c.sent))
	}
}

// The side that takes studies from devices dies at every arrow of that, then either side at random moments while several devices send. The
// devices send again what got no answer, and each object lies with the recipient once, its data set byte for byte.
func TestDevicesUnderKills(t *testing.T) {
	t.Parallel()
	c := newClinic(t, binary(t, "crashpoints"))
	points, kills := []string{"intake.body-durable:2", "intake.closed", "intake.sent"}, 1
	if full() {
		points = append(points, "intake.rows-durable", "accept.rows-durable", "intake.body-durable", "intake.rows-durable:4", "accept.body-durable", "blob.synced:3",
			"store.commit:5", "store.committed:5", "store.commit:9", "store.committed:9")
		kills = 12
	}
	for _, point := range points {
		c.a.stop(t)
		run := c.a.launch(t, point)
		<-run.ready
		dir := c.study(t)
		done := make(chan struct{})
		go func() { defer close(done); c.handIn(t, dir) }()
		select {
		case <-run.ended:
		case <-time.After(patience):
		}
		if !run.killed() {
			t.Fatalf("%s was not passed: %v\n%s", point, run.err, c.a.lastWords())
		}
		c.a.start(t)
		<-done
	}
	for k := range kills {
		dirs := []string{c.study(t), c.study(t)}
		done := make(chan struct{}, len(dirs))
		for _, dir := range dirs {
			go func() { defer func() { done <- struct{}{} }(); c.handIn(t, dir) }()
		}
		<-time.After(rand.N(1500 * time.Millisecond))
		victim := []*practice{c.a, c.b}[k%2]
		victim.kill(t)
		victim.start(t)
		for range dirs {
			<-done
		}
	}
	c.settled(t)
}
