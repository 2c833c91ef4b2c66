package main

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// plain makes text of others harmless on one line of a terminal: what moves the cursor, changes colours, turns the direction of
// reading or hides, becomes a space.
func plain(s string) string { return strings.Join(strings.Fields(harmless(s, "")), " ") }

// plainLines is plain for text of several lines; line ends and tabs stay.
func plainLines(s string) string { return harmless(strings.ReplaceAll(s, "\r\n", "\n"), "\n\t") }

func harmless(s, keep string) string {
	return strings.Map(func(r rune) rune {
		if !strings.ContainsRune(keep, r) && disturbs(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
}

// disturbs says that a character does something to the text around it: C0 and C1 controls, bidirectional controls (Unicode
// UAX #9), tags and other format characters, line and paragraph separators. Joiners stay: scripts need them.
func disturbs(r rune) bool {
	switch r {
	case '\u200c', '\u200d', '\u00ad':
		return false
	case '\u2028', '\u2029':
		return true
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs)
}

// jsonWriter writes what disturbs as \u escapes. Such characters stand within strings only, where the escape means the same.
type jsonWriter struct{ w io.Writer }

// Write takes whole values.
func (j jsonWriter) Write(p []byte) (int, error) {
	var out strings.Builder
	for _, r := range string(p) {
		switch {
		case r == '\n' || !disturbs(r):
			out.WriteRune(r)
		case r > 0xffff:
			a, b := utf16Pair(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, a, b)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	if _, err := io.WriteString(j.w, out.String()); err != nil {
		return 0, err
	}
	return len(p), nil
}

func utf16Pair(r rune) (a, b rune) { // RFC 8259 §7
	r -= 0x10000
	return 0xd800 + r>>10, 0xdc00 + r&0x3ff
}

// table is rows of cells in columns; the first row is the heading.
type table struct {
	rows   [][]string
	indent string // before every row
}

// add appends a row; its cells are made harmless.
func (t *table) add(cells ...string) {
	row := make([]string, len(cells))
	for i, c := range cells {
		row[i] = plain(c)
	}
	t.rows = append(t.rows, row)
}

// write prints the table. On a terminal of so many columns the last column is cut to fit; 0 cuts nothing.
func (t *table) write(w io.Writer, columns int) error {
	var widths []int
	for _, row := range t.rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	for _, row := range t.rows {
		var line strings.Builder
		line.WriteString(t.indent)
		used := len(t.indent)
		for i, c := range row {
			if i == len(row)-1 {
				line.WriteString(cut(c, columns-used))
				break
			}
			line.WriteString(c + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c)+2))
			used += widths[i] + 2
		}
		if _, err := fmt.Fprintln(w, strings.TrimRight(line.String(), " ")); err != nil {
			return err
		}
	}
	return nil
}

// cut shortens s to width characters; where there is no room worth speaking of it stays.
func cut(s string, width int) string {
	if width < 10 || utf8.RuneCountInString(s) <= width {
		return s
	}
	return string([]rune(s)[:width-1]) + "…"
}
