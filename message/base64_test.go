package message

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
)

func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	r.Read(b)
	return b
}

// wrapped is what RFC 2045 §6.8 asks for, by the standard library.
func wrapped(b []byte) string {
	s := base64.StdEncoding.EncodeToString(b)
	var out strings.Builder
	for len(s) > 0 {
		n := min(76, len(s))
		out.WriteString(s[:n] + "\r\n")
		s = s[n:]
	}
	return out.String()
}

func encode(t testing.TB, b []byte, step int) string {
	t.Helper()
	var out bytes.Buffer
	w := NewBase64Writer(&out)
	for len(b) > 0 {
		n := min(step, len(b))
		if k, err := w.Write(b[:n]); k != n || err != nil {
			t.Fatal(k, err)
		}
		b = b[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestBase64RoundTrip(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, 56, 57, 58, tileIn - 1, tileIn, tileIn + 1, tiles*tileIn + 5, 300_001} {
		in := noise(n)
		for _, step := range []int{1, 57, 1000, 1 << 20} {
			if step == 1 && n > 10_000 {
				continue
			}
			out := encode(t, in, step)
			if out != wrapped(in) {
				t.Fatalf("%d octets by %d: not what the standard library writes", n, step)
			}
			if got, err := io.ReadAll(NewBase64Reader(strings.NewReader(out))); err != nil || !bytes.Equal(got, in) {
				t.Fatalf("%d octets: %v", n, err)
			}
		}
		flat := base64.StdEncoding.EncodeToString(in)
		spaced := " \t" + strings.Join(strings.SplitAfter(wrapped(in), "Q"), " \r\n\n\t") + "\r \n"
		for _, s := range []string{flat, strings.ReplaceAll(wrapped(in), "\r\n", "\n"), spaced} {
			for _, r := range []io.Reader{strings.NewReader(s), iotest.HalfReader(strings.NewReader(s)), iotest.DataErrReader(strings.NewReader(s))} {
				if got, err := io.ReadAll(NewBase64Reader(r)); err != nil || !bytes.Equal(got, in) {
					t.Fatalf("%d octets: %v", n, err)
				}
			}
		}
	}
	in := noise(1000)
	if err := iotest.TestReader(NewBase64Reader(iotest.OneByteReader(strings.NewReader(wrapped(in)))), in); err != nil {
		t.Error(err)
	}
}

func TestBase64Refuses(t *testing.T) {
	big := wrapped(noise(100_000))
	for name, s := range map[string]string{
		"foreign character":        "QUJD!UJD",
		"URL alphabet":             "-_-_",
		"NUL":                      "QUJD\x00\x00\x00\x00",
		"vertical tab":             "QUJD\v",
		"not padded":               "QUI",
		"half padded":              "QQ=",
		"cut":                      "QUJDQ",
		"too much padding":         "Q===",
		"padding alone":            "====",
		"early padding":            "QQ==QUJD",
		"early padding, far apart": "QQ==" + strings.Repeat("\r\n", 100_000) + "QUJD",
		"twice padded":             "QQ==QQ==",
		"padding after padding":    "QUI==",
		"padding bits":             "QR==",
		"dash line":                "QUJD\r\n--b",
		"in the middle of much":    big[:60_000] + "*" + big[60_000:],
		"at the end of much":       big + "=",
		"behind the end":           wrapped(noise(100_001)) + "QUJD",
	} {
		for _, r := range []io.Reader{strings.NewReader(s), iotest.OneByteReader(strings.NewReader(s))} {
			if got, err := io.ReadAll(NewBase64Reader(r)); kind(err) != "encoding" {
				t.Errorf("%s: %d octets, %v", name, len(got), err)
			}
		}
	}
	if _, err := io.ReadAll(NewBase64Reader(iotest.ErrReader(io.ErrUnexpectedEOF))); err != io.ErrUnexpectedEOF {
		t.Error(err)
	}
}

func TestBase64WriterReportsErrors(t *testing.T) {
	w := NewBase64Writer(failingWriter{})
	_, err := w.Write(make([]byte, 1<<20))
	if err != io.ErrShortWrite || w.Close() != io.ErrShortWrite {
		t.Error(err)
	}
	var out bytes.Buffer
	w = NewBase64Writer(&out)
	w.Close()
	if _, err := w.Write([]byte("x")); err == nil || w.Close() != nil || out.Len() > 0 {
		t.Errorf("after Close: %v, %q", err, out.String())
	}
}

// A pipe whose reader has gone says io.ErrClosedPipe: that is an error, not an earlier Close.
func TestBase64WriterIntoClosedPipe(t *testing.T) {
	for _, n := range []int{1, tileIn, 2 * tiles * tileIn} {
		r, pipe := io.Pipe()
		r.Close()
		w := NewBase64Writer(pipe)
		_, err := w.Write(make([]byte, n))
		if again := w.Close(); again != io.ErrClosedPipe || err != nil && err != io.ErrClosedPipe {
			t.Errorf("%d octets: Write says %v, Close %v", n, err, again)
		}
		if w.Close() != io.ErrClosedPipe {
			t.Errorf("%d octets: the second Close forgets", n)
		}
	}
}

// Buffers grow with the text: every length around the edges, and a small one in little memory.
func TestBase64Buffers(t *testing.T) {
	const quanta = 8
	for _, edge := range []int{firstIn, 3 * firstIn, 3*firstIn + chunkIn, 3*firstIn + 2*chunkIn} {
		for n := edge/4*3 - quanta; n < edge/4*3+quanta; n++ {
			in := noise(n)
			got, err := io.ReadAll(NewBase64Reader(strings.NewReader(base64.StdEncoding.EncodeToString(in))))
			if err != nil || !bytes.Equal(got, in) {
				t.Fatalf("%d octets: %v", n, err)
			}
		}
	}
	in := noise(3000)
	_, mem := allocated(func() {
		var out bytes.Buffer
		w := NewBase64Writer(&out)
		w.Write(in)
		w.Close()
		io.Copy(io.Discard, NewBase64Reader(&out))
	})
	if mem > 60<<10 {
		t.Errorf("%d octets of memory for 3000", mem)
	}
}

// What the reader below says is told; the text is blamed for its own faults alone.
func TestDecodeErrors(t *testing.T) {
	broken := errors.New("disk")
	for _, enc := range []string{"7bit", "8bit", "binary", "base64", "quoted-printable"} {
		for _, want := range []error{broken, io.ErrUnexpectedEOF} {
			r, err := Decode(enc, io.MultiReader(strings.NewReader("QUJD"), iotest.ErrReader(want)))
			if err == nil {
				_, err = io.ReadAll(r)
			}
			if err != want {
				t.Errorf("%s: %v, want %v", enc, err, want)
			}
		}
	}
	for enc, text := range map[string]string{"base64": "QUI", "quoted-printable": "a=\r", "x-uuencode": "", "": ""} {
		r, err := Decode(enc, strings.NewReader(text))
		if err == nil {
			_, err = io.ReadAll(r)
		}
		if kind(err) != "encoding" {
			t.Errorf("%q: %v", enc, err)
		}
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

// The verdict is that of the standard library's strict decoder on the text without its white space.
func FuzzBase64(f *testing.F) {
	for _, s := range []string{"", "QUJD\r\n", "QQ==\n", "Q Q = =", "QQ==\r\r\r\rQUJD", "QR==", wrapped(noise(200)), wrapped(noise(190)) + "\r\n\r\n", strings.Repeat("QUJD\n", 40), strings.Repeat("QUJD\n", 40) + "QQ\n==\n"} {
		f.Add([]byte(s), uint8(3))
	}
	f.Fuzz(func(t *testing.T, b []byte, step uint8) {
		want, wantErr := base64.StdEncoding.Strict().DecodeString(strings.NewReplacer(" ", "", "\t", "", "\r", "", "\n", "").Replace(string(b)))
		r := &chopped{b, int(step) + 1}
		got, err := io.ReadAll(NewBase64Reader(r))
		if (err == nil) != (wantErr == nil) || err == nil && !bytes.Equal(got, want) {
			t.Fatalf("%q: %q %v, want %q %v", b, got, err, want, wantErr)
		}
		if err != nil && kind(err) != "encoding" {
			t.Fatal(err)
		}
		if err == nil && encode(t, got, int(step)+1) != wrapped(got) {
			t.Fatal("encoded otherwise than by the standard library")
		}
	})
}

// White space and rubbish at any place of a text of many lines: fast paths must not hide them.
func TestBase64Altered(t *testing.T) {
	in := noise(3000)
	good := wrapped(in)
	for at := 0; at < len(good); at += 1 + at%7 {
		for _, put := range []string{"\n", "\r", "\r\n", " ", "\n\n\n\n", "\r\n\r\n", "\r\r\r\r", "\t \t ", "=", "====", "\x00", "-", "\x8a"} {
			for _, b := range []string{good[:at] + put + good[at:], good[:at] + put + good[min(at+len(put), len(good)):]} {
				want, wantErr := base64.StdEncoding.Strict().DecodeString(strings.NewReplacer(" ", "", "\t", "", "\r", "", "\n", "").Replace(b))
				got, err := io.ReadAll(NewBase64Reader(strings.NewReader(b)))
				if (err == nil) != (wantErr == nil) || err == nil && !bytes.Equal(got, want) {
					t.Fatalf("%q at %d: %v, want %v", put, at, err, wantErr)
				}
			}
		}
	}
}

// chopped gives its bytes n at a time.
type chopped struct {
	b []byte
	n int
}

func (c *chopped) Read(p []byte) (int, error) {
	if len(c.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.b[:min(c.n, len(c.b))])
	c.b = c.b[n:]
	return n, nil
}

func BenchmarkBase64Writer(b *testing.B) {
	in := noise(32 << 20)
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		w := NewBase64Writer(io.Discard)
		w.Write(in)
		w.Close()
	}
}

func BenchmarkBase64Reader(b *testing.B) {
	s := wrapped(noise(32 << 20))
	b.SetBytes(32 << 20)
	for b.Loop() {
		if _, err := io.Copy(io.Discard, NewBase64Reader(strings.NewReader(s))); err != nil {
			b.Fatal(err)
		}
	}
}
