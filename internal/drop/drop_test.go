package drop

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/dicom/fileset"
	"carepost/dicom/zipmail"
	"carepost/internal/audit"
	"carepost/internal/blob"
	"carepost/internal/mailbox"
	"carepost/internal/queue"
	"carepost/internal/store"
	"carepost/internal/store/storetest"
)

var (
	desk    = addr.Address{Endpoint: "desk", Domain: "north.example"}
	lab     = addr.Address{Endpoint: "lab", Domain: "south.example"}
	arrived = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
)

const header = "From: \"The lab\" <lab@south.example>\r\nTo: desk@north.example\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n" +
	"Message-ID: <1@south.example>\r\nSubject: the results of May\r\nMIME-Version: 1.0\r\n"

// house is a store with one account whose mail is laid into folders.
type house struct {
	*Service
	t       *testing.T
	boxes   *mailbox.Service
	queue   *queue.Queue
	drops   store.Drops
	account store.Account
	log     bytes.Buffer
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t}
	dir := t.TempDir()
	rows, err := store.Open(t.Context(), store.Options{Dir: storetest.Dir(t, filepath.Join(dir, "data")), KEK: storetest.Keeper(t)})
	h.must(err)
	t.Cleanup(func() { rows.Close() })
	blobs, err := blob.New(blob.Options{Dir: filepath.Join(dir, "data"), Box: rows.Box()})
	h.must(err)
	h.boxes = &mailbox.Service{Store: rows, Blobs: blobs}
	h.Service = &Service{Store: rows, Blobs: blobs, Log: slog.New(slog.NewTextHandler(&h.log, nil))}
	h.drops = store.Drops{Maildir: filepath.Join(dir, "home", "doe", "Maildir"), Studies: filepath.Join(dir, "home", "doe", "studies")}
	h.queue, err = queue.New(queue.Options{Store: rows}, h.Handlers()...)
	h.must(err)
	h.tx(func(tx *store.Tx) error {
		if err := tx.InsertDomain(desk.Domain); err != nil {
			return err
		}
		if h.account, err = tx.InsertAccount(desk); err != nil {
			return err
		}
		return tx.SetDrops(h.account.ID, h.drops)
	})
	return h
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) tx(fn func(*store.Tx) error) {
	h.t.Helper()
	h.must(h.Store.Tx(h.t.Context(), fn))
}

// deliver puts a message into the inbox, as package flow does.
func (h *house) deliver(text string) {
	h.t.Helper()
	d, err := h.Blobs.Create()
	h.must(err)
	defer d.Discard()
	_, err = d.Write([]byte(text))
	h.must(err)
	ref, err := d.Commit()
	h.must(err)
	h.tx(func(tx *store.Tx) error {
		if err := tx.InsertBlob(store.Blob(ref)); err != nil {
			return err
		}
		return h.boxes.Deliver(tx, desk, mailbox.Inbox, store.Mail{Blob: ref.ID, At: arrived, Size: ref.Size})
	})
}

// claim leases the work for one of the folders.
func (h *house) claim(into string) *queue.Job {
	h.t.Helper()
	for _, lane := range []store.Lane{store.Small, store.Huge} {
		for {
			jobs, err := h.queue.Claim(h.t.Context(), mailbox.KindDrop, lane, 1)
			h.must(err)
			if len(jobs) == 0 {
				break
			}
			if strings.HasSuffix(jobs[0].Ref, "/"+into) {
				return jobs[0]
			}
			h.tx(func(tx *store.Tx) error { return jobs[0].Retry(tx, time.Hour, "not now") })
		}
	}
	h.t.Fatalf("nothing to do for the %s", into)
	return nil
}

// run does a piece of work as the queue does.
func (h *house) run(j *queue.Job) error {
	if err := h.do(h.t.Context(), j); err != nil {
		return err
	}
	if err := h.Store.Tx(h.t.Context(), j.Finish); !errors.Is(err, store.ErrLeaseLost) {
		return err
	}
	return nil
}

// release ends all leases, as a kill does.
func (h *house) release() {
	h.tx(func(tx *store.Tx) error { _, err := tx.ReleaseWork("another owner"); return err })
}

func (h *house) files(dir string) (names []string) {
	h.t.Helper()
	h.must(filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			names = append(names, rel)
		}
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	}))
	return names
}

func (h *house) audited(action string) (n int) {
	h.t.Helper()
	h.must(h.Store.View(h.t.Context(), func(tx *store.Tx) error {
		all, err := audit.List(tx, audit.Filter{Actor: actor, Action: action})
		n = len(all)
		return err
	}))
	return n
}

func (h *house) left() (n int) {
	h.t.Helper()
	h.must(h.Store.View(h.t.Context(), func(tx *store.Tx) error {
		all, err := tx.Works("", 100)
		n = len(all)
		return err
	}))
	return n
}

// Mail goes into the Maildir with LF line ends, readable by its owner alone; the entry is there; nothing else changes.
func TestMaildir(t *testing.T) {
	h := newHouse(t)
	text := header + "Content-Type: text/plain\r\n\r\nfirst\r\nsecond\rstill second\r\n\r\n" + strings.Repeat("0123456789\r\n", 100_000)
	h.deliver(text)
	h.must(h.run(h.claim(mailbox.Maildir)))
	names := h.files(h.drops.Maildir)
	if len(names) != 1 || filepath.Dir(names[0]) != "new" || strings.ContainsAny(filepath.Base(names[0]), ":/") {
		t.Fatalf("in the Maildir: %v", names)
	}
	at := filepath.Join(h.drops.Maildir, names[0])
	got, err := os.ReadFile(at)
	h.must(err)
	if want := strings.ReplaceAll(text, "\r\n", "\n"); string(got) != want {
		t.Errorf("%d bytes, want %d with LF: %.300q", len(got), len(want), got)
	}
	for path, want := range map[string]os.FileMode{at: 0o600, h.drops.Maildir: 0o700 | os.ModeDir, filepath.Dir(at): 0o700 | os.ModeDir} {
		if info, err := os.Stat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, want %v (%v)", path, info.Mode(), want, err)
		}
	}
	if info, _ := os.Stat(at); !info.ModTime().Equal(arrived) {
		t.Errorf("arrived at %v", info.ModTime())
	}
	if h.audited("mail.drop") != 1 {
		t.Errorf("%d entries", h.audited("mail.drop"))
	}
}

// Where a part is binary, CR and LF are data.
func TestBinaryIsLeftAlone(t *testing.T) {
	h := newHouse(t)
	text := header + "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\na\r\nb\nc\r\n--b--\r\n"
	h.deliver(text)
	h.must(h.run(h.claim(mailbox.Maildir)))
	got, err := os.ReadFile(filepath.Join(h.drops.Maildir, h.files(h.drops.Maildir)[0]))
	if err != nil || string(got) != text {
		t.Errorf("%q, %v", got, err)
	}
}

// Killed before its own transaction, the step finds what it laid down, also when a reader has seen it meanwhile: one copy, one entry.
func TestMaildirTwice(t *testing.T) {
	for name, between := range map[string]func(string) error{
		"untouched": func(string) error { return nil },
		"seen": func(dir string) error {
			all, err := os.ReadDir(filepath.Join(dir, "new"))
			if err != nil || len(all) != 1 {
				return errors.New("nothing new")
			}
			return os.Rename(filepath.Join(dir, "new", all[0].Name()), filepath.Join(dir, "cur", all[0].Name()+":2,RS"))
		},
		"half written": func(dir string) error {
			all, err := os.ReadDir(filepath.Join(dir, "new"))
			if err != nil || len(all) != 1 {
				return errors.New("nothing new")
			}
			if err := os.Remove(filepath.Join(dir, "new", all[0].Name())); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, "tmp", all[0].Name()+".1"), []byte("half"), 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.deliver(header + "\r\nonce\r\n")
			j := h.claim(mailbox.Maildir)
			e, err := h.dropped(j)
			h.must(err)
			if e.Action != "mail.drop" {
				t.Errorf("entry %+v", e)
			}
			h.must(between(h.drops.Maildir))
			h.release()
			h.must(h.run(h.claim(mailbox.Maildir)))
			if names := h.files(h.drops.Maildir); len(names) != 1 || strings.HasPrefix(names[0], "tmp") {
				t.Errorf("in the Maildir: %v", names)
			}
			if err := h.run(j); err != nil && !errors.Is(err, store.ErrLeaseLost) {
				t.Errorf("the first worker, come back: %v", err)
			}
			if names := h.files(h.drops.Maildir); len(names) != 1 {
				t.Errorf("after the first worker came back: %v", names)
			}
			if h.audited("mail.drop") != 1 {
				t.Errorf("%d entries", h.audited("mail.drop"))
			}
		})
	}
}

// dropped does everything of a piece of work but its last transaction.
func (h *house) dropped(j *queue.Job) (audit.Entry, error) {
	d, err := mailbox.ParseDrop(j.Ref)
	h.must(err)
	it, err := h.item(h.t.Context(), d)
	h.must(err)
	defer it.body.Close()
	if d.Into == mailbox.Studies {
		return h.layStudy(h.t.Context(), j, it)
	}
	return h.layMail(h.t.Context(), j, it)
}

// What is gone meanwhile is not laid down, and no work is left of it.
func TestGoneMeanwhile(t *testing.T) {
	for name, gone := range map[string]func(*house) error{
		"folder": func(h *house) error {
			return h.Store.Tx(h.t.Context(), func(tx *store.Tx) error { return tx.SetDrops(h.account.ID, store.Drops{}) })
		},
		"account": func(h *house) error {
			return h.Store.Tx(h.t.Context(), func(tx *store.Tx) error { return tx.CloseAccount(h.account.ID) })
		},
		"mail": func(h *house) error {
			all, err := h.boxes.List(h.t.Context(), "test", desk, mailbox.Inbox, 0, 9)
			if err != nil || len(all) != 1 {
				return errors.New("no mail")
			}
			return h.boxes.Delete(h.t.Context(), "test", all[0])
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.deliver(header + "\r\nx\r\n")
			h.must(gone(h))
			h.must(h.run(h.claim(mailbox.Maildir)))
			if names := h.files(h.drops.Maildir); len(names) != 0 || h.audited("mail.drop") != 0 {
				t.Errorf("laid down: %v", names)
			}
		})
	}
}

// An account without folders makes no work, and mail is not laid down for others' folders.
func TestNoFolders(t *testing.T) {
	h := newHouse(t)
	h.tx(func(tx *store.Tx) error { return tx.SetDrops(h.account.ID, store.Drops{}) })
	h.deliver(header + "\r\nx\r\n")
	if n := h.left(); n != 0 {
		t.Errorf("%d pieces of work", n)
	}
}

// A folder that cannot be written to is tried again; what the queue keeps and logs of it names nobody.
func TestFolderThatRefuses(t *testing.T) {
	h := newHouse(t)
	h.must(os.MkdirAll(filepath.Dir(filepath.Dir(h.drops.Maildir)), 0o700))
	h.must(os.WriteFile(filepath.Dir(h.drops.Maildir), nil, 0o600)) // a file where a folder should be
	h.deliver(header + "\r\nx\r\n")
	if err := h.run(h.claim(mailbox.Maildir)); err == nil || strings.Contains(err.Error(), "doe") {
		t.Errorf("%v", err)
	}
	h.must(os.Remove(filepath.Dir(h.drops.Maildir)))
	h.release()
	h.must(h.run(h.claim(mailbox.Maildir)))
	if len(h.files(h.drops.Maildir)) != 1 {
		t.Error("not laid down")
	}
}

// A link in the Maildir that leads out of it is not followed.
func TestLinkLeadsOut(t *testing.T) {
	h := newHouse(t)
	out := t.TempDir()
	h.must(os.MkdirAll(filepath.Join(h.drops.Maildir, "cur"), 0o700))
	h.must(os.Symlink(out, filepath.Join(h.drops.Maildir, "new")))
	h.must(os.Symlink(out, filepath.Join(h.drops.Maildir, "tmp")))
	h.deliver(header + "\r\nx\r\n")
	if err := h.run(h.claim(mailbox.Maildir)); err == nil {
		t.Error("done")
	}
	if all := h.files(out); len(all) != 0 {
		t.Errorf("outside lie %v", all)
	}
}

// A body that is damaged is not laid down, and the operator sees it.
func TestDamaged(t *testing.T) {
	h := newHouse(t)
	h.deliver(header + "\r\n" + strings.Repeat("x\r\n", 50_000))
	data := filepath.Join(filepath.Dir(filepath.Dir(filepath.Dir(h.drops.Maildir))), "data", "b")
	for _, name := range h.files(data) {
		f, err := os.OpenFile(filepath.Join(data, name), os.O_WRONLY, 0)
		h.must(err)
		_, err = f.WriteAt([]byte("flip"), 70_000)
		h.must(errors.Join(err, f.Close()))
	}
	h.must(h.do(t.Context(), h.claim(mailbox.Maildir)))
	if names := h.files(h.drops.Maildir); len(names) != 0 {
		t.Errorf("laid down: %v", names)
	}
	if h.audited("work.bury") != 1 {
		t.Error("no entry")
	}
}

// letter is a mail with a study; spoil may change the archive.
func letter(t *testing.T, spoil func([]byte) []byte) string {
	t.Helper()
	p, err := fileset.Scan(t.Context(), fileset.ScanOptions{}, "../demo/study/files")
	if err != nil {
		t.Fatal(err)
	}
	var zip, out bytes.Buffer
	if err := p.WriteZIP(t.Context(), &zip, nil); err != nil {
		t.Fatal(err)
	}
	archive := spoil(zip.Bytes())
	err = zipmail.ComposeSet(&out, zipmail.Letter{From: lab, To: []addr.Address{desk}, Date: arrived, MessageID: "<2@south.example>", Profile: zipmail.Dental,
		Text: "Please compare tooth 11.\n"},
		p.Instances, func(w io.Writer) error { _, err := w.Write(archive); return err }, "boundary-of-a-letter")
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func whole(b []byte) []byte { return b }

// A COMPLETE study gets a folder of its own, once, however often the step is killed.
func TestStudy(t *testing.T) {
	h := newHouse(t)
	h.deliver(letter(t, whole))
	j := h.claim(mailbox.Studies)
	_, err := h.dropped(j)
	h.must(err)
	h.release()
	h.must(os.MkdirAll(filepath.Join(h.drops.Studies, "."+h.only()+".1"), 0o700)) // as a kill leaves it
	h.must(os.MkdirAll(filepath.Join(h.drops.Studies, ".."+h.only()+".1.partial-77", "I"), 0o700))
	h.must(h.run(h.claim(mailbox.Studies)))
	name := h.only()
	if !strings.HasPrefix(name, "2026-11-21-south.example-") {
		t.Errorf("the folder is called %q", name)
	}
	r, err := fileset.CheckDir(t.Context(), filepath.Join(h.drops.Studies, name), fileset.CheckOptions{})
	if err != nil || r.Verdict != fileset.Complete || r.Found != 4 {
		t.Errorf("%v, %v with %d", err, r.Verdict, r.Found)
	}
	if h.audited("study.drop") != 1 || h.audited("study.leave") != 0 {
		t.Errorf("%d entries", h.audited("study.drop"))
	}
	says, err := os.ReadFile(filepath.Join(h.drops.Studies, name, mailbox.LetterName)) // DCM-27
	if err != nil || !strings.Contains(string(says), "From:       lab@south.example\n") || !strings.Contains(string(says), "\nPlease compare tooth 11.\n") {
		t.Errorf("the letter has not stayed with the study: %v\n%s", err, says)
	}
	if info, err := os.Stat(filepath.Join(h.drops.Studies, name)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("others may look into it: %v", info.Mode())
	}
}

// only is the one entry of the studies folder that there should be, hidden ones apart.
func (h *house) only() string {
	h.t.Helper()
	all, err := os.ReadDir(h.drops.Studies)
	h.must(err)
	all = slices.DeleteFunc(all, func(e os.DirEntry) bool { return strings.HasPrefix(e.Name(), ".") })
	if len(all) != 1 {
		h.t.Fatalf("%d folders", len(all))
	}
	return all[0].Name()
}

// What is not COMPLETE stays in the mail, and log and audit say so; a mail without a study is nobody's business.
func TestStudyThatIsNotComplete(t *testing.T) {
	for name, text := range map[string]string{
		"flipped":  letter(t, func(b []byte) []byte { b = bytes.Clone(b); b[len(b)/2] ^= 1; return b }),
		"cut":      letter(t, func(b []byte) []byte { return b[:len(b)/2] }),
		"loose":    loose(t),
		"none":     header + "\r\njust text\r\n",
		"not MIME": header + "Content-Type: multipart/mixed; boundary=b\r\nContent-Type: text/plain\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.deliver(text)
			h.must(h.run(h.claim(mailbox.Studies)))
			all, _ := os.ReadDir(h.drops.Studies)
			if len(all) != 0 || h.audited("study.drop") != 0 {
				t.Errorf("unpacked: %v", all)
			}
			want := 1
			if name == "none" || name == "not MIME" {
				want = 0
			}
			if h.audited("study.leave") != want || strings.Count(h.log.String(), "study not laid down") != want {
				t.Errorf("%d entries, log %q", h.audited("study.leave"), h.log.String())
			}
			if strings.Contains(h.log.String(), "lab") || strings.Contains(h.log.String(), "doe") {
				t.Errorf("the log names people: %s", h.log.String())
			}
		})
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

// Run by a queue, both folders fill.
func TestQueue(t *testing.T) {
	h := newHouse(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.queue.Run(ctx) }()
	h.deliver(letter(t, whole))
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); h.left() > 0 && time.Now().Before(deadline); {
		<-tick.C
	}
	cancel()
	h.must(<-done)
	if len(h.files(h.drops.Maildir)) != 1 || h.only() == "" || h.left() != 0 {
		t.Errorf("%d pieces of work left", h.left())
	}
}

// A process that is killed between giving a message its name and taking the other away leaves a second name in tmp: the next try takes it
// away. The reader who deletes the message has deleted it.
func TestSecondNameGoes(t *testing.T) {
	h := newHouse(t)
	h.deliver(header + "\r\ntext\r\n")
	j := h.claim(mailbox.Maildir)
	it, err := h.item(t.Context(), parse(t, j.Ref))
	h.must(err)
	it.body.Close()
	for _, folder := range []string{"tmp", "new", "cur"} {
		h.must(os.MkdirAll(filepath.Join(h.drops.Maildir, folder), 0o700))
	}
	tmp := filepath.Join(h.drops.Maildir, "tmp", it.name()+".1")
	h.must(os.WriteFile(tmp, []byte("text\n"), 0o600))
	h.must(os.Link(tmp, filepath.Join(h.drops.Maildir, "new", it.name())))
	h.tx(func(tx *store.Tx) error { return j.Retry(tx, 0, "killed") })
	j = h.claim(mailbox.Maildir)
	h.must(h.do(t.Context(), j))
	left, err := os.ReadDir(filepath.Join(h.drops.Maildir, "tmp"))
	if err != nil || len(left) != 0 {
		t.Errorf("%d files in tmp, %v", len(left), err)
	}
}

func parse(t *testing.T, ref string) mailbox.Drop {
	t.Helper()
	d, err := mailbox.ParseDrop(ref)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
