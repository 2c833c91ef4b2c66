package config_test

import (
	"os"
	"strings"
	"testing"

	"carepost/cms"
)

// The table that operators read is the one that holds: every algorithm, with what each profile does.
func TestTableOfAlgorithms(t *testing.T) {
	page, err := os.ReadFile("../../docs/operation.md")
	if err != nil {
		t.Fatal(err)
	}
	told := map[cms.Algorithm][]string{}
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(line, "|")
		if len(cells) < 6 {
			continue
		}
		if x, err := cms.ParseAlgorithm(strings.TrimSpace(cells[1])); err == nil {
			told[x] = []string{strings.TrimSpace(cells[2]), strings.TrimSpace(cells[3]), strings.TrimSpace(cells[4])}
		}
	}
	for x := cms.SHA1; ; x++ {
		if _, err := cms.ParseAlgorithm(x.String()); err != nil {
			break
		}
		for i, p := range []cms.Profile{cms.V12, cms.V13, cms.Lenient} {
			if got := told[x]; len(got) != 3 || got[i] != p.Algorithms().Use(x).String() {
				t.Errorf("%s: the page says %v; of profile %d it is %s", x, got, i, p.Algorithms().Use(x))
			}
		}
	}
}
