package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "carepost"

// The sources are read by this test itself: a test that asks `go list` is cached and stays green after a breach.
func TestArrows(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range sources(t, moduleRoot(t)) {
		seen[f.room] = true
		if _, ok := Rooms[owner(f.room)]; !ok && !f.test {
			t.Errorf("%s: room %s is not on the map", f.path, f.room)
			continue
		}
		for _, problem := range breaches(f) {
			t.Error(problem)
		}
	}
	for room := range Rooms {
		if !seen[room] {
			t.Errorf("the map shows %s, which does not exist", room)
		}
	}
}

// The rules catch what they are for.
func TestBreachesAreSeen(t *testing.T) {
	for _, tc := range []struct {
		room, src, want string
		test            bool
	}{
		{room: "addr", src: `import "carepost/smime"`, want: "may not import"},
		{room: "internal/smtpd", src: `import "carepost/internal/store"`, want: "edges never"},
		{room: "internal/smtpd", src: `import "carepost/internal/relay"`, want: "may not import"},
		{room: "internal/flow", src: `import "database/sql"`, want: "only"},
		{room: "trust", src: `import "log/slog"`, want: "logger"},
		{room: "trust", src: "import \"time\"\nvar _ = time.Now()", want: "clock"},
		{room: "trust", src: "import clock \"time\"\nvar _ = clock.Since", want: "clock"},
		{room: "trust", src: "import . \"time\"\nvar _ = Now()", want: "clock"},
		{room: "trust", src: "import \"time\"\nvar _ = time.Hour"},
		{room: "trust", src: `import "carepost/cmd/carepost"`, want: "may not import"},
		{room: "addr", src: `import "carepost/trust/certtest"`, want: "test"},
		{room: "internal/gateway", src: `import "carepost/internal/flow"`},
		{room: "smime", src: `import "carepost/trust/certtest"`, test: true},
	} {
		f, err := read("x.go", tc.room, []byte("package x\n"+tc.src), tc.test)
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(breaches(f), "\n")
		if (tc.want == "") != (got == "") || !strings.Contains(got, tc.want) {
			t.Errorf("%s with %q: %q, want %q", tc.room, tc.src, got, tc.want)
		}
	}
}

type source struct {
	path, room string
	test       bool
	imports    []string
	now        bool // reads the clock: time.Now, Since or Until
}

// breaches lists what f does against the map.
func breaches(f source) (out []string) {
	room := owner(f.room)
	say := func(format string, a ...any) { out = append(out, f.path+": "+room+" "+fmt.Sprintf(format, a...)) }
	for _, imp := range f.imports {
		for prefix, only := range Forbidden {
			if within(imp, prefix) && !slices.Contains(only, room) && !f.test && !helper(f.room) {
				say("imports %s, which only %v may", imp, only)
			}
		}
		if within(imp, "log") && Rooms[room] <= Quiet && !f.test && !slices.Contains(LogValuers, room) {
			say("has a logger (%s)", imp)
		}
		if !within(imp, module) {
			continue
		}
		target := strings.TrimPrefix(strings.TrimPrefix(imp, module), "/")
		switch {
		case helper(target) || owner(target) != target:
			if !f.test && !helper(f.room) && owner(target) != room {
				say("imports the test help %s outside a test", target)
			}
		case f.test || helper(f.room) || target == room:
			// A test may use any room: the arrows are about the product.
		case Rooms[room] == Edges && within(target, "internal/store"), Rooms[room] == Edges && within(target, "internal/keyring"):
			say("imports %s: edges never do", target)
		case Rooms[target] < Rooms[room] || slices.Contains(Arrows[room], target):
		default:
			say("may not import %s (layer %d from layer %d)", target, Rooms[target], Rooms[room])
		}
	}
	if f.now && Rooms[room] <= Quiet && !f.test && !helper(f.room) {
		say("reads the clock: the time comes in as an argument")
	}
	return out
}

// helper rooms stand beside what they fake or judge and serve tests alone: trust/certtest, internal/store/storetest.
func helper(room string) bool { return strings.HasSuffix(room, "test") }

// owner is the room that a package belongs to: itself, or the nearest parent on the map (test helpers, embedded data).
func owner(room string) string {
	for r := room; r != "." && r != ""; r = path.Dir(r) {
		if _, ok := Rooms[r]; ok {
			return r
		}
	}
	return room
}

func within(imp, prefix string) bool { return imp == prefix || strings.HasPrefix(imp, prefix+"/") }

func sources(t *testing.T, root string) (out []source) {
	t.Helper()
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == "tools" || strings.HasPrefix(d.Name(), ".") && p != root) {
			return filepath.SkipDir
		}
		if d.IsDir() || filepath.Ext(p) != ".go" {
			return nil
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		room := filepath.ToSlash(filepath.Dir(rel))
		if within(room, "internal/arch") {
			return nil
		}
		f, err := read(filepath.ToSlash(rel), room, text, strings.HasSuffix(p, "_test.go"))
		out = append(out, f)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 20 {
		t.Fatalf("only %d sources under %s: the walk is broken", len(out), root)
	}
	return out
}

func read(name, room string, text []byte, test bool) (source, error) {
	f := source{path: name, room: room, test: test}
	tree, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
	if err != nil {
		return f, err
	}
	clock := ""
	for _, i := range tree.Imports {
		p, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			return f, err
		}
		f.imports = append(f.imports, p)
		if p == "time" {
			clock = "time"
			if i.Name != nil {
				clock = i.Name.Name
			}
			f.now = f.now || clock == "." // whatever it is for
		}
	}
	ast.Inspect(tree, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && clock != "" && x.Name == clock && slices.Contains([]string{"Now", "Since", "Until"}, s.Sel.Name) {
				f.now = true
			}
		}
		return true
	})
	return f, nil
}

func moduleRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the test")
		}
	}
}
