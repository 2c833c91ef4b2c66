package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"carepost/internal/admind"
)

// hostileTexts are what others may write in a subject, a name or an answer.
var hostileTexts = []string{
	"plain", "\x1b[2J\x1b]0;title\x07", "a\r\nb", "\u202egpj.exe", "\u2066x\u2069", "\u009b31m", "\U000e0041tag", "\u2028\u2029", "\xff\xfe", "\x00", "\x7f",
	"👩\u200d⚕️", "می\u200cخواهم", "  many   blanks  ", "../../etc/passwd", `..\..\x`, "CON?.txt. ", "...", strings.Repeat("ü", 400) + ".pdf",
	"a." + strings.Repeat("b", 400), "\"\\", "<>|:*?", "-rf", "~", "",
}

// What is printed moves no cursor, turns no direction, and stays one line.
func FuzzPlain(f *testing.F) {
	for _, s := range hostileTexts {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, out := range []string{plain(s), plainLines(s)} {
			for _, r := range out {
				if disturbs(r) && r != '\n' && r != '\t' {
					t.Errorf("%q gives %q", s, out)
				}
			}
			if !utf8.ValidString(out) {
				t.Errorf("%q gives %q", s, out)
			}
		}
		if strings.ContainsAny(plain(s), "\n\t") {
			t.Errorf("%q is several lines", plain(s))
		}
		var b bytes.Buffer
		if err := writeJSON(&b, []string{s}); err != nil {
			t.Fatal(err)
		}
		var back []string
		if err := json.Unmarshal(b.Bytes(), &back); err != nil || back[0] != strings.ToValidUTF8(s, "\ufffd") && utf8.ValidString(s) {
			t.Errorf("%q comes back as %q, %v", s, back, err)
		}
		for _, r := range b.String() {
			if disturbs(r) && r != '\n' {
				t.Errorf("JSON of %q: %q", s, b.String())
			}
		}
	})
}

// A name of others becomes one element of a path, never another's and never hidden.
func FuzzFileName(f *testing.F) {
	for _, s := range hostileTexts {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name := fileName(admind.Part{N: 3, Name: s})
		if name == "" || strings.HasPrefix(name, ".") || strings.ContainsAny(name, "/\\\x00") || len(name) > 200 || !utf8.ValidString(name) ||
			filepath.Join("d", name) != "d/"+name || !filepath.IsLocal(name) {
			t.Errorf("%q gives %q", s, name)
		}
		for _, r := range name {
			if disturbs(r) {
				t.Errorf("%q gives %q", s, name)
			}
		}
	})
}

func TestAge(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	for d, want := range map[time.Duration]string{
		0: "now", 900 * time.Millisecond: "now", 3 * time.Second: "3 s", 61 * time.Second: "1 min", 47 * time.Hour: "47 h", 72 * time.Hour: "3 days",
		-90 * time.Second: "in 1 min", -time.Hour: "in 1 h",
	} {
		if got := age(now.Add(-d), now); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
	if got := age(time.Time{}, now); got != "–" {
		t.Errorf("never: %q", got)
	}
}

func TestTable(t *testing.T) {
	var tab table
	tab.add("ID", "SUBJECT")
	tab.add("12345", "Größe\x1b[2J "+strings.Repeat("x", 60))
	tab.add("1", "short")
	var b bytes.Buffer
	if err := tab.write(&b, 40); err != nil {
		t.Fatal(err)
	}
	want := "ID     SUBJECT\n12345  Größe [2J xxxxxxxxxxxxxxxxxxxxxx…\n1      short\n"
	if b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}

// How a message ended is told by the worst: a rule before a wire.
func TestVerdictOn(t *testing.T) {
	r := func(id, state string, refused bool, code int) admind.Recipient {
		return admind.Recipient{ID: id, State: state, Refused: refused, Code: code}
	}
	for _, tc := range []struct {
		rs   []admind.Recipient
		want int
	}{
		{[]admind.Recipient{r("1", "processed", false, 250)}, exitDone},
		{[]admind.Recipient{r("1", "processed", false, 250), r("2", "failed", true, 0)}, exitRefused},
		{[]admind.Recipient{r("1", "failed", true, 550)}, exitRefused},
		{[]admind.Recipient{r("1", "failed", false, 421)}, exitNotNow},
		{[]admind.Recipient{r("1", "failed", false, 0), r("2", "failed", true, 0)}, exitRefused},
	} {
		if got := exitCode(verdictOn(admind.Timeline{Recipients: tc.rs})); got != tc.want {
			t.Errorf("%+v: %d, want %d", tc.rs, got, tc.want)
		}
	}
}
