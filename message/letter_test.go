package message

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"carepost/addr"
)

func writes(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

// A letter that was written is read again: text, names and bytes.
func TestWriteLetter(t *testing.T) {
	for _, tc := range []struct {
		name string // that the sender's file has
		want string // that the recipient reads
	}{
		{"report.pdf", "report.pdf"},
		{"/home/x/Befund Müller.pdf", "Befund Müller.pdf"},
		{`C:\x\"q".pdf`, `"q".pdf`},
		{"日本.pdf", "日本.pdf"},
		{"a\r\nBcc: x@y.example\x1b[2J.pdf", "a  Bcc: x@y.example [2J.pdf"},
		{"\u202egpj.exe", "gpj.exe"},
		{"/", "attachment"},
		{strings.Repeat("ü", 120) + ".pdf", strings.Repeat("ü", 120) + ".pdf"},
	} {
		var out bytes.Buffer
		head := new(Builder).AddMailboxes("From", Mailbox{Address: addr.Address{Endpoint: "lab", Domain: "north.example"}}).
			AddDate(time.Unix(0, 0).UTC())
		bytesOf := strings.Repeat("\x00\xff=_--b", 1000)
		if err := WriteLetter(&out, head, "Grüße\r\nund\n--=_b\n", "=_b", NewAttachment(tc.name, "application/pdf", writes(bytesOf))); err != nil {
			t.Errorf("%q: %v", tc.name, err)
			continue
		}
		r := bytes.NewReader(out.Bytes())
		root, err := Parse(r, r.Size(), Limits{})
		if err != nil || len(root.Parts) != 2 || !root.Closed {
			t.Errorf("%q: %v, %+v", tc.name, err, root)
			continue
		}
		text, err := io.ReadAll(root.Parts[0].Open(r))
		if err != nil || string(text) != "Grüße\r\nund\r\n--=_b\r\n" {
			t.Errorf("text: %q, %v", text, err)
		}
		got, err := io.ReadAll(root.Parts[1].Open(r))
		if err != nil || string(got) != bytesOf {
			t.Errorf("%q: %d bytes of %d, %v", tc.name, len(got), len(bytesOf), err)
		}
		if n := root.Parts[1].Filename(); n != tc.want {
			t.Errorf("the name %q reads %q, want %q", tc.name, n, tc.want)
		}
		for line := range bytes.Lines(out.Bytes()) {
			if len(line) > 1000 || !bytes.HasSuffix(line, []byte("\r\n")) {
				t.Errorf("%q: a line of %d octets: %.80q", tc.name, len(line), line)
			}
		}
	}
}

func TestWriteLetterPlain(t *testing.T) {
	var out bytes.Buffer
	if err := WriteLetter(&out, new(Builder).Add("Subject", "x"), "a = b", ""); err != nil {
		t.Fatal(err)
	}
	r := bytes.NewReader(out.Bytes())
	root, err := Parse(r, r.Size(), Limits{})
	if err != nil || !root.Type.Is("text", "plain") || root.Header.Get("MIME-Version") != "1.0" {
		t.Fatalf("%v %+v", err, root)
	}
	if text, err := io.ReadAll(root.Open(r)); err != nil || string(text) != "a = b" {
		t.Errorf("%q, %v", text, err)
	}
}

// What cannot be read of a file ends the letter: no half attachment looks whole.
func TestWriteLetterCut(t *testing.T) {
	broken := errors.New("disk")
	var out bytes.Buffer
	err := WriteLetter(&out, new(Builder).Add("Subject", "x"), "", "=_b", NewAttachment("a", "image/png", func(w io.Writer) error {
		io.WriteString(w, "half")
		return broken
	}))
	if !errors.Is(err, broken) || strings.Contains(out.String(), "--=_b--") {
		t.Errorf("%v: %q", err, out.String())
	}
	if err := WriteLetter(&out, new(Builder).Add("Subject", "x\r\nBcc: y"), "", "=_b"); !errors.Is(err, ErrSyntax) {
		t.Errorf("a field with a line end: %v", err)
	}
	if err := WriteLetter(&out, new(Builder), "", "=_b", Attachment{Type: "a/b\r\nX: y", Disposition: "inline", Write: writes("")}); !errors.Is(err, ErrSyntax) {
		t.Errorf("a type with a line end: %v", err)
	}
}
