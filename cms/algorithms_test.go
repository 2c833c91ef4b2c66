package cms

import (
	"go/ast"
	goparser "go/parser"
	"go/token"
	"regexp"
	"strings"
	"testing"
)

// documented returns the lines of the table in the documentation of Profile, split at the columns.
func documented(t *testing.T) (lines [][]string) {
	t.Helper()
	f, err := goparser.ParseFile(token.NewFileSet(), "algorithms.go", nil, goparser.ParseComments)
	check(t, err)
	columns := regexp.MustCompile(`\s{2,}`)
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.TYPE || g.Specs[0].(*ast.TypeSpec).Name.Name != "Profile" {
			continue
		}
		for line := range strings.SplitSeq(g.Doc.Text(), "\n") {
			if strings.HasPrefix(line, "\t") {
				lines = append(lines, columns.Split(strings.TrimSpace(line), -1))
			}
		}
	}
	return lines[1:]
}

// DIR-18, DIR-19: the table that people read is the one that is obeyed.
func TestAlgorithmTable(t *testing.T) {
	lines := documented(t)
	if len(lines) != int(algorithms)-1 {
		t.Fatalf("%d lines for %d algorithms", len(lines), algorithms-1)
	}
	for i, line := range lines {
		x := Algorithm(i + 1)
		if got, err := ParseAlgorithm(strings.ToLower(line[0])); err != nil || got != x || x.String() != line[0] {
			t.Errorf("line %d, %s: %v, %v", i, line[0], got, err)
		}
		for p := V12; p <= Lenient; p++ {
			a := p.Algorithms()
			if a.Use(x).String() != line[1+p] {
				t.Errorf("%s in profile %d: %s, documented %s", x, p, a.Use(x), line[1+p])
			}
			for u := Refuse; u <= Send; u++ {
				b, err := a.With(x, u)
				possible := line[4] == "any" || strings.Contains(line[4], u.String()) || u == Refuse && !strings.Contains(line[4], ",")
				if x == SHA1 && p == V13 {
					possible = u == Refuse
				}
				if (err == nil) != possible {
					t.Errorf("%s in profile %d: With %s: %v", x, p, u, err)
				}
				if err != nil && b != a || err == nil && b.Use(x) != u || (b == a) != (b.Use(x) == a.Use(x)) {
					t.Errorf("%s in profile %d: With %s gives %s", x, p, u, b.Use(x))
				}
				if (a.accept(x, "") == nil) != (a.Use(x) >= Accept) {
					t.Errorf("%s in profile %d: read", x, p)
				}
			}
		}
	}
}

// What the enumeration does not hold cannot be had.
func TestNoSuchAlgorithm(t *testing.T) {
	for _, name := range []string{"", "MD5", "3DES", "RC2", "DES", "no algorithm", "SHA-224", "P-521"} {
		if x, err := ParseAlgorithm(name); err == nil {
			t.Errorf("%s is %v", name, x)
		}
	}
	if (Algorithms{}) != V12.Algorithms() {
		t.Error("the zero value is not V12's column")
	}
	for _, x := range []Algorithm{0, algorithms, 200} {
		if (Algorithms{}).Use(x) != Refuse || (Algorithms{}).accept(x, "") == nil || x.String() != "no algorithm" {
			t.Errorf("algorithm %d is used", x)
		}
		if _, err := (Algorithms{}).With(x, Accept); err == nil {
			t.Errorf("algorithm %d can be configured", x)
		}
	}
	unknown := Profile(3).Algorithms()
	if _, err := unknown.With(SHA256, Send); err == nil || unknown.Use(SHA256) != Refuse {
		t.Error("an unknown profile")
	}
	if _, err := (Algorithms{}).With(SHA256, Send+1); err == nil {
		t.Error("an unknown use")
	}
}
