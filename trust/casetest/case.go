package casetest

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"carepost/trust"
)

// Case is one story: lines that build, and one or more that want a verdict.
type Case struct {
	Name   string // "direct-4.1.1-case", "4.7.1 no-cert-sign"
	Reason string // the first line
	lines  []string
}

// Want is the verdict that a line wants.
type Want struct {
	Status string // "trusted", "refused", "undecided" or "unreadable"
	Clause string
	Words  string // part of the reason or of a check
}

// Refusal says that this is no acceptance.
func (w Want) Refusal() bool { return w.Status != trust.Trusted.String() }

// Parse reads a case.
func Parse(name, text string) Case {
	c := Case{Name: name, lines: strings.Split(text, "\n")}
	c.Reason = strings.TrimPrefix(c.lines[0], "# ")
	return c
}

// Glob reads a file for each case.
func Glob(tb testing.TB, pattern string) (all []Case) {
	tb.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		tb.Fatal("no cases: ", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		if !strings.HasPrefix(string(text), "# ") {
			tb.Errorf("%s: the first line gives the reason", file)
		}
		all = append(all, Parse(strings.TrimSuffix(filepath.Base(file), ".txtar"), string(text)))
	}
	return all
}

// Archives reads files of many cases in txtar format: each after a line "-- name --", its reason on the first line. What stands before the
// first case of a file is built for all of them.
func Archives(tb testing.TB, pattern string) (all map[string][]Case) {
	tb.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		tb.Fatal("no archives: ", err)
	}
	all = map[string][]Case{}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		for _, f := range archive.Files {
			if !bytes.HasPrefix(f.Data, []byte("# ")) {
				tb.Errorf("%s: %s: the first line gives the reason", file, f.Name)
			}
			reason, lines, _ := strings.Cut(string(f.Data), "\n")
			all[name] = append(all[name], Parse(f.Name, reason+"\n"+string(archive.Comment)+lines))
		}
	}
	return all
}

// Wants lists what the case wants, without building anything.
func (c Case) Wants() (all []Want) {
	for _, line := range c.lines {
		if w, ok := parseWant(line); ok {
			all = append(all, w)
		}
	}
	return all
}

// Each builds the case, and calls f at every line that wants something.
func (c Case) Each(tb testing.TB, f func(w *World, want Want)) {
	tb.Helper()
	w := New(tb)
	judged := false
	for _, line := range c.lines {
		if want, ok := parseWant(line); ok {
			judged = true
			w.Anchored()
			f(w, want)
		} else if fields := strings.Fields(line); len(fields) > 0 && fields[0] != "#" {
			w.Line(fields[0], fields[1:])
		}
	}
	if !judged {
		tb.Fatal("the case wants nothing")
	}
}

// parseWant reads "want Refused Direct 4.1.1 | words of the reason".
func parseWant(line string) (w Want, ok bool) {
	rest, ok := strings.CutPrefix(strings.TrimSpace(line), "want ")
	if !ok {
		return w, false
	}
	head, words, _ := strings.Cut(rest, "|")
	status, clause, _ := strings.Cut(strings.TrimSpace(head), " ")
	return Want{strings.ToLower(status), strings.TrimSpace(clause), strings.TrimSpace(words)}, true
}

// Count counts what the cases want.
func Count(cases []Case) (refused, accepted int) {
	for _, c := range cases {
		for _, w := range c.Wants() {
			if w.Refusal() {
				refused++
			} else {
				accepted++
			}
		}
	}
	return refused, accepted
}

// Judge has the question judged by somebody who knows nothing yet, and checks the verdict.
func Judge(t testing.TB, w *World, want Want) {
	t.Helper()
	if (w.Garbled != nil) != (want.Status == "unreadable") {
		t.Fatalf("want %s; unreadable: %v", want.Status, w.Garbled != nil)
	}
	if w.Garbled == nil {
		Check(t, w.Ask(t.Context(), w.Judge()), want)
	}
}

// Check compares a verdict with what was wanted, and with what holds for all verdicts.
func Check(t testing.TB, v trust.Verdict, want Want) {
	t.Helper()
	finding := false // the words may be those of a check
	for _, c := range v.Checks {
		finding = finding || strings.Contains(c.Evidence, want.Words)
	}
	if v.Status.String() != want.Status || v.Clause != want.Clause || !strings.Contains(v.Reason, want.Words) && !finding {
		t.Errorf("%v, %s: %s\nwant %s, %s: %s", v.Status, v.Clause, v.Reason, want.Status, want.Clause, want.Words)
		for _, c := range v.Checks {
			t.Logf("  %-14s %-9v %s: %s", c.Name, c.Status, c.Clause, c.Evidence)
		}
	}
	if v.Reason == "" || v.Clause == "" || len(v.Checks) == 0 {
		t.Error("a verdict has a clause, a reason and evidence")
	}
	if (v.Status == trust.Trusted) != (v.Anchor != nil) {
		t.Error("Trusted and an anchor belong together")
	}
	for _, c := range append(v.Checks, trust.Check{Evidence: v.Reason}) {
		if strings.Contains(c.Evidence, "lab@") {
			t.Errorf("an address in the evidence: %s", c.Evidence)
		}
	}
}
