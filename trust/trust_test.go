package trust_test

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"carepost/trust"
)

// TestCases runs the cases of testdata: a file per case, named by its clause. Each proves DIR-32 and the row that its clause
// belongs to (DIR-33: revocation; DIR-34, DIR-35: 4.1; DIR-36: usage; DIR-37, DIR-38, DIR-40: 4.2; DIR-39: AIA). ATT-16.
func TestCases(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases: ", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { runCase(t, file) })
	}
}

func runCase(t *testing.T, file string) {
	eachWant(t, file, func(w *world, want string) {
		want, status, _ := strings.Cut(want, " ")
		clause, words, _ := strings.Cut(status, "|") // want Refused Direct 4.1.1 | words of the reason
		check(t, w.judge(t.Context()), strings.ToLower(want), strings.TrimSpace(clause), strings.TrimSpace(words))
	})
}

// eachWant reads a case and calls f at every line that wants something.
func eachWant(t *testing.T, file string, f func(w *world, want string)) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	judged := false
	for n, line := range strings.Split(string(text), "\n") {
		fields := strings.Fields(line)
		switch {
		case n == 0 && !strings.HasPrefix(line, "# "):
			t.Fatal("the first line gives the reason")
		case len(fields) == 0, fields[0] == "#":
			continue
		case fields[0] != "want":
			w.line(fields[0], fields[1:])
			continue
		}
		judged = true
		f(w, strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "want")))
	}
	if !judged {
		t.Fatal("the case wants nothing")
	}
}

func check(t *testing.T, v trust.Verdict, status, clause, words string) {
	t.Helper()
	finding := false // the words may be those of a check
	for _, c := range v.Checks {
		finding = finding || strings.Contains(c.Evidence, words)
	}
	if v.Status.String() != status || v.Clause != clause || !strings.Contains(v.Reason, words) && !finding {
		t.Errorf("%v, %s: %s\nwant %s, %s: %s", v.Status, v.Clause, v.Reason, status, clause, words)
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

func pemOf(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}
