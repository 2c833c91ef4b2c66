package smime

import (
	"bytes"
	"crypto"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"carepost/cms"
	"carepost/message"
)

// sectionsOf reads everything: the sections with "|" between them, and the epilogue's verdict.
func sectionsOf(r io.Reader, boundary string) (string, error) {
	s := newSplitter(r, boundary)
	var all []string
	for {
		var b bytes.Buffer
		if _, err := io.Copy(&b, s); err != nil {
			return strings.Join(all, "|"), err
		}
		all = append(all, b.String())
		closed, err := s.next()
		if err != nil {
			return strings.Join(all, "|"), err
		}
		if closed {
			return strings.Join(all, "|"), s.epilogue()
		}
	}
}

func TestSplitter(t *testing.T) {
	long := strings.Repeat("b", 70)
	big := strings.Repeat("0123456789\r\n", 50_000)
	for _, c := range []struct {
		name, boundary, in, want string
		err                      error
	}{
		{"two parts", "b", "--b\r\none\r\n--b\r\ntwo\r\n--b--\r\n", "|one|two", nil},
		{"LF", "b", "--b\none\n--b\ntwo\n--b--\n", "|one|two", nil},
		{"CRLF before delimiter is its own, one of them", "b", "--b\r\none\r\n\r\n--b--", "|one\r\n", nil},
		{"CR stays without LF", "b", "--b\r\none\r\r\n--b--", "|one\r", nil},
		{"empty parts", "b", "--b\r\n\r\n--b\r\n--b--", "||", nil},
		{"preamble", "b", "hello\r\n--b\r\none\r\n--b--\r\nbye", "hello|one", nil},
		{"delimiter not at the start of a line", "b", "--b\r\none --b\r\nx--b\r\n--b--", "|one --b\r\nx--b", nil},
		{"no dashes", "b", "--b\r\nb\r\n-b\r\n--b--", "|b\r\n-b", nil},
		{"white space behind", "b", "--b \t \r\none\r\n--b-- \r\n", "|one", nil},
		{"long boundary", long, "--" + long + "\r\n--" + long[1:] + "a\r\n--" + long + "--", "|--" + long[1:] + "a", nil},
		{"big", "b", "--b\r\n" + big + "\r\n--b--", "|" + big, nil},
		{"goes on", "b", "--b\r\none\r\n--bc\r\n--b--", "", ErrStructure},
		{"goes on after closing", "b", "--b\r\none\r\n--b--c\r\n", "", ErrStructure},
		{"much white space", "b", "--b" + strings.Repeat(" ", 5000) + "\r\n", "", ErrStructure},
		{"cut in a part", "b", "--b\r\none", "", errCut},
		{"cut in a delimiter", "bcd", "--bcd\r\none\r\n--bc", "|", errCut},
		{"cut before CR", "b", "--b\r\none\r\n--b", "|one", errCut},
		{"cut at closing CR", "b", "--b\r\none\r\n--b--\r", "|one", errCut},
		{"nothing", "b", "", "", errCut},
		{"epilogue of noise", "b", "--b--\r\n\x00", "", errCut},
	} {
		for _, r := range []io.Reader{
			strings.NewReader(c.in), iotest.OneByteReader(strings.NewReader(c.in)), iotest.DataErrReader(strings.NewReader(c.in)),
		} {
			if len(c.in) > 1000 {
				r = iotest.HalfReader(strings.NewReader(c.in))
			}
			got, err := sectionsOf(r, c.boundary)
			if !errors.Is(err, c.err) || c.err == nil && got != c.want {
				t.Errorf("%s: %.200q, %v", c.name, got, err)
			}
		}
	}
	broken := errors.New("broken")
	for i, in := range []string{"", "--b\r\nx", "--b\r\nx\r\n--b", "--b\r\nx\r\n--b--\r\n"} {
		if _, err := sectionsOf(io.MultiReader(strings.NewReader(in), iotest.ErrReader(broken)), "b"); err != broken {
			t.Errorf("%d: %v", i, err)
		}
	}
}

// TestSplitterWindow puts the delimiter everywhere around the edges of the window, which grows.
func TestSplitterWindow(t *testing.T) {
	for _, edge := range []int{firstWindow, windowBytes, firstWindow + windowBytes, 2 * windowBytes} {
		for n := edge - 100; n < edge+20; n++ {
			body := strings.Repeat("x", n)
			got, err := sectionsOf(strings.NewReader("--bound\r\n"+body+"\r\n--bound\r\ntwo\r\n--bound--\r\n"), "bound")
			if err != nil || got != "|"+body+"|two" {
				t.Fatalf("%d: %v", n, err)
			}
		}
	}
}

// FuzzSplitter: however the bytes come in, the sections are the same, and joined with their delimiters they are the input.
func FuzzSplitter(f *testing.F) {
	f.Add([]byte("pre\r\n--b\r\none\r\n--b\r\ntwo\n--b--\r\nepi"))
	f.Add([]byte("--b\n--b \r\n--b-- "))
	f.Add([]byte("--b\r\n\r\n\r\n--b--"))
	f.Fuzz(func(t *testing.T, in []byte) {
		one, err1 := sectionsOf(bytes.NewReader(in), "b")
		two, err2 := sectionsOf(iotest.OneByteReader(bytes.NewReader(in)), "b")
		if one != two || (err1 == nil) != (err2 == nil) {
			t.Fatalf("at once %q, %v; byte by byte %q, %v", one, err1, two, err2)
		}
		if err1 == nil && !bytes.HasPrefix(in, []byte("--b")) && !bytes.Contains(in, []byte("\n--b")) {
			t.Fatal("sections without a delimiter")
		}
	})
}

// FuzzDigester: the canonical digest is that of the canonical form, however the bytes come in; and with and without a line end more.
func FuzzDigester(f *testing.F) {
	f.Add([]byte("a\r\nb\nc\r\r\n\n"), 3)
	f.Add([]byte("\n"), 1)
	f.Add([]byte("a\r\n"), 1)
	f.Fuzz(func(t *testing.T, in []byte, n int) {
		for _, holding := range []bool{false, true} {
			d := announcedDigester("sha-512, md5", cms.Algorithms{})
			d.holding = holding
			for p := in; len(p) > 0; {
				k := max(1, min(len(p), n))
				d.Write(p[:k])
				p = p[k:]
			}
			if d.index(crypto.MD5) >= 0 {
				t.Fatal("MD5")
			}
			texts := []string{string(in)}
			if holding {
				if rest, ok := strings.CutSuffix(string(in), "\n"); ok {
					texts = append(texts, strings.TrimSuffix(rest, "\r"))
				}
				texts = append(texts, string(in)+"\r\n")
			}
			var want []sum
			for i, text := range texts {
				want = append(want, sumOf(text, false, i > 0))
				if lone := strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\n", "\r\n"); lone != text {
					want = append(want, sumOf(lone, true, i > 0))
				}
			}
			for range 2 {
				if got := d.finish(); !reflect.DeepEqual(got, want) {
					t.Fatalf("holding %v: got %v, want %v", holding, got, want)
				}
			}
		}
	})
}

func sumOf(text string, canonical, epilogue bool) sum {
	return sum{canonical, epilogue, [][]byte{digestOf(crypto.SHA256, text), digestOf(crypto.SHA512, text)}}
}

func digestOf(h crypto.Hash, s string) []byte {
	w := h.New()
	io.WriteString(w, s)
	return w.Sum(nil)
}

func BenchmarkSplitter(b *testing.B) {
	var body bytes.Buffer
	w := message.NewBase64Writer(&body)
	w.Write(bytes.Repeat([]byte{0xc5}, 16<<20))
	w.Close()
	in := "--b\r\n" + body.String() + "\r\n--b--\r\n"
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		s := newSplitter(strings.NewReader(in), "b")
		for range 2 { // the preamble, the part
			if _, err := s.next(); err != nil {
				b.Fatal(err)
			}
		}
	}
}
