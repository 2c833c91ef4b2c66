package interop

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"carepost/test/peers"
)

var update = flag.Bool("update", false, "write the table into docs/interop.md")

// table are the cells of the matrix, and the notes below it.
type table struct {
	head  []string
	rows  []string
	cells map[string][]string
	notes []string
}

// add appends a cell to its row.
func (t *table) add(f peers.Feature, p peers.Peer, d peers.Direction) {
	if t.cells == nil {
		t.cells = make(map[string][]string)
	}
	row := f.String()
	if !slices.Contains(t.rows, row) {
		t.rows = append(t.rows, row)
	}
	if column := p.Name() + " " + d.String(); !slices.Contains(t.head, column) {
		t.head = append(t.head, column)
	}
	t.cells[row] = append(t.cells[row], t.cell(f, p, d))
}

func (t *table) cell(f peers.Feature, p peers.Peer, d peers.Direction) string {
	if d == peers.Reads && !f.Made {
		return "–"
	}
	c := peers.Capable(p, f, d)
	word := map[bool]string{true: "yes", false: "no"}[c.Can]
	if c.Why == "" {
		return word
	}
	note := p.Name() + ": " + c.Why
	if !c.Can {
		note += map[bool]string{true: " (cannot be asked)", false: " (asked, and refuses)"}[c.NoWay]
	}
	i := slices.Index(t.notes, note)
	if i < 0 {
		i = len(t.notes)
		t.notes = append(t.notes, note)
	}
	return fmt.Sprintf("%s %d", word, i+1)
}

// plain is for the log.
func (t *table) plain() string {
	var b strings.Builder
	line := func(name string, cells []string) {
		fmt.Fprintf(&b, "%-30s", name)
		for _, c := range cells {
			fmt.Fprintf(&b, " %-7s", c)
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "columns: %s\n", strings.Join(t.head, ", "))
	for _, row := range t.rows {
		line(row, t.cells[row])
	}
	for i, n := range t.notes {
		fmt.Fprintf(&b, "%d. %s\n", i+1, n)
	}
	return b.String()
}

// markdown is for the page.
func (t *table) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "| | %s |\n|---|%s\n", strings.Join(t.head, " | "), strings.Repeat("---|", len(t.head)))
	for _, row := range t.rows {
		fmt.Fprintf(&b, "| %s | %s |\n", row, strings.Join(t.cells[row], " | "))
	}
	b.WriteString("\n")
	for i, n := range t.notes {
		fmt.Fprintf(&b, "%d. %s\n", i+1, n)
	}
	return b.String()
}

const begin, end = "<!-- the matrix begins -->\n", "<!-- the matrix ends -->\n"

// compare holds the page against what was found, or writes it.
func (t *table) compare(tb testing.TB, page string) {
	tb.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		tb.Fatal(err)
	}
	before, rest, ok1 := strings.Cut(string(text), begin)
	was, after, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		tb.Fatalf("%s has no place for the matrix", page)
	}
	switch now := t.markdown(); {
	case was == now:
	case *update && !tb.Failed():
		if err := os.WriteFile(page, []byte(before+begin+now+end+after), 0o644); err != nil {
			tb.Fatal(err)
		}
	default:
		tb.Errorf("%s shows another matrix: go test ./test/interop -run Matrix -update", page)
	}
}
