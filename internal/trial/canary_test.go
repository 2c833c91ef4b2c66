package trial_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unicode/utf16"
)

// Words that occur nowhere but in the messages of a trial: whoever finds one in a data directory or a log has found plaintext.
const (
	canarySubject = "zeisigwort"
	canaryBody    = "pirolsatz"
	canaryFrom    = "stieglitzpost" // local part of the sender
	canaryTo      = "girlitzpost"   // and of a recipient
)

var canaries = []string{canarySubject, canaryBody, canaryFrom, canaryTo}

// forms are the ways in which a word may stand in a file: as text, in 16 bits, in hex, and within base64 at each of its three places.
func forms(word string) map[string][]byte {
	out := map[string][]byte{"text": []byte(word), "in capitals": []byte(strings.ToUpper(word)), "in hex": []byte(hex.EncodeToString([]byte(word)))}
	var little, big []byte
	for _, c := range utf16.Encode([]rune(word)) {
		little, big = append(little, byte(c), byte(c>>8)), append(big, byte(c>>8), byte(c))
	}
	out["in UTF-16LE"], out["in UTF-16BE"] = little, big
	for at := range 3 {
		coded := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("\x00", at) + word + "\x00\x00"))
		// Of the characters, those that come of the word alone.
		out[fmt.Sprintf("in base64 at %d", at)] = []byte(coded[(8*at+5)/6 : 8*(at+len(word))/6])
	}
	return out
}

// lookout searches files for canaries. Bodies never change: each is read once.
type lookout struct {
	forms map[string][]byte
	known map[string]fs.FileInfo
	files int
	bytes int64
}

func newLookout() *lookout {
	l := &lookout{forms: map[string][]byte{}, known: map[string]fs.FileInfo{}}
	for _, c := range canaries {
		for how, form := range forms(c) {
			l.forms[c+" "+how] = form
		}
	}
	return l
}

// search reads every file at or below the paths and says what it has found, and where.
func (l *lookout) search(paths ...string) (found []string, err error) {
	for _, root := range paths {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return nil // a draft or a journal that has gone
			case err != nil:
				return err
			}
			for what, form := range l.forms {
				if bytes.Contains([]byte(d.Name()), form) {
					found = append(found, path+" is named after "+what)
				}
			}
			if !d.Type().IsRegular() {
				return nil
			}
			in, err := l.read(path, d)
			found = append(found, in...)
			return err
		})
		if err != nil {
			return found, err
		}
	}
	return found, nil
}

func (l *lookout) read(path string, d fs.DirEntry) (found []string, err error) {
	info, err := d.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	body := strings.Contains(path, "/data/b/")
	if old, seen := l.known[path]; seen && body && os.SameFile(old, info) && old.Size() == info.Size() {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	l.known[path] = info
	l.files++
	l.bytes += int64(len(text))
	for what, form := range l.forms {
		if bytes.Contains(text, form) {
			found = append(found, path+" holds "+what)
		}
	}
	return found, nil
}

// silent fails the test if a practice has a canary in its data directory, in the clear or nearly so, or in what its processes have said.
func (l *lookout) silent(t testing.TB, all ...*practice) {
	t.Helper()
	for _, p := range all {
		found, err := l.search(p.data(), filepath.Join(p.dir, "keys"), filepath.Join(p.dir, "dns"), p.log)
		if err != nil {
			t.Error(err)
		}
		for _, f := range found {
			t.Error(f)
		}
	}
}

// The search finds what it is for: a word in each of its forms, in the middle of a file, and in a file's name.
func TestLookout(t *testing.T) {
	l := newLookout()
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("good", strings.Repeat("canary ", 1000))
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	if found, err := l.search(dir); err != nil || len(found) > 0 {
		t.Fatalf("found %v, %v", found, err)
	}
	for at := range 3 {
		write("base64", base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", 30+at)+canaryBody+strings.Repeat("y", 30))))
		if found, err := l.search(dir); err != nil || len(found) != 1 {
			t.Errorf("base64 at %d: found %v, %v", at, found, err)
		}
	}
	write("base64", "")
	for what, form := range forms(canaryFrom) {
		write("form", strings.Repeat("x", 1001)+string(form)+strings.Repeat("y", 1000))
		if found, err := l.search(dir); err != nil || len(found) == 0 {
			t.Errorf("%s: found nothing (%v)", what, err)
		}
	}
	write("form", "")
	write("about-"+canarySubject, "")
	if found, err := l.search(dir); err != nil || len(found) != 1 {
		t.Errorf("by name: found %v, %v", found, err)
	}
}
