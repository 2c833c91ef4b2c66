package flow

import (
	"strings"
	"testing"
	"time"

	"carepost/internal/store"
	"carepost/internal/transit"
)

// Reports are read by people: no line is longer than a mail program shows, whatever the other side says, and cause and remedy are there.
// DIR-31.
func TestFailureText(t *testing.T) {
	x := failure{store.Recipient{Address: a("lab", "south.example")}, transit.Fail, "5.1.1", "Direct 3.3",
		"the recipient's side reports: " + strings.Repeat("Röntgen ", 40) + "\nmissing: A/B\r\n" + strings.Repeat("x", 200), nil}
	text := failureText(store.Header{Subject: "A \"quoted\"\a subject " + strings.Repeat("long ", 30), Date: time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)}, []failure{x})
	for line := range strings.Lines(text) {
		if n := len([]rune(strings.TrimRight(line, "\n"))); n > 78 && !strings.Contains(line, "xxxx") {
			t.Errorf("%d characters: %s", n, line)
		}
	}
	for _, want := range []string{"\n  lab@south.example\n    Why:   the recipient's side", "\n           missing: A/B\n", "\n    To do: check the address.\n", "\n    Rule:  Direct 3.3 (5.1.1)\n",
		"of 22 November 2026, 09:00 +0000"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.ContainsAny(text, "\a\r") {
		t.Errorf("controls in %q", text)
	}
}
