package stow

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
)

var example = Answer{
	URL:    "https://pacs.north.example/studies/1.2",
	Stored: []Item{{"1.2.840.10008.5.1.4.1.1.2", "1.2.1", 0}, {"1.2.840.10008.5.1.4.1.1.2", "1.2.2", 0xB007}},
	Failed: []Item{{"1.2.840.10008.5.1.4.1.1.4", "1.2.3", OutOfResources}},
	Other:  2,
}

// Both forms of an answer are read as they were written; the URL is for people.
func TestAnswer(t *testing.T) {
	want := example
	want.URL = ""
	for name, form := range map[string]struct {
		write func(Answer, io.Writer) error
		read  func(io.Reader) (Answer, error)
	}{"JSON": {Answer.JSON, ReadJSON}, "XML": {Answer.XML, ReadXML}} {
		var b bytes.Buffer
		if err := form.write(example, &b); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), "0008119") || !strings.Contains(b.String(), "pacs.north.example") {
			t.Errorf("%s: %s", name, b.String())
		}
		got, err := form.read(&b)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if _, err := form.read(strings.NewReader("{<")); err == nil {
			t.Errorf("%s: nonsense was read", name)
		}
	}
	// As other servers write it: lower case tags, vr where they like.
	got, err := ReadXML(strings.NewReader(xml.Header + `<NativeDicomModel><DicomAttribute tag="00081198" vr="SQ" keyword="FailedSOPSequence"><Item number="1">` +
		`<DicomAttribute tag="00081155" vr="UI"><Value number="1">1.2.3</Value></DicomAttribute><DicomAttribute tag="00081197" vr="US"><Value number="1">49152</Value></DicomAttribute></Item></DicomAttribute></NativeDicomModel>`))
	if err != nil || len(got.Failed) != 1 || got.Failed[0].Reason != CannotUnderstand {
		t.Errorf("%+v, %v", got, err)
	}
}

// What a server says of the request, of each instance, or not at all. ATT-42.
func TestOutcomes(t *testing.T) {
	objects := []Object{object("c", "1", []byte("x")), object("c", "2", []byte("y"))}
	item := func(instance string, reason int) string {
		return fmt.Sprintf(`{"00081155":{"vr":"UI","Value":["%s"]},"00081197":{"vr":"US","Value":[%d]}}`, instance, reason)
	}
	list := func(tag string, items ...string) string {
		return `{"` + tag + `":{"vr":"SQ","Value":[` + strings.Join(items, ",") + `]}}`
	}
	ok, no := Outcome{Fate: Stored}, Outcome{Fate: Failed, Reason: CannotUnderstand}
	for _, tc := range []struct {
		name   string
		status int
		body   string
		want   []Outcome
	}{
		{"all", 200, list(tagStored, item("1", 0), item("2", 0)), []Outcome{ok, ok}},
		{"all, in an array", 200, "[" + list(tagStored, item("1", 0), item("2", 0)) + "]", []Outcome{ok, ok}},
		{"200, no list", 200, "", []Outcome{{}, {}}},
		{"200, a list of nothing", 200, "{}", []Outcome{{}, {}}},
		{"200, and somebody else's JSON", 200, `{"error":{"code":7}}`, nil},
		{"200, and a page", 200, "<html><body>sign in</body></html>", nil},
		{"some, 200 all the same", 200, `{"00081199":{"vr":"SQ","Value":[` + item("1", 0) + `]},"00081198":{"vr":"SQ","Value":[` + item("2", 0xC000) + `]}}`, []Outcome{ok, no}},
		{"one not named", 202, list(tagStored, item("2", 0)), []Outcome{{}, ok}},
		{"202, no list", 202, "", []Outcome{{}, {}}},
		{"none", 409, list(tagFailed, item("1", 0xC000), item("2", 0xC000)), []Outcome{no, no}},
		{"there already", 409, list(tagFailed, item("1", 0x0111), item("2", 0xC000)), []Outcome{{Stored, 0x0111}, no}},
		{"unreadable part", 200, list(tagOther, item("", 0xC000)), []Outcome{{}, {}}},
		{"conflict of something else", 409, "", nil},
		{"none readable", 409, list(tagOther, item("", 0xC000), item("", 0xC000)), nil}, // each alone will show which
		{"refused", 401, list(tagStored, item("1", 0), item("2", 0)), nil},
		{"elsewhere", 302, "", nil},
		{"nonsense", 200, "hello", nil},
		{"cut", 200, `{"00081199":{"vr":"SQ","Value":[`, nil},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if n, _ := io.Copy(io.Discard, r.Body); n != r.ContentLength || r.URL.Path != "/dicom-web/studies" || r.Header.Get("Authorization") != "Bearer t" {
				t.Errorf("%s: %d octets of %d at %s", tc.name, n, r.ContentLength, r.URL.Path)
			}
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(tc.status)
			io.WriteString(w, tc.body)
		}))
		c := &Client{URL: s.URL + "/dicom-web/", Header: http.Header{"Authorization": {"Bearer t"}}, HTTP: &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
		got, err := c.Store(t.Context(), objects, nil)
		if (err == nil) != (tc.want != nil) || !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: %v, %v", tc.name, got, err)
		}
		s.Close()
	}
}

// What cannot be read to its end, or is longer or shorter than it was, is never taken for sent.
func TestSourceFails(t *testing.T) {
	whole := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			whole++
		}
	}))
	defer s.Close()
	c := &Client{URL: s.URL, HTTP: http.DefaultClient}
	gone := errors.New("gone")
	for name, x := range map[string]Object{
		"no file": {Size: 3, Open: func() (io.ReadCloser, error) { return nil, gone }},
		"cut":     {Size: 4, Open: object("", "", []byte("abc")).Open},
		"longer":  {Size: 2, Open: object("", "", []byte("abc")).Open},
	} {
		if out, err := c.Store(t.Context(), []Object{x}, nil); err == nil {
			t.Errorf("%s: %v", name, out)
		}
	}
	if _, err := c.Store(t.Context(), []Object{object("", "1", []byte("abc"))}, func(int) error { return gone }); !errors.Is(err, gone) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Store(ctx, []Object{object("", "1", []byte("abc"))}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if whole != 0 {
		t.Errorf("%d requests arrived whole", whole)
	}
}

// A request is read part by part, as it was written; what is no DICOM object is said to be none. ATT-42.
func TestReader(t *testing.T) {
	b := newBody([]Object{object("", "", []byte("first\r\n--x")), object("", "", []byte("")), object("", "", bytes.Repeat([]byte("12345678"), 100_000))}, nil)
	text, err := io.ReadAll(b)
	if err != nil || int64(len(text)) != b.size {
		t.Fatalf("%d octets of %d, %v", len(text), b.size, err)
	}
	kind := `multipart/related; type="application/dicom"; boundary=` + b.boundary
	r, err := NewReader(kind, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	var sizes []int
	for {
		part, object, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil || !object {
			t.Fatalf("%v, %v", object, err)
		}
		if len(sizes) == 1 { // not read: the next one is found all the same
			sizes = append(sizes, -1)
			continue
		}
		got, err := io.ReadAll(part)
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, len(got))
	}
	if fmt.Sprint(sizes) != "[10 -1 800000]" {
		t.Errorf("%v", sizes)
	}
	for _, bad := range []string{"", "application/dicom", `multipart/related; type="application/dicom"`, `multipart/related; type="application/dicom+json"; boundary=x`, "multipart/form-data; boundary=x"} {
		if _, err := NewReader(bad, nil); !errors.Is(err, ErrType) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for name, text := range map[string]string{
		"nothing":           "",
		"no end":            "--x\r\nContent-Type: application/dicom\r\n\r\nabc",
		"an endless header": "--x\r\nA: " + strings.Repeat("a", 1<<20) + "\r\n\r\n\r\n--x--",
		"endless headers":   "--x\r\n" + strings.Repeat("A: a\r\n", 1<<16) + "\r\n\r\n--x--",
		"endless preamble":  strings.Repeat("line\r\n", 1<<16) + "--x\r\n\r\n\r\n--x--",
	} {
		if err := readAll(text); !errors.Is(err, ErrSyntax) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func readAll(text string) error {
	r, err := NewReader("multipart/related; boundary=x", strings.NewReader(text))
	for err == nil {
		var part io.Reader
		if part, _, err = r.Next(); err == nil {
			_, err = io.Copy(io.Discard, part)
			if err != nil {
				return ErrSyntax
			}
		}
	}
	if err == io.EOF {
		return nil
	}
	return err
}

// Whatever comes is read to an end, in bounds. ATT-42.
func FuzzReader(f *testing.F) {
	f.Add("--x\r\nContent-Type: application/dicom\r\n\r\nabc\r\n--x--\r\n")
	f.Add("--x\r\n\r\n\r\n--x\r\nContent-Type: text/plain\r\n\r\n--x--")
	f.Fuzz(func(t *testing.T, text string) { _ = readAll(text) })
}

// Whatever answers is read, or is none. ATT-42.
func FuzzAnswer(f *testing.F) {
	var b bytes.Buffer
	_ = example.JSON(&b)
	f.Add(b.String())
	b.Reset()
	_ = example.XML(&b)
	f.Add(b.String())
	f.Fuzz(func(t *testing.T, text string) {
		_, _ = ReadJSON(strings.NewReader(text))
		_, _ = ReadXML(strings.NewReader(text))
	})
}
