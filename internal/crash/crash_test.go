package crash

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Every point that is named stands in the sources once, and every point in the sources is named: a trial that walks All leaves none
// out, and no name waits for a passing that never comes.
func TestPointsStandInTheSources(t *testing.T) {
	found := points(t, filepath.Join("..", ".."))
	for _, a := range All() {
		switch at := found[a.Name]; len(at) {
		case 1:
		case 0:
			t.Errorf("no source passes %s", a.Name)
		default:
			t.Errorf("%s stands in %s", a.Name, strings.Join(at, " and "))
		}
		if a.Between == "" {
			t.Errorf("nobody says what %s stands between", a.Name)
		}
		delete(found, a.Name)
	}
	for name, at := range found {
		t.Errorf("%s: no trial knows the point %s", strings.Join(at, ", "), name)
	}
}

// points finds the calls of Point below root, and where they stand.
func points(t *testing.T, root string) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && slices.Contains([]string{"testdata", ".git"}, d.Name()):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			fun, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || fun.Sel.Name != "Point" {
				return true
			}
			if room, ok := fun.X.(*ast.Ident); !ok || room.Name != "crash" {
				return true
			}
			literal, ok := call.Args[0].(*ast.BasicLit)
			if !ok {
				t.Errorf("%s: the name of a point is a literal", set.Position(call.Pos()))
				return true
			}
			name, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Error(err)
			}
			found[name] = append(found[name], set.Position(call.Pos()).String())
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
