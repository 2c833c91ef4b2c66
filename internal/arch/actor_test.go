package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Who is told who acts uses it: a service that takes an audit.Actor and drops it would act without an entry.
func TestActorsAreUsed(t *testing.T) {
	root := moduleRoot(t)
	taken := 0
	for room, layer := range Rooms {
		if layer != Services && room != "internal/gateway" {
			continue
		}
		files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(room), "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			source, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, source, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range file.Decls {
				f, ok := d.(*ast.FuncDecl)
				if !ok || f.Body == nil {
					continue
				}
				for _, name := range actors(f) {
					taken++
					if name == "_" || !names(f.Body, name) {
						t.Errorf("%s: %s is told who acts, and writes it nowhere", filepath.Base(path), f.Name.Name)
					}
				}
			}
		}
	}
	if taken < 50 {
		t.Errorf("%d functions are told who acts: the test looks in the wrong place", taken)
	}
}

// actors are the names of f's parameters of type audit.Actor.
func actors(f *ast.FuncDecl) (list []string) {
	for _, p := range f.Type.Params.List {
		sel, ok := p.Type.(*ast.SelectorExpr)
		if !ok || sel.Sel.Name != "Actor" {
			continue
		}
		if pkg, ok := sel.X.(*ast.Ident); !ok || pkg.Name != "audit" {
			continue
		}
		if len(p.Names) == 0 {
			list = append(list, "_")
		}
		for _, n := range p.Names {
			list = append(list, n.Name)
		}
	}
	return list
}

// names says whether a name stands in a body.
func names(body *ast.BlockStmt, name string) (found bool) {
	ast.Inspect(body, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && id.Name == name {
			found = true
		}
		return !found
	})
	return found
}
