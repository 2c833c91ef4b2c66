package drop

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
)

// However a text is cut into writes, CRLF becomes LF and nothing else changes.
func TestLines(t *testing.T) {
	for _, text := range []string{"", "\r", "\n", "\r\n", "a\r\nb", "\r\r\n", "\r\n\r\n", "a\rb\r", "\r\r\r", "x\n\ry", "no ends"} {
		want := strings.ReplaceAll(text, "\r\n", "\n")
		for cut := range len(text) + 1 {
			var out bytes.Buffer
			l := &lines{w: &out}
			for _, part := range []string{text[:cut], text[cut:]} {
				if n, err := l.Write([]byte(part)); n != len(part) || err != nil {
					t.Fatal(n, err)
				}
			}
			if err := l.end(); err != nil || out.String() != want {
				t.Errorf("%q cut at %d: %q, want %q", text, cut, out.String(), want)
			}
		}
	}
}

func FuzzLines(f *testing.F) {
	f.Add([]byte("a\r\nb\r"), 2)
	f.Fuzz(func(t *testing.T, text []byte, cut int) {
		cut = min(max(cut, 0), len(text))
		var out bytes.Buffer
		l := &lines{w: &out}
		l.Write(text[:cut])
		l.Write(text[cut:])
		l.end()
		if want := bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")); !bytes.Equal(out.Bytes(), want) {
			t.Errorf("%q cut at %d: %q, want %q", text, cut, out.Bytes(), want)
		}
	})
}

func TestNameless(t *testing.T) {
	at := &fs.PathError{Op: "open", Path: "/home/doe/Maildir", Err: fs.ErrPermission}
	for _, err := range []error{at, fmt.Errorf("fileset: %w", at), &os.LinkError{Op: "link", Old: "/home/doe/a", New: "/home/doe/b", Err: fs.ErrPermission}} {
		got := nameless(err)
		if strings.Contains(got.Error(), "doe") || !errors.Is(got, fs.ErrPermission) {
			t.Errorf("%v", got)
		}
	}
	if err := errors.New("plain"); nameless(err) != err {
		t.Error("changed")
	}
}
