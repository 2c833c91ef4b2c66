package message

import (
	"bytes"
	"strings"
	"testing"
)

// An LF put or taken anywhere in even lines is found, and so is one at the seam of two pieces.
func TestBareLF(t *testing.T) {
	good := wrapped(noise(600))
	for at := range len(good) + 1 {
		for _, put := range []string{"\n", "\r", "\r\n", "\n\r\n", "\n" + good[:76] + "\r\n"} {
			for _, s := range []string{good[:at] + put + good[at:], good[:at] + put + good[min(len(good), at+len(put)):], good[:at] + good[min(len(good), at+1):]} {
				for _, last := range []byte{0, '\r'} {
					if got, want := BareLF([]byte(s), last), bareLF(s, last); got != want {
						t.Fatalf("%q at %d: %d, want %d", put, at, got, want)
					}
				}
			}
		}
	}
}

// bareLF finds it in the plainest way.
func bareLF(s string, last byte) int {
	for i := range len(s) {
		if s[i] == '\n' && last != '\r' {
			return i
		}
		last = s[i]
	}
	return -1
}

func FuzzBareLF(f *testing.F) {
	f.Add([]byte("a\r\nb\r\n"), byte(0))
	f.Add([]byte("\n"), byte('\r'))
	f.Add([]byte("abc\r\nabc\r\na\n\r\n"), byte(0))
	f.Fuzz(func(t *testing.T, b []byte, last byte) {
		if got, want := BareLF(b, last), bareLF(string(b), last); got != want {
			t.Fatalf("%d, want %d", got, want)
		}
	})
}

// TestIndexDelimiter: it finds what bytes.Index finds, among few dashes and among many.
func TestIndexDelimiter(t *testing.T) {
	needle := []byte("\n--b")
	for _, fill := range []string{"x", "-", "\n-", "\n--", "-\n", "x\n--x"} {
		for n := range 60 {
			for cut := range len(needle) + 1 {
				w := []byte(strings.Repeat(fill, n*5) + string(needle[:cut]) + strings.Repeat(fill, n%3))
				if got, want := IndexDelimiter(w, needle), bytes.Index(w, needle); got != want {
					t.Fatalf("%q: %d, want %d", w, got, want)
				}
			}
		}
	}
}

func BenchmarkBareLF(b *testing.B) {
	for name, text := range map[string]string{"base64": wrapped(noise(24 << 10)), "text": strings.Repeat("a line\r\nand one that is longer\r\n\r\n", 1000)} {
		b.Run(name, func(b *testing.B) {
			p := []byte(text)
			b.SetBytes(int64(len(p)))
			for b.Loop() {
				if BareLF(p, 0) >= 0 {
					b.Fatal("there is none")
				}
			}
		})
	}
	b.Run("search", func(b *testing.B) { // what each line would cost
		p := []byte(wrapped(noise(24 << 10)))
		b.SetBytes(int64(len(p)))
		for b.Loop() {
			firstBareLF(p, 0)
		}
	})
}
