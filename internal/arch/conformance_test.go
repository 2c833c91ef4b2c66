package arch

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// rows of the requirement table, counted here so that a row cannot vanish from the page unseen.
var rows = map[string]int{"DIR": 60, "DCM": 34, "NHS": 19}

// Of the Direct Applicability Statement nothing is owed, and the page claims so.
const whole = "DIR"

var rowLine = regexp.MustCompile(`^\| ((?:DIR|DCM|NHS)-\d+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$`)

// DIR-45: the conformance page names, for every requirement, the code that meets it and the test that proves it, or says
// that it is owed. What it names exists, and the test speaks of the row.
func TestConformancePage(t *testing.T) {
	root := moduleRoot(t)
	page, err := os.ReadFile(filepath.Join(root, "docs", "conformance.md"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(page)) {
		m := rowLine.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			if strings.HasPrefix(line, "| D") || strings.HasPrefix(line, "| N") {
				t.Errorf("not a row: %s", line)
			}
			continue
		}
		id, code, proof := m[1], strings.TrimSpace(m[3]), strings.TrimSpace(m[4])
		if seen[id] {
			t.Errorf("%s stands twice", id)
		}
		seen[id] = true
		if strings.HasPrefix(id, whole) && strings.Contains(line, "owed") {
			t.Errorf("%s is owed, and the page claims the whole of it", id)
		}
		if code == "owed" {
			if proof != "owed" {
				t.Errorf("%s: the code is owed, what does the test prove?", id)
			}
			continue
		}
		for f := range strings.SplitSeq(code, ", ") {
			exists(t, root, id, f)
		}
		for f := range strings.SplitSeq(proof, ", ") {
			if text := exists(t, root, id, f); !strings.Contains(text, id) {
				t.Errorf("%s: %s does not speak of it", id, f)
			}
		}
	}
	for kind, n := range rows {
		for i := 1; i <= n; i++ {
			if id := fmt.Sprintf("%s-%02d", kind, i); !seen[id] {
				t.Errorf("%s is missing from docs/conformance.md", id)
			}
		}
	}
}

// exists returns the text of a file, or of all test files of a folder.
func exists(t *testing.T, root, id, name string) string {
	t.Helper()
	name = strings.Trim(name, "`")
	path := filepath.Join(root, filepath.FromSlash(name))
	info, err := os.Stat(path)
	if err != nil {
		t.Errorf("%s: %s does not exist", id, name)
		return ""
	}
	files := []string{path}
	if info.IsDir() {
		if files, err = filepath.Glob(filepath.Join(path, "*_test.go")); err != nil {
			t.Error(err)
		}
	}
	var all strings.Builder
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Error(err)
		}
		all.Write(text)
	}
	return all.String()
}
