package smtp

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// pieces gives s in reads of n bytes, so that every seam is tried.
func pieces(s string, n int) io.Reader {
	if n == 1 {
		return iotest.OneByteReader(strings.NewReader(s))
	}
	return &chopped{[]byte(s), n}
}

type chopped struct {
	b []byte
	n int
}

func (c *chopped) Read(p []byte) (int, error) {
	if len(c.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), c.n)], c.b)
	c.b = c.b[n:]
	return n, nil
}

// RFC 5321 §2.3.8
func TestReadLine(t *testing.T) {
	long := strings.Repeat("x", 3000)
	for _, c := range []struct {
		in, want string
		err      error
		then     string // the next line
	}{
		{in: "NOOP\r\n", want: "NOOP"},
		{in: "\r\nQUIT\r\n", want: "", then: "QUIT"},
		{in: "a\n", err: ErrBareByte},
		{in: "\n", err: ErrBareByte},
		{in: "a\rb\r\n", err: ErrBareByte},
		{in: "a\r\r\n", err: ErrBareByte},
		{in: "a\x00\r\n", err: ErrBareByte},
		{in: "a", err: io.ErrUnexpectedEOF},
		{in: "a\r", err: io.ErrUnexpectedEOF},
		{in: "", err: io.EOF},
		{in: long + "\r\nQUIT\r\n", err: ErrLineTooLong, then: "QUIT"},
		{in: long + long + "\r\nQUIT\r\n", err: ErrLineTooLong, then: "QUIT"},
		{in: strings.Repeat("x", MaxCommand-2) + "\r\n", want: strings.Repeat("x", MaxCommand-2)},
		{in: strings.Repeat("x", MaxCommand-1) + "\r\nQUIT\r\n", err: ErrLineTooLong, then: "QUIT"},
		{in: long + "\n", err: ErrBareByte},
		{in: strings.Repeat(long, 40), err: ErrFlood},
	} {
		for _, n := range []int{1, 2, 3, 100000} {
			r := NewReader(pieces(c.in, n))
			got, err := r.ReadLine(MaxCommand)
			if string(got) != c.want || !errors.Is(err, c.err) {
				t.Errorf("%.20q by %d: got %.20q, %v; want %v", c.in, n, got, err, c.err)
			}
			if c.then != "" {
				if got, err := r.ReadLine(MaxCommand); string(got) != c.then || err != nil {
					t.Errorf("%.20q by %d, then: got %.20q, %v", c.in, n, got, err)
				}
			}
		}
	}
}

// RFC 5321 §4.1.1.4, §4.5.2; facts §5 "end of data".
func TestData(t *testing.T) {
	for _, c := range []struct {
		in, want, rest string
		err            error
	}{
		{in: ".\r\n", want: ""},
		{in: "a\r\n.\r\nQUIT\r\n", want: "a\r\n", rest: "QUIT"},
		{in: "a\r\n..\r\n...\r\n.b\r\n.\r\n", want: "a\r\n.\r\n..\r\nb\r\n"},
		{in: "a.\r\n.\r\n", want: "a.\r\n"},
		{in: "\r\n\r\n.\r\n", want: "\r\n\r\n"},
		{in: "a\n.\r\n", err: ErrBareByte},
		{in: "a\r\n.\n", err: ErrBareByte},
		{in: "a\r\n.\r\r\n", err: ErrBareByte},
		{in: "a\r\n.\ra", err: ErrBareByte},
		{in: "a\r\r\n.\r\n", err: ErrBareByte},
		{in: "a\r.\r\n", err: ErrBareByte},
		{in: "a\r\n.\x00\r\n", err: ErrBareByte},
		{in: "\x00\r\n.\r\n", err: ErrBareByte},
		{in: "a\r\n.\r", err: io.ErrUnexpectedEOF},
		{in: "a\r\n.", err: io.ErrUnexpectedEOF},
		{in: "a\r\n", err: io.ErrUnexpectedEOF},
		{in: "", err: io.ErrUnexpectedEOF},
		{in: "a\r\n.\r\n\x00\n", want: "a\r\n"}, // what follows is judged later
	} {
		for _, n := range []int{1, 2, 3, 1000} {
			for _, p := range []int{1, 2, 7, 1000} {
				r := NewReader(pieces(c.in, n))
				d := r.Data()
				var got bytes.Buffer
				_, err := io.CopyBuffer(&got, struct{ io.Reader }{d}, make([]byte, p))
				if !errors.Is(err, c.err) || err == nil && got.String() != c.want {
					t.Errorf("%q by %d and %d: got %q, %v; want %q, %v", c.in, n, p, got.String(), err, c.want, c.err)
				}
				if _, again := d.Read(make([]byte, 1)); err != nil && !errors.Is(again, c.err) || err == nil && again != io.EOF {
					t.Errorf("%q: the error does not stick: %v", c.in, again)
				}
				if c.rest != "" {
					if l, err := r.ReadLine(100); string(l) != c.rest || err != nil {
						t.Errorf("%q: rest %q, %v", c.in, l, err)
					}
				}
			}
		}
	}
}

// Facts §0.3: bytes as stored, or not at all.
func TestDotWriter(t *testing.T) {
	for in, want := range map[string]string{
		"": ".\r\n", "a\r\n": "a\r\n.\r\n", ".\r\n": "..\r\n.\r\n", "..a\r\n.\r\n": "...a\r\n..\r\n.\r\n", "a.\r\n": "a.\r\n.\r\n",
	} {
		for n := 1; n <= len(in)+1; n++ {
			var b bytes.Buffer
			d := NewDotWriter(&b)
			for rest := in; rest != ""; rest = rest[min(n, len(rest)):] {
				if k, err := io.WriteString(d, rest[:min(n, len(rest))]); err != nil || k != min(n, len(rest)) {
					t.Fatal(k, err)
				}
			}
			if err := d.Close(); err != nil || b.String() != want {
				t.Errorf("%q by %d: %q, %v", in, n, b.String(), err)
			}
		}
	}
	for in, want := range map[string]error{"a\n": ErrBareByte, "a\rb": ErrBareByte, "\x00": ErrBareByte, "a\r\r\n": ErrBareByte, "a": ErrNoLineEnd, "a\r": ErrNoLineEnd} {
		var b bytes.Buffer
		d := NewDotWriter(&b)
		_, err := io.WriteString(d, in)
		if cerr := d.Close(); !errors.Is(cerr, want) || want == ErrBareByte && err == nil {
			t.Errorf("%q: %v, %v", in, err, cerr)
		}
		if strings.HasSuffix(b.String(), ".\r\n") {
			t.Errorf("%q: ended all the same", in)
		}
	}
}

// RFC 3030 §2
func TestParseBDAT(t *testing.T) {
	for in, want := range map[string]int64{"0": 0, "10": 10, "9223372036854775807": 1<<63 - 1, "00000000000000000001": 1} {
		if n, last, r := ParseBDAT(in); n != want || last || r != nil {
			t.Errorf("%q: %d %v %v", in, n, last, r)
		}
		if n, last, r := ParseBDAT(in + " last"); n != want || !last || r != nil {
			t.Errorf("%q LAST: %d %v %v", in, n, last, r)
		}
	}
	for _, in := range []string{"", " ", "-1", "+1", "1 ", "1  LAST", "1 LAST x", "LAST", "0x1", "1e3", "9223372036854775808", "18446744073709551616", "000000000000000000001"} {
		if n, _, r := ParseBDAT(in); r == nil || r.Code != 501 || n != 0 {
			t.Errorf("%q: %d %v", in, n, r)
		}
	}
}

func TestChunk(t *testing.T) {
	r := NewReader(pieces("abcdeNOOP\r\n", 3))
	if b, err := io.ReadAll(r.Chunk(5)); string(b) != "abcde" || err != nil {
		t.Errorf("%q %v", b, err)
	}
	if l, err := r.ReadLine(100); string(l) != "NOOP" || err != nil {
		t.Errorf("%q %v", l, err)
	}
	if _, err := io.ReadAll(NewReader(strings.NewReader("abc")).Chunk(5)); err != io.ErrUnexpectedEOF {
		t.Error(err)
	}
}

// RFC 5321 §4.2
func TestReadReply(t *testing.T) {
	for in, want := range map[string]Reply{
		"250 ok\r\n":                                 {250, "", []string{"ok"}},
		"250\r\n":                                    {250, "", []string{""}},
		"250-a\r\n250-B\r\n250 C d\r\n":              {250, "", []string{"a", "B", "C d"}},
		"550-5.1.1 no\r\n550 5.1.1 such\r\n":         {550, "5.1.1", []string{"no", "such"}},
		"550 4.1.1 other class\r\n":                  {550, "", []string{"4.1.1 other class"}},
		"220 2.0.0\r\n":                              {220, "2.0.0", []string{""}},
		"250 2.0.0000 x\r\n":                         {250, "", []string{"2.0.0000 x"}},
		"550-5.1.1 no\r\n550-\r\n550 5.7.1 what\r\n": {550, "5.1.1", []string{"no", "", "5.7.1 what"}},
	} {
		if got, err := ReadReply(NewReader(pieces(in, 3))); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, %v", in, got, err)
		}
	}
	for _, in := range []string{"25 ok\r\n", "2500 ok\r\n", "150 ok\r\n", "650 x\r\n", "ok\r\n", "\r\n", "250_x\r\n", "250-a\r\n251 b\r\n", "250 a\n", "250 a\rb\r\n", "250 \x00\r\n",
		"250 " + strings.Repeat("x", 3000) + "\r\n", strings.Repeat("250-x\r\n", 200)} {
		if got, err := ReadReply(NewReader(strings.NewReader(in))); !errors.Is(err, ErrReply) {
			t.Errorf("%.20q: %+v, %v", in, got, err)
		}
	}
	for _, in := range []string{"250-a\r\n", "250"} {
		if _, err := ReadReply(NewReader(strings.NewReader(in))); err != io.ErrUnexpectedEOF {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func TestAppendReply(t *testing.T) {
	for want, r := range map[string]*Reply{
		"250 2.0.0 ok\r\n":               NewReply(250, "2.0.0", "ok"),
		"354 \r\n":                       NewReply(354, ""),
		"250-5.0.0 a\r\n250 5.0.0 b\r\n": NewReply(250, "5.0.0", "a", "b"),
		"550 no??250 yes?\r\n":           NewReply(550, "", "no\r\n250 yes\x00"),
	} {
		if got := string(r.AppendTo(nil)); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// RFC 5321 §4.5.3.1.5
func TestAppendLongReply(t *testing.T) {
	got := string(NewReply(550, "5.7.1", strings.Repeat("x", 600), strings.Repeat("y", 502), "z").AppendTo(nil))
	lines := strings.SplitAfter(got, "\r\n")
	if len(lines) != 4 || len(lines[0]) != 512 || len(lines[1]) != 512 || lines[2] != "550 5.7.1 z\r\n" {
		t.Errorf("got %d lines: %q", len(lines)-1, got)
	}
}

// What the caller has ruled out stays out (RFC 9325 §4.2).
func TestHardenTLS(t *testing.T) {
	const one, weak = tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_RSA_WITH_AES_128_CBC_SHA
	if c := HardenTLS(&tls.Config{CipherSuites: []uint16{weak, one}, MinVersion: tls.VersionTLS13}); !slices.Equal(c.CipherSuites, []uint16{one}) || c.MinVersion != tls.VersionTLS13 {
		t.Errorf("%x from version %x", c.CipherSuites, c.MinVersion)
	}
	if c := HardenTLS(nil); len(c.CipherSuites) != 6 || c.MinVersion != tls.VersionTLS12 || !c.SessionTicketsDisabled {
		t.Errorf("%x from version %x", c.CipherSuites, c.MinVersion)
	}
}

// RFC 3461 §4
func TestXtext(t *testing.T) {
	for in, want := range map[string]string{"": "", "a": "a", "+2B+3D": "+=", "a+20b": "a b"} {
		if got, ok := ParseXtext(in); !ok || got != want {
			t.Errorf("%q: %q %v", in, got, ok)
		}
		if got, ok := ParseXtext(FormatXtext(want)); !ok || got != want {
			t.Errorf("%q does not survive: %q", want, got)
		}
	}
	for _, in := range []string{"+", "+2", "+2b", "=", " ", "a b", "\x7f", "\xe4", "+G0"} {
		if got, ok := ParseXtext(in); ok {
			t.Errorf("%q read as %q", in, got)
		}
	}
}

// A steady trickle is cut, a steady sender is not (facts §2.2 row 5).
func TestPace(t *testing.T) {
	p := Pace{Idle: time.Minute, Grace: 10 * time.Minute, Rate: 1024}
	for range 10000 { // 2 KiB in every second
		p.Count(2048, time.Second)
	}
	if p.Left() != time.Minute {
		t.Error("a sender twice as fast as asked is cut")
	}
	p = Pace{Idle: time.Minute, Grace: 10 * time.Minute, Rate: 1024}
	n := 0
	for ; p.Left() > 0; n++ {
		p.Count(1, 30*time.Second)
	}
	if n != 21 { // ten minutes, and what 20 bytes earn
		t.Errorf("a trickle is cut after %d waits", n)
	}
	if (&Pace{}).Left() > 0 {
		t.Error("the zero Pace waits")
	}
}
