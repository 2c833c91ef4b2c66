package pki

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"carepost/trust/casetest"
)

// sections are those of NIST PKITS, version 1.0.1, and the names of their files in testdata.
var sections = [...]string{
	"4.01-signature-verification", "4.02-validity-periods", "4.03-name-chaining", "4.04-basic-revocation", "4.05-self-issued",
	"4.06-basic-constraints", "4.07-key-usage", "4.08-certificate-policies", "4.09-require-explicit-policy", "4.10-policy-mappings",
	"4.11-inhibit-policy-mapping", "4.12-inhibit-any-policy", "4.13-name-constraints", "4.14-distribution-points", "4.15-delta-lists",
	"4.16-private-extensions",
}

func rows(t *testing.T) map[string][]casetest.Case { return casetest.Archives(t, "testdata/*.txtar") }

// Every row of the matrix is judged as RFC 5280 has it. DIR-32, DIR-34, DIR-35, DIR-38, DIR-40.
func TestMatrix(t *testing.T) {
	for name, section := range rows(t) {
		t.Run(name, func(t *testing.T) {
			for _, c := range section {
				t.Run(c.Name, func(t *testing.T) {
					t.Parallel()
					c.Each(t, func(w *casetest.World, want casetest.Want) { casetest.Judge(t, w, want) })
				})
			}
		})
	}
}

// Every section of PKITS has rows, and no section accepts only; README.md counts them.
func TestSections(t *testing.T) {
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	matrix := rows(t)
	refusals, acceptances, names := 0, 0, map[string]bool{}
	for _, s := range sections {
		refused, accepted := casetest.Count(matrix[s])
		if refused == 0 || accepted == 0 {
			t.Errorf("%s: %d refusals and %d acceptances", s, refused, accepted)
		}
		refusals, acceptances = refusals+refused, acceptances+accepted
		number, title, _ := strings.Cut(strings.Replace(s, "4.0", "4.", 1), "-")
		line := fmt.Sprintf("| %s | %s | %d | %d | %d |", number, strings.ReplaceAll(title, "-", " "), len(matrix[s]), refused, accepted)
		if !strings.Contains(string(page), line+"\n") {
			t.Errorf("README.md wants the line: %s", line)
		}
		for _, c := range matrix[s] {
			if !strings.HasPrefix(c.Name, number+".") || names[c.Name] {
				t.Errorf("%s stands in %s, or twice", c.Name, s)
			}
			names[c.Name] = true
		}
	}
	if len(matrix) != len(sections) || refusals <= acceptances {
		t.Errorf("%d files; %d refusals and %d acceptances", len(matrix), refusals, acceptances)
	}
}
