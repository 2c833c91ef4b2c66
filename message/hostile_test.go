package message

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// nest is depth multiparts within one another, none of them closed.
func nest(depth int) string {
	var b strings.Builder
	for i := range depth {
		fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=\"b%dx\"\n\n--b%dx\n", i, i)
	}
	return b.String()
}

// allocated runs f and says how long it kept the processor busy and how much memory it asked for in all. What other programs do
// meanwhile does not count, so a bound on it holds on a machine that is loaded as well.
func allocated(f func()) (time.Duration, uint64) {
	var before, after runtime.MemStats
	runtime.GC() // what the tests before have left is not cleared away at its expense
	runtime.ReadMemStats(&before)
	start := busy()
	f()
	d := busy() - start
	runtime.ReadMemStats(&after)
	return d, after.TotalAlloc - before.TotalAlloc
}

// busy is the time that the processors have spent on this process.
func busy() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Every one of these is answered within a second of work (a hundredth of it, in fact) and in little memory. ATT-20, ATT-27.
func TestHostileTrees(t *testing.T) {
	mb := 1 << 20
	for name, c := range map[string]struct {
		src  string
		lim  Limits
		want string
	}{
		"200-level nest":              {nest(200), Limits{}, "limit"},
		"24 unclosed levels":          {nest(24) + "\nx\n" + strings.Repeat("--b0x\n\n", 500), Limits{Depth: 64}, "<nil>"},
		"60 levels, 1 MB of dashes":   {nest(60) + "\n" + strings.Repeat("--\n", mb/3), Limits{Depth: 64}, "<nil>"},
		"60 levels, closing by turns": {nest(60) + "\n" + strings.Repeat("--b59x--\n--b58x\n\n", 400), Limits{Depth: 64}, "<nil>"},
		"1 MB of fields":              {strings.Repeat("X: y\n", mb/5), Limits{}, "limit"},
		"1 MB in one field":           {"X: " + strings.Repeat("y", mb), Limits{}, "limit"},
		"1 MB of folds":               {"X:" + strings.Repeat(" \n", mb/2), Limits{}, "limit"},
		"10,000 parts":                {"Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\n\n", 10_000), Limits{}, "limit"},
		"headers of parts, 2 MB":      {"Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\nX: "+strings.Repeat("y", 4000)+"\n\n", 500), Limits{}, "limit"},
		"fields of parts, 20,000":     {"Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\n"+strings.Repeat("X:\n", 100)+"\n\n", 200), Limits{}, "limit"},
		"endless delimiter":           {"Content-Type: multipart/mixed; boundary=b\n\n--b" + strings.Repeat(" ", mb), Limits{}, "limit"},
		"long delimiter":              {"Content-Type: multipart/mixed; boundary=b\n\n--b" + strings.Repeat(" ", 65<<10) + "\n", Limits{LineBytes: 100 << 10}, "<nil>"},
		"part header without end":     {"Content-Type: multipart/mixed; boundary=b\n\n--b\nX: " + strings.Repeat("y", mb), Limits{}, "limit"},
		"comments":                    {"Content-Type: a/b" + strings.Repeat("(", 200_000) + "\n\n", Limits{LineBytes: mb}, "<nil>"},
		"parameters":                  {"Content-Type: a/b" + strings.Repeat(";a=b", 50_000) + "\n\n", Limits{LineBytes: mb}, "ambiguous"},
	} {
		t.Run(name, func(t *testing.T) {
			src := []byte(c.src)
			var root *Part
			var err error
			d, mem := allocated(func() { root, err = Parse(bytes.NewReader(src), int64(len(src)), c.lim) })
			if kind(err) != c.want {
				t.Errorf("%v, want %s", err, c.want)
			}
			if d > time.Second || mem > 8<<20 {
				t.Errorf("%v and %d KB", d, mem>>10)
			}
			if err == nil {
				checkTree(t, src, root)
			}
		})
	}
}

// Values that fill a header are read as fast. ATT-20.
func TestHostileValues(t *testing.T) {
	for name, v := range map[string]string{
		"encoded words without ends": strings.Repeat("=?utf-8?q?", 25_000) + "?=",
		"encoded words":              strings.Repeat("=?utf-8?q?x?= ", 18_000),
		"openings":                   strings.Repeat("=?", 128_000),
		"addresses":                  strings.Repeat("a@b.example,", 5000),
		"quotes":                     strings.Repeat(`"\"" `, 50_000),
		"comments":                   strings.Repeat("(a)", 80_000),
		"continued parameters":       "a/b" + strings.Repeat("; n*1=x", 30_000),
		"identifiers":                strings.Repeat("<", 250_000),
	} {
		h := Header{raw: nil, fields: []Field{{"X", []byte("X: " + v + "\n")}, {"Content-Type", []byte("Content-Type: " + v + "\n")}}}
		d, mem := allocated(func() {
			h.Text("X")
			h.Mailboxes("X")
			h.MessageIDs("X")
			h.ContentType()
			ParseRecipient(v)
			CutComment(v)
			textLines(v, 60)
		})
		if d > time.Second || mem > 64<<20 {
			t.Errorf("%s: %v and %d KB", name, d, mem>>10)
		}
	}
}

// Twice the input is not four times the work. ATT-20.
func TestLinearTime(t *testing.T) {
	work := func(n int) time.Duration {
		src := []byte(nest(16) + "\n" + strings.Repeat("--b0\n--b15\n-- \n", n)[:n*8])
		best := time.Hour
		for range 5 {
			start := time.Now()
			Parse(bytes.NewReader(src), int64(len(src)), Limits{})
			best = min(best, time.Since(start))
		}
		return best
	}
	if a, b := work(50_000), work(400_000); b > 8*4*a {
		t.Errorf("%v for 0.4 MB, %v for 3.2 MB", a, b)
	}
}

// big is a message whose one part is text of any size, which exists nowhere.
type big struct {
	head, tail string
	size       int64
}

var bigLines = strings.Repeat(strings.Repeat("A", 76)+"\n", 1<<10)

func (b big) ReadAt(p []byte, off int64) (n int, err error) {
	if off >= b.size {
		return 0, io.EOF
	}
	if left := b.size - off; int64(len(p)) > left {
		p, err = p[:left], io.EOF
	}
	tail := b.size - int64(len(b.tail))
	for n < len(p) {
		switch at := off + int64(n); {
		case at < int64(len(b.head)):
			n += copy(p[n:], b.head[at:])
		case at >= tail:
			n += copy(p[n:], b.tail[at-tail:])
		default:
			end := min(int64(len(p)), int64(n)+tail-at)
			n += copy(p[n:end], bigLines[at%int64(len(bigLines)):])
		}
	}
	return n, err
}

// A message far larger than memory is parsed in the memory of a small one.
func TestFlatMemory(t *testing.T) {
	src := big{"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Transfer-Encoding: base64\n\n", "\n--b--\n", 1 << 30}
	var root *Part
	var err error
	_, mem := allocated(func() { root, err = Parse(src, src.size, Limits{}) })
	if err != nil || len(root.Parts) != 1 || root.Parts[0].End != src.size-7 {
		t.Fatal(root, err)
	}
	if mem > 1<<20 {
		t.Errorf("%d KB", mem>>10)
	}
	// An enveloped message is no multipart: its body is not even read.
	src.head = "Content-Type: application/pkcs7-mime\n\n"
	src.size = 1 << 50
	if root, err = Parse(src, src.size, Limits{}); err != nil || root.End != src.size {
		t.Error(err)
	}
}

// Whatever the line ends, the parts are cut out of the exact bytes that were transmitted, and putting the pieces together again
// gives the message.
func FuzzParse(f *testing.F) {
	f.Add([]byte("Content-Type: multipart/mixed; boundary=b\r\n\r\npre\r\n--b\r\n\r\none\r\n--b\nContent-Type: multipart/x; boundary=c\n\n--c\n\n--b--\r\n"))
	f.Add([]byte(nest(3) + "\n\n--b2x--\r\n--b1x\n--b0x--"))
	f.Add([]byte("Content-Transfer-Encoding: base64\n\nQUJD"))
	f.Fuzz(func(t *testing.T, src []byte) {
		root, err := Parse(bytes.NewReader(src), int64(len(src)), Limits{})
		if err != nil {
			switch kind(err) {
			case "syntax", "ambiguous", "limit":
			default:
				t.Fatal(err)
			}
			return
		}
		checkTree(t, src, root)
		for p := range root.Walk() {
			io.Copy(io.Discard, p.Open(bytes.NewReader(src)))
			p.Filename()
		}
		// Another buffer, the same tree.
		again, err := Parse(bytes.NewReader(src), int64(len(src)), Limits{LineBytes: 100 << 10})
		if err != nil || shape(again) != shape(root) {
			t.Fatalf("%v\n%s%s", err, shape(root), shape(again))
		}
		// And where the buffer never holds more than a few bytes.
		if again, err = Parse(slowly{src}, int64(len(src)), Limits{}); err != nil || shape(again) != shape(root) {
			t.Fatalf("%v\n%s%s", err, shape(root), shape(again))
		}
	})
}

// slowly gives three bytes at a time.
type slowly struct{ b []byte }

func (s slowly) ReadAt(p []byte, at int64) (int, error) {
	if at >= int64(len(s.b)) {
		return 0, io.EOF
	}
	return copy(p, s.b[at:min(at+3, int64(len(s.b)))]), nil
}

func BenchmarkParse(b *testing.B) {
	var s strings.Builder
	s.WriteString("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	s.WriteString(wrapped(noise(32 << 20)))
	s.WriteString("--b--\r\n")
	src := s.String()
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(strings.NewReader(src), int64(len(src)), Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}
