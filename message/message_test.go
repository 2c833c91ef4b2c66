package message

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"carepost/message/messagetest"
)

// kind names the sentinel of an error.
func kind(err error) string {
	for name, is := range map[string]error{"syntax": ErrSyntax, "ambiguous": ErrAmbiguous, "limit": ErrLimit, "encoding": ErrEncoding} {
		if errors.Is(err, is) {
			return name
		}
	}
	return fmt.Sprint(err)
}

// outline writes a tree: type, encoding, and what a leaf decodes to.
func outline(src []byte, root *Part) string {
	var b strings.Builder
	var put func(p *Part, depth int)
	put = func(p *Part, depth int) {
		fmt.Fprintf(&b, "%s%s/%s %s", strings.Repeat("  ", depth), p.Type.Type, p.Type.Subtype, p.Encoding)
		switch {
		case p.Type.Type == "multipart" && p.Closed:
			b.WriteString(" closed")
		case p.Type.Type == "multipart":
			b.WriteString(" unclosed")
		default:
			if text, err := io.ReadAll(p.Open(bytes.NewReader(src))); err != nil {
				b.WriteString(" error")
			} else {
				fmt.Fprintf(&b, " %q", text)
			}
		}
		b.WriteByte('\n')
		for _, c := range p.Parts {
			put(c, depth+1)
		}
	}
	put(root, 0)
	return b.String()
}

// DIR-07: what is a valid MIME body, and what is refused for being none or two.
func TestParse(t *testing.T) {
	for name, c := range messagetest.Cases(t, "testdata/tree") {
		t.Run(name, func(t *testing.T) {
			src, want := c.Files["in"], string(c.Files["want"])
			root, err := Parse(bytes.NewReader(src), int64(len(src)), Limits{})
			got := ""
			if err != nil {
				got = kind(err) + "\n"
			} else {
				got = outline(src, root)
				checkTree(t, src, root)
			}
			if got != want {
				t.Errorf("got\n%swant\n%s", got, want)
			}
			// The same with CRLF: the same tree of the same text.
			src = messagetest.CRLF(src)
			crlfRoot, crlfErr := Parse(bytes.NewReader(src), int64(len(src)), Limits{})
			if kind(crlfErr) != kind(err) {
				t.Fatalf("with CRLF: %v", crlfErr)
			}
			if err == nil {
				checkTree(t, src, crlfRoot)
				if a, b := shape(root), shape(crlfRoot); a != b {
					t.Errorf("with CRLF\n%swith LF\n%s", b, a)
				}
			}
		})
	}
}

func shape(root *Part) string {
	var b strings.Builder
	for p := range root.Walk() {
		fmt.Fprintln(&b, p.Type, p.Encoding, p.Closed, len(p.Parts), len(p.Header.Fields()))
	}
	return b.String()
}

// checkTree holds a tree against its source: parts lie in their order inside their parents and do not overlap, and header, body
// and all between are the transmitted bytes.
func checkTree(t testing.TB, src []byte, root *Part) {
	t.Helper()
	if root.Start != 0 || root.End != int64(len(src)) {
		t.Fatalf("the root is [%d:%d] of %d", root.Start, root.End, len(src))
	}
	for p := range root.Walk() {
		if !(0 <= p.Start && p.Start <= p.Body && p.Body <= p.End && p.End <= int64(len(src))) {
			t.Fatalf("offsets %d %d %d of %d", p.Start, p.Body, p.End, len(src))
		}
		raw, err := io.ReadAll(p.Raw(bytes.NewReader(src)))
		if err != nil || !bytes.Equal(raw, src[p.Body:p.End]) {
			t.Fatalf("Raw is not what was transmitted: %v", err)
		}
		entity, err := io.ReadAll(p.Entity(bytes.NewReader(src)))
		if err != nil || !bytes.Equal(entity, src[p.Start:p.End]) {
			t.Fatalf("Entity is not what was transmitted: %v", err)
		}
		head := p.Header.Bytes()
		if n := min(int64(len(head)), p.End-p.Start); !bytes.Equal(head[:n], src[p.Start:p.Start+n]) {
			t.Fatal("the header is not what was transmitted")
		}
		at := p.Body
		for _, c := range p.Parts {
			if c.Start < at || c.End > p.End {
				t.Fatalf("a part [%d:%d] outside of its parent or over its neighbour (%d, %d)", c.Start, c.End, at, p.End)
			}
			at = c.End
		}
	}
}
