package message

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

func inLines(data []byte, line int, eol string) string {
	text := base64.StdEncoding.EncodeToString(data)
	var b strings.Builder
	for len(text) > line {
		b.WriteString(text[:line] + eol)
		text = text[line:]
	}
	return b.String() + text
}

func partOf(encoding, body string) (*Part, *strings.Reader) {
	return &Part{Encoding: encoding, Body: 7, End: 7 + int64(len(body))}, strings.NewReader("header\n" + body + "after")
}

// Whatever is read anywhere is what reading from the front gives.
func TestPartAt(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	data := make([]byte, 200_000)
	for i := range data {
		data[i] = byte(rnd.Uint32())
	}
	for _, size := range []int{1, 2, 3, 56, 57, 58, 114, 1000, 3 * 57, 199_999, 200_000} {
		for _, eol := range []string{"\r\n", "\n"} {
			for _, line := range []int{4, 76, 64} {
				for _, after := range []string{"", eol, "\r\n\r\n  \t"} {
					p, r := partOf("base64", inLines(data[:size], line, eol)+after)
					at, err := p.At(r)
					if err != nil || at == nil || at.Size() != int64(size) {
						t.Fatalf("%d in lines of %d%q: %v, %v", size, line, eol, at, err)
					}
					for range 20 {
						off := rnd.IntN(size)
						n := 1 + rnd.IntN(size-off)
						got := make([]byte, n)
						if _, err := at.ReadAt(got, int64(off)); err != nil && err != io.EOF || !bytes.Equal(got, data[off:off+n]) {
							t.Fatalf("%d at %d of %d in lines of %d%q: %v", n, off, size, line, eol, err)
						}
					}
				}
			}
		}
	}
	p, r := partOf("binary", "as it is")
	at, err := p.At(r)
	if got, _ := io.ReadAll(at); err != nil || string(got) != "as it is" {
		t.Errorf("%q, %v", got, err)
	}
}

// What keeps to no order is not had this way, or is an error where it is read: never other octets.
func TestPartAtRefuses(t *testing.T) {
	good := inLines(bytes.Repeat([]byte("DICM"), 400), 76, "\r\n")
	for name, body := range map[string]string{
		"empty":           "",
		"blank":           "\r\n \r\n",
		"odd lines":       "QUJ\r\nDRUZ\r\n",
		"cut":             good[:len(good)-1],
		"a longer line":   good[:78] + "AAAA" + good[78:],
		"a shorter line":  good[:74] + good[76:],
		"blank inside":    good[:100] + " " + good[101:],
		"padding inside":  good[:100] + "=" + good[101:],
		"much padding":    "QQ===",
		"only padding":    "====",
		"mixed line ends": strings.Replace(good, "\r\n", "\n", 3),
		"begins blank":    "\r\n" + good,
	} {
		p, r := partOf("base64", body)
		at, err := p.At(r)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if at == nil {
			continue
		}
		if _, err := io.ReadAll(at); !errors.Is(err, ErrEncoding) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if at, err := (&Part{Encoding: "quoted-printable"}).At(strings.NewReader("")); at != nil || err != nil {
		t.Error(at, err)
	}
}

// Where both can read a body, they read the same.
func FuzzPartAt(f *testing.F) {
	f.Add("QUJD\r\nREVG\r\n", 2)
	f.Add("QUJDREVG\nQQ==", 4)
	f.Fuzz(func(t *testing.T, body string, off int) {
		p, r := partOf("base64", body)
		at, err := p.At(r)
		if err != nil {
			t.Fatal(err)
		}
		if at == nil {
			return
		}
		got, err := io.ReadAll(at)
		whole, werr := io.ReadAll(p.Open(r))
		if err == nil && (werr != nil || !bytes.Equal(got, whole)) {
			t.Fatalf("%q, but %q, %v", got, whole, werr)
		}
		if err == nil && off >= 0 && off < len(whole) {
			one := []byte{0}
			if _, err := at.ReadAt(one, int64(off)); err != nil && err != io.EOF || one[0] != whole[off] {
				t.Fatal(one, err)
			}
		}
	})
}
