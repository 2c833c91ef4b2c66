package flow

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"carepost/message"
)

// Whatever a mail program writes: what was readable stays so, blind copies are gone, and each added field is there once.
func FuzzCompleted(f *testing.F) {
	for _, text := range []string{"From: a@h.example\r\nBcc: b@h.example,\r\n c@h.example\r\n\r\nx", "To: x\n", "Bcc: x", "A: b\r\n\r\n", "date: x\nMESSAGE-ID:\n\n", "\r\n", "Bcc : x\r\nA: b"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		h, err := message.ReadHeader(bufio.NewReader(bytes.NewReader(text)), message.Limits{})
		if err != nil {
			return
		}
		out, err := completed(h, sha256.New(), "h.example", time.Unix(0, 0))
		if err != nil {
			t.Fatal(err)
		}
		got, err := message.ReadHeader(bufio.NewReader(bytes.NewReader(out)), message.Limits{})
		if err != nil {
			t.Fatalf("%q became %q: %v", text, out, err)
		}
		if got.Has("Bcc") || got.Has("Resent-Bcc") {
			t.Errorf("%q became %q", text, out)
		}
		for _, name := range []string{"Date", "Message-ID"} {
			if n := max(h.Count(name), 1); got.Count(name) != n {
				t.Errorf("%q became %q: %d %s", text, out, got.Count(name), name)
			}
		}
		rest := got.Fields()
		for _, field := range h.Fields() {
			if strings.EqualFold(field.Name, "Bcc") || strings.EqualFold(field.Name, "Resent-Bcc") {
				continue
			}
			if len(rest) == 0 || !bytes.HasPrefix(rest[0].Raw, field.Raw) {
				t.Fatalf("%q became %q", text, out)
			}
			rest = rest[1:]
		}
	})
}
