package drop

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"carepost/internal/mailbox"
	"carepost/internal/store"
)

// A gateway that runs as root is led nowhere by another user, and makes nothing in his folders that he could not read.
func TestFolderOfAnotherUser(t *testing.T) {
	h := newHouse(t)
	root, home := filepath.Dir(filepath.Dir(filepath.Dir(h.drops.Maildir))), filepath.Dir(h.drops.Maildir)
	h.must(os.MkdirAll(home, 0o755))
	link := filepath.Join(root, "link")
	h.must(os.Symlink(home, link))
	if os.Geteuid() != 0 { // only root can give a folder away, and only root could do harm
		for _, dir := range []string{h.drops.Maildir, root, filepath.Join(link, "x")} {
			h.must(Suits(dir))
			if err := suits(dir, 0); !errors.Is(err, errHolder) {
				t.Errorf("as root: %v", err)
			}
		}
		return
	}
	h.must(Suits(h.drops.Maildir))
	h.must(Suits(filepath.Join(link, "Maildir")))
	h.must(os.Lchown(home, 1, 1))
	elsewhere := filepath.Join(root, "elsewhere")
	h.must(os.Mkdir(elsewhere, 0o755))
	h.deliver(header + "\r\ntext\r\n")
	for name, make := range map[string]func(dir string) error{
		"missing":     func(string) error { return nil },
		"his":         func(dir string) error { return errors.Join(os.Mkdir(dir, 0o755), os.Lchown(dir, 1, 1)) },
		"his link":    func(dir string) error { return errors.Join(os.Symlink(elsewhere, dir), os.Lchown(dir, 1, 1)) },
		"link to his": func(dir string) error { return os.Symlink(home, dir) },
	} {
		dir := h.drops.Maildir
		h.must(make(dir))
		j := h.claim(mailbox.Maildir)
		if err := h.do(t.Context(), j); !errors.Is(err, errHolder) {
			t.Errorf("%s: %v", name, err)
		}
		h.tx(func(tx *store.Tx) error { return j.Retry(tx, 0, "again") })
		h.must(os.RemoveAll(dir))
		for _, dir := range []string{elsewhere, home} {
			if there, err := os.ReadDir(dir); err != nil || len(there) > 0 {
				t.Errorf("%s: %d files in %s, %v", name, len(there), filepath.Base(dir), err)
			}
		}
	}
	if err := makeFolder(h.drops.Studies, false); !errors.Is(err, errHolder) {
		t.Errorf("a study: %v", err)
	}
	if err := Suits(filepath.Join(link, "Maildir")); !errors.Is(err, errHolder) {
		t.Errorf("by a link of ours: %v", err)
	}
}
