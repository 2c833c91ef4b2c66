package message

import (
	"bufio"
	"bytes"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"carepost/addr"
)

func written(t testing.TB, b *Builder) string {
	t.Helper()
	var out bytes.Buffer
	if _, err := b.WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// DIR-09: the required fields, as they are written.
func TestBuilder(t *testing.T) {
	var b Builder
	b.AddDate(time.Date(2026, 11, 3, 9, 5, 0, 0, time.FixedZone("", 3600)))
	b.AddMailboxes("From", Mailbox{"Dr. Lee", addr.Address{Endpoint: "lee", Domain: "h.example"}})
	b.AddMailboxes("To", Mailbox{"Jörg", addr.Address{Endpoint: "jo hn", Domain: "p.example"}}, Mailbox{Address: addr.Address{Endpoint: "b", Domain: "p.example"}})
	b.Add("Subject", "Röntgenbild für die Überweisung an die Kieferchirurgie, bitte mit Rückmeldung")
	b.Add("Content-Type", `multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256; boundary="=_0123456789"`)
	b.AddRaw(Field{Name: "X-Raw", Raw: []byte("X-Raw: as\n\tit is\r\n")})
	want := strings.ReplaceAll(`Date: Tue, 3 Nov 2026 09:05:00 +0100
From: "Dr. Lee" <lee@h.example>
To: =?utf-8?q?J=C3=B6rg?= <"jo hn"@p.example>, b@p.example
Subject: =?utf-8?q?R=C3=B6ntgenbild_f=C3=BCr_die_=C3=9Cberweisung_an_die_Kie?=
 =?utf-8?q?ferchirurgie=2C_bitte_mit_R=C3=BCckmeldung?=
Content-Type: multipart/signed; protocol="application/pkcs7-signature";
 micalg=sha-256; boundary="=_0123456789"
X-Raw: as
	it is

`, "\n", "\r\n")
	if got := written(t, &b); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestBuilderRefusesInjection(t *testing.T) {
	a := addr.Address{Endpoint: "a", Domain: "h.example"}
	for name, add := range map[string]func(*Builder){
		"LF":              func(b *Builder) { b.Add("Subject", "x\nBcc: y") },
		"CR":              func(b *Builder) { b.Add("Subject", "x\rBcc: y") },
		"NUL":             func(b *Builder) { b.Add("Subject", "x\x00") },
		"LF, not ASCII":   func(b *Builder) { b.Add("Subject", "ä\nBcc: y") },
		"name":            func(b *Builder) { b.Add("Sub ject", "x") },
		"name with colon": func(b *Builder) { b.Add("A: b\r\nC", "x") },
		"no name":         func(b *Builder) { b.Add("", "x") },
		"structural":      func(b *Builder) { b.Add("Content-Type ", "x/y") },
		"endless word":    func(b *Builder) { b.Add("Subject", strings.Repeat("x", 1000)) },
		"display name":    func(b *Builder) { b.AddMailboxes("To", Mailbox{"x\r\nBcc: y", a}) },
		"local part": func(b *Builder) {
			b.AddMailboxes("To", Mailbox{"", addr.Address{Endpoint: "a\r\nBcc: y", Domain: "h.example"}})
		},
		"local part ä":    func(b *Builder) { b.AddMailboxes("To", Mailbox{"", addr.Address{Endpoint: "ä", Domain: "h.example"}}) },
		"no address":      func(b *Builder) { b.AddMailboxes("To", Mailbox{Name: "x"}) },
		"raw: two fields": func(b *Builder) { b.AddRaw(Field{Raw: []byte("A: b\r\nC: d\r\n")}) },
		"raw: body":       func(b *Builder) { b.AddRaw(Field{Raw: []byte("A: b\r\n\r\nx")}) },
		"raw: no end":     func(b *Builder) { b.AddRaw(Field{Raw: []byte("A: b")}) },
		"raw: nothing":    func(b *Builder) { b.AddRaw(Field{}) },
		"raw: bare CR":    func(b *Builder) { b.AddRaw(Field{Raw: []byte("A: b\rC: d\r\n")}) },
	} {
		var b Builder
		add(&b)
		b.Add("Good", "field")
		var out bytes.Buffer
		if _, err := b.WriteTo(&out); err == nil || out.Len() > 0 || b.Err() == nil {
			t.Errorf("%s: %q written, error %v", name, out.String(), err)
		}
	}
}

// DIR-24: text of several lines is folded with CRLF, whatever its line ends were.
func TestAddText(t *testing.T) {
	if got := written(t, new(Builder).AddText("X-Empty", " \n")); got != "X-Empty:\r\n\r\n" {
		t.Errorf("%q", got)
	}
	for text, want := range map[string]string{
		"one\ntwo\r\nthree\rfour":       "one\r\n two\r\n three\r\n four",
		"\n\n  one  \n\n\n\ttwo\n":      "one\r\n two",
		"a\x00b\x07":                    "a b",
		"Schlüssel ungültig, bitte neu": "=?utf-8?q?Schl=C3=BCssel_ung=C3=BCltig=2C?= bitte neu",
		"looks =?utf-8?q?encoded?=":     "looks =?utf-8?q?=3D=3Futf-8=3Fq=3Fencoded=3F=3D?=",
		strings.Repeat("word ", 20):     strings.TrimSuffix(strings.Repeat("word ", 14), " ") + "\r\n word word word word word word",
		strings.Repeat("x", 950):        strings.Repeat("x", 900) + "\r\n " + strings.Repeat("x", 50),
		"a\nBcc: x@h.example":           "a\r\n Bcc: x@h.example",
	} {
		got := written(t, new(Builder).AddText("Error", text))
		if got != "Error: "+want+"\r\n\r\n" {
			t.Errorf("%.30q\n got  %q\n want %q", text, got, want)
		}
		if h := header(t, got); len(h.Fields()) != 1 {
			t.Errorf("%.30q made %d fields", text, len(h.Fields()))
		}
	}
}

func TestComment(t *testing.T) {
	for comment, want := range map[string]string{
		"": "", "not trusted (see 4.2)": "not trusted (see 4.2)", `back\slash )`: `back\slash )`, "Ümläut (x)": "Ümläut (x)", "two\nlines": "two lines",
	} {
		h := header(t, written(t, new(Builder).AddComment("Status", "5.7.1", comment)))
		if w, c := CutComment(h.Get("Status")); w != "5.7.1" || c != want {
			t.Errorf("%q: %q %q", comment, w, c)
		}
	}
}

// What Add accepts is read back as it was given, on lines that fit.
func FuzzBuilder(f *testing.F) {
	f.Add("Subject", "some words  and more")
	f.Add("X", "ä\u0301 \U0001f9b7 "+strings.Repeat("ü", 60))
	f.Add("Subject", "a\r\nb")
	f.Fuzz(func(t *testing.T, name, value string) {
		var b Builder
		b.Add(name, value)
		var text Builder
		text.AddText("X", value)
		if text.Err() != nil {
			t.Fatalf("AddText refuses %q: %v", value, text.Err())
		}
		if h := header(t, written(t, &text)); len(h.Fields()) != 1 {
			t.Fatalf("AddText made %d fields of %q", len(h.Fields()), value)
		}
		if b.Err() != nil {
			return
		}
		out := written(t, &b)
		h := header(t, out)
		if len(h.Fields()) != 1 || h.Fields()[0].Name != name {
			t.Fatalf("%q: %q became %q", name, value, out)
		}
		if ascii(value) && h.Get(name) != strings.Trim(value, " \t") {
			t.Fatalf("%q became %q", value, h.Get(name))
		}
		for line := range strings.Lines(out) {
			if !strings.HasSuffix(line, "\r\n") || len(line) > maxLineOctets+2 {
				t.Fatalf("line %q", line)
			}
		}
	})
}

func TestNewBoundaryAndMessageID(t *testing.T) {
	b, err := NewBoundary(strings.NewReader("0123456789abcdef"))
	if b != "=_30313233343536373839616263646566" || err != nil || !validBoundary(b) {
		t.Errorf("%q %v", b, err)
	}
	id, err := NewMessageID(strings.NewReader("0123456789abcdef"), "h.example")
	if id != "<30313233343536373839616263646566@h.example>" || err != nil || ParseID(id) != id {
		t.Errorf("%q %v", id, err)
	}
	if _, err := NewBoundary(strings.NewReader("short")); err == nil {
		t.Error("a short source of randomness passes")
	}
}

// DIR-17: line ends become CRLF wherever reads and writes are cut.
func TestCRLF(t *testing.T) {
	const in, want = "\na\nb\r\nc\r\rd\r\n\n\re\n", "\r\na\r\nb\r\nc\r\rd\r\n\r\n\re\r\n"
	for i := range len(in) {
		var w bytes.Buffer
		c := NewCRLFWriter(&w)
		for _, p := range []string{in[:i], in[i:]} {
			if n, err := c.Write([]byte(p)); n != len(p) || err != nil {
				t.Fatal(n, err)
			}
		}
		if w.String() != want {
			t.Fatalf("cut at %d: %q", i, w.String())
		}
	}
	var w bytes.Buffer
	if _, err := w.ReadFrom(NewCRLFReader(iotest.OneByteReader(strings.NewReader(in)))); err != nil || w.String() != want {
		t.Fatalf("%q %v", w.String(), err)
	}
	if err := iotest.TestReader(NewCRLFReader(strings.NewReader(in)), []byte(want)); err != nil {
		t.Error(err)
	}
}

func FuzzHeader(f *testing.F) {
	f.Add("Subject: x\r\n y\r\nContent-Type: a/b; c*0*=utf-8''d; c*1=e\r\n\r\n")
	f.Add("Disposition : x\n\t(\nDate: Thu, 8 Apr 2010 16:00:19 -0400\nMessage-ID: <a@b>\n")
	f.Fuzz(func(t *testing.T, s string) {
		h, err := ReadHeader(bufio.NewReader(strings.NewReader(s)), Limits{})
		if err != nil {
			kind(err)
			return
		}
		if !strings.HasPrefix(s, string(h.Bytes())) {
			t.Fatal("the bytes are not those that were read")
		}
		var all []byte
		for _, f := range h.Fields() {
			all = append(all, f.Raw...)
			if strings.ContainsAny(f.Value(), "\r\n\x00") {
				t.Fatalf("value %q", f.Value())
			}
			if strings.ContainsAny(h.Text(f.Name), "\r\n\x00") {
				t.Fatalf("text %q", h.Text(f.Name))
			}
		}
		if string(all) != string(h.Bytes()) {
			t.Fatal("the fields are not the header")
		}
		h.ContentType()
		h.Disposition()
		h.Encoding()
		h.Date()
		h.MessageID()
		h.Mailboxes("From")
		IsReport(h)
	})
}
