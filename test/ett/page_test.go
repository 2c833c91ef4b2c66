package ett

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// docs/ett.md names the sub-tests: each of them is here, and each that bears a number stands there.
func TestPage(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "ett.md"))
	must(t, err)
	var sources strings.Builder
	files, err := filepath.Glob("*_test.go")
	must(t, err)
	for _, f := range append(files, "testdata/check.py") {
		b, err := os.ReadFile(f)
		must(t, err)
		sources.Write(b)
	}
	named := map[string]bool{}
	for line := range strings.Lines(string(page)) {
		if !strings.HasPrefix(line, "|") {
			continue
		}
		for _, m := range regexp.MustCompile("`([A-Za-z0-9_.-]+)`").FindAllStringSubmatch(line, -1) {
			named[m[1]] = true
			prefix, rest, _ := strings.Cut(m[1], "_") // good_sha256 is put together of two
			if s := sources.String(); !strings.Contains(s, `"`+m[1]+`"`) && !strings.Contains(s, m[1]+"(") && !(prefix == "good" && strings.Contains(s, `"`+rest+`"`)) {
				t.Errorf("there is no %s", m[1])
			}
		}
	}
	for _, m := range regexp.MustCompile(`"((?:MT|SMTP|DTS)[0-9]\w*)"`).FindAllStringSubmatch(sources.String(), -1) {
		if !named[m[1]] {
			t.Errorf("%s does not stand on the page", m[1])
		}
	}
}
