package arch

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/constant"
	"go/format"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// limited are the rooms whose limits stand in docs/limits.md: all constants that begin with max or min, and all fields of a type Limits.
var limited = []string{"certificate", "cms", "cms/internal/cbc", "cms/internal/gcm", "cms/internal/keywrap", "smime", "message", "trust", "trust/policy", "discovery", "ldap", "internal/rule", "internal/hook", "internal/intake", "internal/agent", "internal/keyring", "internal/fetch",
	"internal/dnsd", "internal/ldapd", "internal/audit", "internal/pilot", "internal/certd", "xdm", "directcontext", "internal/transit", "internal/auditor", "atna", "dicom/fileset", "dicom/zipmail", "dicom/dimse", "dicom/stow", "internal/dicomweb", "internal/handover", "dicom/deid", "internal/mailbox", "sasl", "pop3", "imap", "internal/collect"}

var (
	limitLine  = regexp.MustCompile("^\\| `([a-z0-9/]+)` \\| `([A-Za-z0-9]+)` \\| ([^|]+) \\| [^|]+ \\|$")
	limitName  = regexp.MustCompile(`^(max|min)[A-Z]`)
	limitField = regexp.MustCompile(`\bl\.([A-Z][A-Za-z]+)(?:, | = )([0-9 <_]+)`)
)

// The limits of the page are those of the sources: none is missing, none has another value.
func TestLimitsPage(t *testing.T) {
	root := moduleRoot(t)
	page, err := os.ReadFile(filepath.Join(root, "docs", "limits.md"))
	if err != nil {
		t.Fatal(err)
	}
	written := map[string]string{}
	for line := range strings.Lines(string(page)) {
		line = strings.TrimSpace(line)
		if m := limitLine.FindStringSubmatch(line); m != nil {
			written[m[1]+"."+m[2]] = number(t, strings.NewReplacer(" KiB", " << 10", " MiB", " << 20").Replace(m[3]))
		} else if strings.HasPrefix(line, "| `") {
			t.Errorf("not a row: %s", line)
		}
	}
	for _, room := range limited {
		for name, value := range limits(t, root, room) {
			switch w, ok := written[room+"."+name]; {
			case !ok:
				t.Errorf("%s.%s (%s) is missing from docs/limits.md", room, name, value)
			case w != value:
				t.Errorf("%s.%s is %s; docs/limits.md says %s", room, name, value, w)
			}
			delete(written, room+"."+name)
		}
	}
	for name := range written {
		t.Errorf("docs/limits.md has %s, and no source", name)
	}
}

// number evaluates a constant expression.
func number(t *testing.T, expr string) string {
	t.Helper()
	v, err := types.Eval(token.NewFileSet(), nil, token.NoPos, expr)
	if err != nil || v.Value == nil || v.Value.Kind() != constant.Int {
		t.Errorf("not a number: %s", expr)
		return ""
	}
	return v.Value.ExactString()
}

// limits returns the limits of a room by their names.
func limits(t *testing.T, root, room string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(room), "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GenDecl:
				if n.Tok == token.CONST {
					for _, s := range n.Specs {
						constants(t, set, s.(*ast.ValueSpec), all)
					}
				}
			case *ast.FuncDecl:
				if n.Name.Name == "defaulted" || n.Name.Name == "withDefaults" {
					for _, m := range limitField.FindAllStringSubmatch(text(set, n.Body), -1) {
						all[m[1]] = number(t, m[2])
					}
				}
			}
			return true
		})
	}
	return all
}

// constants adds those of one line.
func constants(t *testing.T, set *token.FileSet, s *ast.ValueSpec, all map[string]string) {
	for i, name := range s.Names {
		if limitName.MatchString(name.Name) && i < len(s.Values) {
			all[name.Name] = number(t, text(set, s.Values[i]))
		}
	}
}

func text(set *token.FileSet, n ast.Node) string {
	var b bytes.Buffer
	if err := format.Node(&b, set, n); err != nil {
		return fmt.Sprint(err)
	}
	return b.String()
}
