package addr

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

// DIR-01, DIR-03: what is an address, and how it is written back.
func TestParse(t *testing.T) {
	for in, want := range map[string]string{
		"dr.lee@practice.example":   "dr.lee@practice.example",
		"Dr.Lee@Practice.Example":   "Dr.Lee@practice.example",
		"lab@praxis-müller.example": "lab@xn--praxis-mller-klb.example",
		`"jo hn"@h.example`:         `"jo hn"@h.example`,
		`"a\"b"@h.example`:          `"a\"b"@h.example`,
		`"plain"@h.example`:         "plain@h.example",
		`"a> SIZE=1 <b"@h.example`:  `"a> SIZE=1 <b"@h.example`,
		"desk+urgent@h.example":     "desk+urgent@h.example",
		"x@h.example.":              "x@h.example",
		`"at@sign"@h.example`:       `"at@sign"@h.example`,
	} {
		a, err := Parse(in)
		if err != nil {
			t.Errorf("Parse(%q): %v", in, err)
			continue
		}
		if got := a.String(); got != want {
			t.Errorf("Parse(%q) = %s, want %s", in, got, want)
		}
		if again, err := Parse(a.String()); err != nil || again != a {
			t.Errorf("%q does not survive a round trip: %v %v", in, again, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, in := range []string{
		"", "@", "a", "a@", "@h.example", "a@h", "a@.example", "a@h..example", "a@-h.example", "a b@h.example", ".a@h.example",
		"a..b@h.example", "a.@h.example", "a@[127.0.0.1]", "a@127.0.0.1", "<a@h.example>", "a@h.example\r\n", "a\x00@h.example",
		`"a@h.example`, `"a"b@h.example`, `"a` + "\n" + `"@h.example`, "ä@h.example", "a@h.example,b@h.example",
		strings.Repeat("a", 65) + "@h.example", "a@" + strings.Repeat("a.", 130) + "example", "a@" + strings.Repeat("a", 64) + ".example",
	} {
		if a, err := Parse(in); !errors.Is(err, ErrSyntax) {
			t.Errorf("Parse(%q) = %v, %v; want ErrSyntax", in, a, err)
		} else if len(in) > 4 && strings.Contains(err.Error(), in) {
			t.Errorf("the error repeats the address: %v", err)
		}
	}
}

// A name beyond any length costs nothing: encoding it would take seconds for each 60 KB.
func TestLongForeignDomain(t *testing.T) {
	var long strings.Builder
	for r := rune(0x4e00); long.Len() < 60000; r++ {
		long.WriteRune(r)
	}
	if n := testing.AllocsPerRun(1, func() {
		if _, err := Parse("a@" + long.String() + ".example"); !errors.Is(err, ErrSyntax) {
			t.Error(err)
		}
	}); n > 10 {
		t.Errorf("%v allocations: the name was encoded", n)
	}
}

// DIR-34: whole addresses, without regard to ASCII case.
func TestEqual(t *testing.T) {
	a := Address{"Dr.Lee", "h.example"}
	if !a.Equal(Address{"dr.LEE", "h.example"}) {
		t.Error("case of the local part must not matter (Direct 4.1.1)")
	}
	for _, b := range []Address{{"dr.lee", "other.example"}, {"drlee", "h.example"}, {"dr.lee+x", "h.example"}} {
		if a.Equal(b) {
			t.Errorf("%v equals %v", a, b)
		}
	}
	if (Address{"\u212a", "h.example"}).Equal(Address{"k", "h.example"}) {
		t.Error("the Kelvin sign is no k")
	}
	if a.Key() != (Address{"DR.lee", "h.example"}).Key() {
		t.Error("equal addresses have equal keys")
	}
}

func TestLogsShowTheDomainAlone(t *testing.T) {
	var b bytes.Buffer
	slog.New(slog.NewTextHandler(&b, nil)).Info("m", "to", Address{"secret", "h.example"}, "from", Path{Address{"secret", "h.example"}})
	if strings.Contains(b.String(), "secret") || !strings.Contains(b.String(), "@h.example") {
		t.Errorf("log line: %s", b.String())
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"a@h.example", `"a\"b c"@h.example`, "a@xn--mller-kva.example", `"@"@a.b`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := Parse(s)
		if err != nil {
			return
		}
		if strings.ContainsAny(a.String(), "\r\n\x00") {
			t.Fatalf("control characters pass: %q", a.String())
		}
		if again, err := Parse(a.String()); err != nil || again != a {
			t.Fatalf("%q → %q → %v %v", s, a.String(), again, err)
		}
	})
}
