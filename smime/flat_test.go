package smime

import (
	"bytes"
	"crypto/x509"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"carepost/cms"
)

// lines is a message of a given length that nobody has to hold: a header, and base64 lines.
type lines struct {
	head string
	left int64
	at   int
}

func newMessage(size int64) io.Reader {
	return &lines{
		head: "From: alice@clinic.example\r\nTo: bob@lab.example\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n",
		left: size,
	}
}

// pattern is whole lines, so many that copying them takes no time to speak of.
var pattern = strings.Repeat("QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ejAxMjM0\r\n", 800)

func (l *lines) Read(p []byte) (int, error) {
	if l.head != "" {
		n := copy(p, l.head)
		l.head = l.head[n:]
		return n, nil
	}
	if l.left == 0 {
		return 0, io.EOF
	}
	n := copy(p, pattern[l.at:])
	n = int(min(int64(n), l.left))
	l.left -= int64(n)
	l.at = (l.at + n) % len(pattern)
	return n, nil
}

func sealing() SealOptions {
	w := newWorld()
	return SealOptions{Signers: []cms.Signer{w.alice.signer()}, Recipients: []*x509.Certificate{w.bob.cert}}
}

// TestFlatMemory: a few hundred megabytes through Seal and Open at once take no more memory than a letter (promise 4).
func TestFlatMemory(t *testing.T) {
	size := int64(256 << 20)
	if os.Getenv("CAREPOST_FULL") != "" {
		size = 4 << 30
	}
	o, keys := sealing(), []cms.Recipient{newWorld().bob.recipient()}
	pass := func(size int64) {
		pr, pw := io.Pipe()
		go func() { pw.CloseWithError(Seal(pw, newMessage(size), o)) }()
		opened, err := Open(io.Discard, pr, keys, OpenOptions{})
		if err != nil || len(opened.Good()) != 1 || opened.Size < size {
			t.Errorf("%d octets: %+v, %v", size, opened, err)
		}
	}
	pass(1 << 20)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	pass(size)
	runtime.ReadMemStats(&after)
	// Sys never shrinks, so this is the peak; what is allocated in all tells of work that grows with the message.
	if grown := int64(after.Sys) - int64(before.Sys); grown > 16<<20 {
		t.Errorf("the process grew by %d octets", grown)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 16<<20 {
		t.Errorf("%d octets were allocated", n)
	}
}

// TestSmallMemory: most messages are notices and letters; buffers for studies are not made for them.
func TestSmallMemory(t *testing.T) {
	o, keys := sealing(), []cms.Recipient{newWorld().bob.recipient()}
	var sealed bytes.Buffer
	per := func(f func() error) uint64 {
		var before, after runtime.MemStats
		best := uint64(math.MaxUint64)
		for range 5 {
			sealed.Reset()
			runtime.ReadMemStats(&before)
			err := f()
			runtime.ReadMemStats(&after)
			if err != nil {
				t.Fatal(err)
			}
			best = min(best, after.TotalAlloc-before.TotalAlloc)
		}
		return best
	}
	n := per(func() error { return Seal(io.Discard, strings.NewReader(letter), o) })
	if n > 200<<10 {
		t.Errorf("sealing allocates %d octets", n)
	}
	if err := Seal(&sealed, strings.NewReader(letter), o); err != nil {
		t.Fatal(err)
	}
	in := bytes.Clone(sealed.Bytes())
	n = per(func() error { _, err := Open(io.Discard, bytes.NewReader(in), keys, OpenOptions{}); return err })
	if n > 200<<10 {
		t.Errorf("opening allocates %d octets", n)
	}
}

func benchSizes(b *testing.B, f func(b *testing.B, size int64)) {
	for _, c := range []struct {
		name string
		size int64
	}{{"10KB", 10 << 10}, {"64MB", 64 << 20}} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(c.size)
			b.ReportAllocs()
			f(b, c.size)
		})
	}
}

// BenchmarkSeal counts octets of the message.
func BenchmarkSeal(b *testing.B) {
	o := sealing()
	benchSizes(b, func(b *testing.B, size int64) {
		for b.Loop() {
			if err := Seal(io.Discard, newMessage(size), o); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkOpen counts octets of the message inside.
func BenchmarkOpen(b *testing.B) {
	keys := []cms.Recipient{newWorld().bob.recipient()}
	benchSizes(b, func(b *testing.B, size int64) {
		f := must(os.Create(filepath.Join(b.TempDir(), "sealed")))
		defer f.Close()
		if err := Seal(f, newMessage(size), sealing()); err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			must(f.Seek(0, io.SeekStart))
			if _, err := Open(io.Discard, f, keys, OpenOptions{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkOpenSSL is the peer in the same run: sign and encrypt, then decrypt and verify, process times apart.
func BenchmarkOpenSSL(b *testing.B) {
	w := newWorld()
	dir := w.files(b, w.alice, w.bob)
	const size = 64 << 20
	in := must(os.Create(filepath.Join(dir, "in")))
	must(io.WriteString(in, "Content-Type: message/rfc822\r\n\r\n"))
	must(io.Copy(in, newMessage(size)))
	if err := in.Close(); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(size)
	var seal, open time.Duration
	for b.Loop() {
		start := time.Now()
		ran(b, dir, nil, "sh", "-c", "openssl cms -sign -binary -stream -in in -signer alice.pem -inkey alice.key | openssl cms -encrypt -binary -stream -aes256 -out sealed bob.pem")
		seal += time.Since(start)
		start = time.Now()
		ran(b, dir, nil, "sh", "-c", "openssl cms -decrypt -binary -in sealed -recip bob.pem -inkey bob.key | openssl cms -verify -binary -CAfile ca.pem -out out")
		open += time.Since(start)
	}
	b.ReportMetric(size/1e6/(seal.Seconds()/float64(b.N)), "seal-MB/s")
	b.ReportMetric(size/1e6/(open.Seconds()/float64(b.N)), "open-MB/s")
}
