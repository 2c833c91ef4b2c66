package message

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// RFC 2046 §5.2.2: what a fragment says of itself, and what is none.
func TestFragment(t *testing.T) {
	for in, want := range map[string]string{
		`message/partial; id="a@b"; number=2; total=3`:                         "a@b 2 3 true <nil>",
		`Message/Partial; number=1; id=a`:                                      "a 1 0 true <nil>",
		`text/plain`:                                                           " 0 0 false <nil>",
		`message/partial; number=1`:                                            "bad",
		`message/partial; id=a`:                                                "bad",
		`message/partial; id=a; number=0; total=3`:                             "bad",
		`message/partial; id=a; number=4; total=3`:                             "bad",
		`message/partial; id=a; number=1001`:                                   "bad",
		`message/partial; id=a; number=1; total=1001`:                          "bad",
		`message/partial; id=a; number=1; total=x`:                             "bad",
		"message/partial; id=a; number=1\r\nContent-Transfer-Encoding: base64": "bad",
	} {
		h, err := ReadHeader(bufio.NewReader(strings.NewReader("Content-Type: "+in+"\r\n\r\n")), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		f, is, err := h.Fragment()
		got := fmt.Sprint(f.ID, " ", f.N, " ", f.Of, " ", is, " ", err)
		if want == "bad" && (!is || !errors.Is(err, ErrFragment)) || want != "bad" && got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
}

// RFC 2046 §5.2.2.1: fields of the first fragment's own header, those of the message from what it encloses.
func TestJoin(t *testing.T) {
	first := "X-Weird-Header-1: Foo\r\nFrom: Bill@host.example\r\nTo: joe@otherhost.example\r\nSubject: Audio mail (part 1 of 2)\r\nMessage-ID: <id1@host.example>\r\n" +
		"MIME-Version: 1.0\r\nContent-type: message/partial; id=\"ABC@host.example\"; number=1; total=2\r\n\r\n" +
		"X-Weird-Header-1: Bar\r\nX-Weird-Header-2: Hello\r\nMessage-ID: <anotherid@foo.example>\r\nSubject: Audio mail\r\nMIME-Version: 1.0\r\n" +
		"Content-type: audio/basic\r\nContent-transfer-encoding: base64\r\n\r\nAAAA\r\n"
	second := "From: Bill@host.example\r\nSubject: Audio mail (part 2 of 2)\r\nContent-type: message/partial; id=\"ABC@host.example\"; number=2; total=2\r\n\r\nBBBB\r\n"
	join := func(parts ...string) (string, error) {
		var rs []*io.SectionReader
		for _, p := range parts {
			rs = append(rs, io.NewSectionReader(strings.NewReader(p), 0, int64(len(p))))
		}
		r, err := Join(rs)
		if err != nil {
			return "", err
		}
		b, err := io.ReadAll(r)
		return string(b), err
	}
	got, err := join(first, second)
	want := "X-Weird-Header-1: Foo\r\nFrom: Bill@host.example\r\nTo: joe@otherhost.example\r\nMessage-ID: <anotherid@foo.example>\r\nSubject: Audio mail\r\n" +
		"MIME-Version: 1.0\r\nContent-type: audio/basic\r\nContent-transfer-encoding: base64\r\n\r\nAAAA\r\nBBBB\r\n"
	if err != nil || got != want {
		t.Errorf("%v\n%s", err, got)
	}
	for _, bad := range []string{"no header", strings.Replace(first, "audio/basic", "message/partial; id=a; number=1", 1)} {
		if got, err := join(bad, second); !errors.Is(err, ErrFragment) {
			t.Errorf("%q: %v\n%s", bad, err, got)
		}
	}
	disk := errors.New("disk")
	r := io.NewSectionReader(badDisk{disk}, 0, 10)
	if _, err := Join([]*io.SectionReader{r}); !errors.Is(err, disk) {
		t.Errorf("a disk that fails: %v", err)
	}
}

// badDisk is a disk that cannot be read.
type badDisk struct{ err error }

func (f badDisk) ReadAt([]byte, int64) (int, error) { return iotest.ErrReader(f.err).Read(nil) }
