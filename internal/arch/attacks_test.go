package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// attacks is how many rows docs/attacks.md has, counted here so that none vanishes unseen.
const attacks = 44

var (
	attackLine = regexp.MustCompile(`^\| (ATT-\d\d) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$`)
	testName   = regexp.MustCompile("^`([a-z0-9/]+)\\.((?:Test|Fuzz)[A-Za-z0-9]+)`$")
)

// Every attack has a defence and a test, or is owed. The tests that are named exist and say in their comments which row they are for; and
// no test speaks of a row that does not name it.
func TestAttacksPage(t *testing.T) {
	root := moduleRoot(t)
	page, err := os.ReadFile(filepath.Join(root, "docs", "attacks.md"))
	if err != nil {
		t.Fatal(err)
	}
	spoken := spokenRows(t, root)
	seen := map[string]bool{}
	for line := range strings.Lines(string(page)) {
		m := attackLine.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			if strings.HasPrefix(line, "| A") {
				t.Errorf("not a row: %s", line)
			}
			continue
		}
		id, tests := m[1], strings.TrimSpace(m[4])
		if seen[id] {
			t.Errorf("%s stands twice", id)
		}
		seen[id] = true
		if tests == "owed" {
			continue
		}
		for name := range strings.SplitSeq(tests, ", ") {
			m := testName.FindStringSubmatch(name)
			if m == nil {
				t.Errorf("%s: not the name of a test: %s", id, name)
				continue
			}
			key := m[1] + "." + m[2]
			rows, ok := spoken[key]
			switch {
			case !ok:
				t.Errorf("%s: there is no test %s", id, key)
			case !strings.Contains(rows, id):
				t.Errorf("%s: the comment of %s does not speak of it", id, key)
			}
			spoken[key] = strings.ReplaceAll(rows, id, "")
		}
	}
	for i := 1; i <= attacks; i++ {
		if id := fmt.Sprintf("ATT-%02d", i); !seen[id] {
			t.Errorf("%s is missing from docs/attacks.md", id)
		}
	}
	if len(seen) != attacks {
		t.Errorf("%d rows", len(seen))
	}
	for test, rows := range spoken {
		if strings.Contains(rows, "ATT-") {
			t.Errorf("%s says %s, and that row does not name it", test, strings.TrimSpace(rows))
		}
	}
}

// spokenRows lists all tests of the module, as directory.Name, with the comments above them.
func spokenRows(t *testing.T, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && (strings.HasPrefix(f.Name.Name, "Test") || strings.HasPrefix(f.Name.Name, "Fuzz")) {
				all[filepath.ToSlash(dir)+"."+f.Name.Name] = f.Doc.Text()
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// bigNumbers are the files of what handles keys that may import math/big, and why that is no secret.
var bigNumbers = map[string]string{
	"cms/fields.go": "serial numbers", "cms/signed.go": "serial numbers", "cms/pkcs1.go": "RSA with public keys",
	"internal/keyring/token_use.go": "public keys and signatures",
}

// ATT-25: arithmetic of math/big takes a time that depends on the numbers. Where private keys and content keys are, it is for public
// numbers, named above.
func TestNoBigSecrets(t *testing.T) {
	root := moduleRoot(t)
	for _, room := range []string{"cms", "smime", "internal/keyring", "internal/vault"} {
		err := filepath.WalkDir(filepath.Join(root, filepath.FromSlash(room)), func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
			if err != nil {
				return err
			}
			name, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			for _, i := range file.Imports {
				if i.Path.Value == `"math/big"` && bigNumbers[filepath.ToSlash(name)] == "" {
					t.Errorf("%s imports math/big: for which public numbers?", name)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
