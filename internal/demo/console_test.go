package demo

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// Lines fit the terminal, lose no word, and commands to copy stay whole.
func TestSplit(t *testing.T) {
	const text = "by anchor \"Pilot CA of south.example\", organizationally-bound, Direct 4.2.3, Żółć Łucja"
	for width := range 100 {
		parts := split(text, width)
		if got := strings.Join(parts, " "); got != text {
			t.Fatalf("width %d: %q", width, got)
		}
		for _, p := range parts {
			if n := utf8.RuneCountInString(p); width > 23 && n > width {
				t.Errorf("width %d: %d in %q", width, n, p)
			}
		}
	}
	for _, whole := range []string{"", "  carepost open --to reception@south.example", strings.Repeat("x", 90)} {
		if got := split(whole, 40); len(got) != 1 || got[0] != whole {
			t.Errorf("%q", got)
		}
	}
}

func TestSayBelowItself(t *testing.T) {
	var out bytes.Buffer
	now := time.Now()
	c := newConsole(&out, 60, now, nil)
	c.say(now.Add(1500*time.Millisecond), "trusted", "%s", "by anchor \"Pilot CA of south.example\", organizationally-bound")
	c.remark("note: %s", "one")
	const want = "   1.50 s  trusted    by anchor \"Pilot CA of south.example\",\n" +
		"                      organizationally-bound\n" +
		"                      note: one\n"
	if out.String() != want {
		t.Errorf("%q", out.String())
	}
}

type broken struct{ err error }

func (b broken) Write([]byte) (int, error) { return 0, b.err }

// Output that is lost is an error, and it ends the work.
func TestRunTellsOfLostOutput(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	full := errors.New("full")
	if err := Run(t.Context(), Options{Out: broken{full}}); !errors.Is(err, full) {
		t.Errorf("%v", err)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Run(ctx, Options{Out: &bytes.Buffer{}}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestQuoted(t *testing.T) {
	for in, want := range map[string]string{"/tmp/a-b_c.1": "/tmp/a-b_c.1", "my study": "'my study'", "it's": `'it'\''s'`, "$x": "'$x'"} {
		if got := quoted(in); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
}
