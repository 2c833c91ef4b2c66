package smime

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"carepost/message"
)

// stride is how many bytes apart a test tries things: each with CAREPOST_FULL, for those who have the time.
func stride(n int) int {
	if os.Getenv("CAREPOST_FULL") != "" {
		return 1
	}
	return n
}

// TestAltered: one altered byte, wherever it is, gives an error, or no good signature, or the very same message. ATT-02.
func TestAltered(t *testing.T) {
	check := func(t *testing.T, at int, in []byte) {
		t.Helper()
		got, o, err := openBob(in)
		if err != nil || len(o.Good()) == 0 {
			return
		}
		if o.Good()[0].Canonicalised { // then CRLF and LF are the same to the signer
			got = strings.ReplaceAll(strings.ReplaceAll(got, "\r\n", "\n"), "\n", "\r\n")
		}
		if got != letter {
			t.Errorf("altered at %d: opened with a good signature\n%s", at, got)
		}
	}
	t.Run("in the sealed message", func(t *testing.T) {
		sealed := seal(t, letter)
		for i := 0; i < len(sealed); i += stride(7) {
			in := bytes.Clone(sealed)
			in[i] ^= 1 << (i % 8)
			check(t, i, in)
			in[i] = "A/z\r\n=-"[i%7]
			check(t, i, in)
		}
	})
	t.Run("in the signed entity", func(t *testing.T) {
		part := "Content-Type: message/rfc822\r\n\r\n" + letter
		good := multipartSigned(part, signedBy(t, part, newWorld().alice.signer()))
		for i := 0; i < len(good); i += stride(11) {
			in := []byte(good)
			in[i] ^= 1 << (i % 8)
			check(t, i, envelope(t, string(in)))
			check(t, i, envelope(t, good[:i]+"\n"+good[i:]))
			check(t, i, envelope(t, good[:i]+good[i+1:]))
			check(t, i, envelope(t, good[:i]+"\r\n--=_b\r\n"+good[i:]))
		}
	})
}

// TestCut: a message that ends early is an error, wherever it ends.
func TestCut(t *testing.T) {
	sealed := seal(t, letter)
	whole := len(bytes.TrimRight(sealed, "\r\n"))
	head := bytes.Index(sealed, []byte("\r\n\r\n"))
	for i := 0; i < whole; i++ {
		if i > 20 && i < whole-300 && i%stride(11) != 0 {
			continue
		}
		if _, _, err := openBob(sealed[:i]); err == nil {
			t.Fatalf("cut at %d of %d: no error", i, whole)
		} else if i > head+2000 && err != ErrDecrypt {
			t.Fatalf("cut at %d: %v, want the one error", i, err)
		}
	}
	// Inside, before it was encrypted: nothing tells it from the former.
	part := "Content-Type: message/rfc822\r\n\r\n" + letter
	good := strings.TrimSuffix(multipartSigned(part, signedBy(t, part, newWorld().alice.signer())), "\r\n")
	for i := 0; i < len(good); i += stride(11) {
		if _, _, err := openBob(envelope(t, good[:i])); err == nil {
			t.Fatalf("cut inside at %d: no error", i)
		}
	}
}

// TestSpliced: blocks put behind a good message say nothing about their padding: good or bad, the answer is the same. With an
// epilogue of any kind dropped unseen, the processed notice for the message would be a padding oracle. ATT-05.
func TestSpliced(t *testing.T) {
	part := "Content-Type: message/rfc822\r\n\r\n" + letter
	good := multipartSigned(part, signedBy(t, part, newWorld().alice.signer()))
	for n := range 64 {
		noise := make([]byte, 16+n)
		rand.Read(noise)
		noise[0] |= 0x80
		if _, _, err := openBob(envelope(t, good+string(noise))); err != ErrDecrypt {
			t.Fatal(err)
		}
	}
}

// TestBombs: nesting ends fast, with an error, and costs nothing (facts §1: it kills the Go CMS libraries). ATT-20.
func TestBombs(t *testing.T) {
	w := newWorld()
	bomb := strings.Repeat("\x30\x80", 2<<20)
	indefinite := "\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03\xa0\x80" + bomb
	part := "Content-Type: message/rfc822\r\n\r\n" + letter
	var nest strings.Builder
	for i := range 200 {
		fmt.Fprintf(&nest, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
	}
	nest.WriteString("\r\nx\r\n")
	outerDER := "From: a@b.example\r\nContent-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: binary\r\n\r\n"
	inner := string(envelope(t, strings.Replace(multipartSigned(part, "@"), "base64\r\n\r\n@", "binary\r\n\r\n"+bomb, 1)))
	for _, c := range []struct {
		name, in string
		want     error
	}{
		{"4 MB of SEQUENCE outside", outerDER + bomb, ErrStructure},
		{"4 MB of SEQUENCE in enveloped data", outerDER + indefinite, ErrStructure},
		{"4 MB of SEQUENCE as signature", inner, nil},
		{"200 multiparts outside", "From: a@b.example\r\n" + nest.String(), ErrPlain},
		{"200 multiparts encrypted", string(envelope(t, nest.String())), ErrUnsigned},
	} {
		t.Run(c.name, func(t *testing.T) {
			quick(t, func() {
				_, _, err := openBob([]byte(c.in))
				if err == nil || c.want != nil && !errors.Is(err, c.want) && !errors.Is(err, ErrLimit) {
					t.Errorf("error %v", err)
				}
			})
		})
	}
	t.Run("200 multiparts signed", func(t *testing.T) {
		p := "Content-Type: message/rfc822\r\n\r\nFrom: a@b.example\r\n" + nest.String()
		in := envelope(t, multipartSigned(p, signedBy(t, p, w.alice.signer())))
		quick(t, func() {
			got, o, err := openBob(in)
			if err != nil || len(o.Good()) != 1 {
				t.Fatal(err) // as deep as it may be, it is what Alice signed
			}
			if _, err := message.Parse(strings.NewReader(got), int64(len(got)), message.Limits{}); !errors.Is(err, message.ErrLimit) {
				t.Errorf("parsing it: %v", err)
			}
		})
	})
	t.Run("a needle in many haystacks", func(t *testing.T) {
		boundary := strings.Repeat("-", 69) + "x"
		in := "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=\"" + boundary + "\"\r\n\r\n--" + boundary +
			"\r\n" + strings.Repeat("\n"+strings.Repeat("-", 71), 60_000)
		sealed := envelope(t, in)
		quick(t, func() {
			if _, _, err := openBob(sealed); err == nil {
				t.Error("no error")
			}
		})
	})
}

// quick wants f to take a second at most on a machine that has other work, and looks for races besides: what grows with the square of its
// input takes minutes there.
func quick(t *testing.T, f func()) {
	t.Helper()
	start := time.Now()
	f()
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("took %v", d)
	}
}
