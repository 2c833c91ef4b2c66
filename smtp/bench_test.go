package smtp

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// wire is n bytes of content and the end of data.
func wire(n int) []byte {
	line := strings.Repeat("0123456789", 7) + "012345\r\n" // 76 columns, as base64 has
	return append(bytes.Repeat([]byte(line), n/len(line)), ".\r\n"...)
}

func BenchmarkDataReader(b *testing.B) {
	w := wire(8 << 20)
	b.SetBytes(int64(len(w)))
	buf := make([]byte, 32<<10)
	for b.Loop() {
		if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{NewReader(bytes.NewReader(w)).Data()}, buf); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDotWriter(b *testing.B) {
	w := wire(8 << 20)
	w = w[:len(w)-3]
	b.SetBytes(int64(len(w)))
	for b.Loop() {
		d := NewDotWriter(io.Discard)
		for p := w; len(p) > 0; p = p[min(len(p), 64<<10):] {
			if _, err := d.Write(p[:min(len(p), 64<<10)]); err != nil {
				b.Fatal(err)
			}
		}
	}
}
