package smime

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"carepost/cms"
)

var errBroken = errors.New("broken")

// ends are where streams of these tests end: around where the row begins, and where buffers do.
var ends = []int{0, 1, rowAfter - 1, rowAfter, rowAfter + 1, rowAfter + rowBuffer - 1, rowAfter + rowBuffer, rowAfter + rowBuffer + 1, rowAfter + 10*rowBuffer + 5}

// twoProcessors makes the row worth it.
func twoProcessors(t testing.TB) {
	before := runtime.GOMAXPROCS(2)
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
}

// noise is n octets.
func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{2}).Read(b)
	return b
}

// guarded is used by nobody after it is closed.
type guarded struct {
	t      *testing.T
	r      io.Reader
	w      io.Writer
	closed bool // without a lock: the race detector looks at it too
}

func (g *guarded) Read(p []byte) (int, error) {
	if g.closed {
		g.t.Error("read too late")
	}
	return g.r.Read(p)
}

func (g *guarded) Write(p []byte) (int, error) {
	if g.closed {
		g.t.Error("written too late")
	}
	return g.w.Write(p)
}

// Read ahead, a stream is the same, and its error comes after the same octets; left early, it is left alone, and no goroutine stays.
func TestAhead(t *testing.T) {
	twoProcessors(t)
	all := noise(ends[len(ends)-1])
	for _, end := range ends {
		for _, want := range []error{io.EOF, errBroken} {
			for _, part := range []int{1, 2} { // all of it, half of it
				synctest.Test(t, func(t *testing.T) {
					g := &guarded{t: t, r: io.MultiReader(bytes.NewReader(all[:end]), iotest.ErrReader(want))}
					a := &ahead{r: g}
					got, err := io.ReadAll(io.LimitReader(a, int64(end/part)))
					if err == nil && part == 1 {
						_, err = a.Read(make([]byte, 1))
						if _, again := a.Read(make([]byte, 1)); again != err {
							t.Errorf("%d octets: %v, then %v", end, err, again)
						}
					}
					if !bytes.Equal(got, all[:end/part]) || part == 1 && err != want || part == 2 && err != nil {
						t.Errorf("%d octets of %d: %d came, %v", end/part, end, len(got), err)
					}
					a.close()
					g.closed = true
				})
			}
		}
	}
}

// broken fails once n octets were written.
type broken struct {
	bytes.Buffer
	n int
}

func (b *broken) Write(p []byte) (int, error) {
	n, _ := b.Buffer.Write(p[:min(len(p), b.n-b.Len())])
	if n < len(p) {
		return n, errBroken
	}
	return n, nil
}

// Written behind, a stream is the same, and its error is told; left early, it is left alone, and no goroutine stays.
func TestBehind(t *testing.T) {
	twoProcessors(t)
	all := noise(ends[len(ends)-1])
	for _, end := range ends {
		for _, room := range ends {
			synctest.Test(t, func(t *testing.T) {
				w := &broken{n: room}
				g := &guarded{t: t, w: w}
				b := &behind{w: g}
				var err error
				for rest := all[:end]; len(rest) > 0 && err == nil; {
					n := min(len(rest), 10_001)
					_, err = b.Write(rest[:n])
					rest = rest[n:]
				}
				if last := b.close(); last != nil {
					err = last
				}
				g.closed = true
				if !bytes.Equal(w.Bytes(), all[:min(room, end)]) || room < end && err != errBroken || room >= end && err != nil {
					t.Errorf("%d octets, room for %d: %d were written, %v", end, room, w.Len(), err)
				}
			})
		}
	}
}

type panicking struct{ after int }

func (p *panicking) Read(b []byte) (int, error) { return p.Write(b) }

func (p *panicking) Write(b []byte) (int, error) {
	if p.after -= len(b); p.after < 0 {
		panic(errBroken)
	}
	return len(b), nil
}

// A panic of the second goroutine is one of the first: who recovers from what one message does, does so from this as well.
func TestPipelinePanics(t *testing.T) {
	twoProcessors(t)
	for name, f := range map[string]func(){
		"reading": func() { io.Copy(io.Discard, &ahead{r: &panicking{rowAfter + 3*rowBuffer}}) },
		"closing": func() {
			a := &ahead{r: &panicking{rowAfter + 1}}
			defer a.close()
			io.CopyN(io.Discard, a, rowAfter)
			a.row = newRow()
			go a.fill()
			<-a.row.full
		},
		"writing": func() {
			b := &behind{w: &panicking{rowAfter + 3*rowBuffer}}
			defer b.close()
			b.Write(noise(rowAfter))
			b.Write(noise(5 * rowBuffer))
		},
	} {
		func() {
			defer func() {
				if p := recover(); p != errBroken {
					t.Errorf("%s: %v", name, p)
				}
			}()
			f()
		}()
	}
}

// Long messages fail as short ones do: the error is that of the reader or writer, or one of the message, and nobody is at work
// any more when it is returned.
func TestPipelineErrors(t *testing.T) {
	twoProcessors(t)
	const size = 3 << 20
	var sealed bytes.Buffer
	if err := Seal(&sealed, newMessage(size), sealing()); err != nil {
		t.Fatal(err)
	}
	keys := []cms.Recipient{newWorld().bob.recipient()}
	for _, at := range []int{rowAfter / 2, 2 * rowAfter, size} {
		synctest.Test(t, func(t *testing.T) {
			src := &guarded{t: t, r: io.MultiReader(io.LimitReader(newMessage(size), int64(at)), iotest.ErrReader(errBroken))}
			if err := Seal(io.Discard, src, sealing()); !errors.Is(err, errBroken) {
				t.Errorf("sealing, src fails at %d: %v", at, err)
			}
			dst := &guarded{t: t, w: &broken{n: at}}
			if err := Seal(dst, newMessage(size), sealing()); !errors.Is(err, errBroken) {
				t.Errorf("sealing, dst fails at %d: %v", at, err)
			}
			in := &guarded{t: t, r: io.MultiReader(bytes.NewReader(sealed.Bytes()[:at]), iotest.ErrReader(errBroken))}
			if _, err := Open(io.Discard, in, keys, OpenOptions{}); !errors.Is(err, errBroken) {
				t.Errorf("opening, src fails at %d: %v", at, err)
			}
			out := &guarded{t: t, r: bytes.NewReader(sealed.Bytes())}
			if _, err := Open(&broken{n: min(at, size-1)}, out, keys, OpenOptions{}); !errors.Is(err, errBroken) {
				t.Errorf("opening, dst fails at %d: %v", at, err)
			}
			cut := &guarded{t: t, r: bytes.NewReader(sealed.Bytes()[:at])}
			if _, err := Open(io.Discard, cut, keys, OpenOptions{}); !errors.Is(err, ErrDecrypt) {
				t.Errorf("opening, cut at %d: %v", at, err)
			}
			for _, g := range []*guarded{src, dst, in, out, cut} {
				g.closed = true
			}
		})
	}
}

// A source that panics leaves nobody waiting for more to write.
func TestSealPanics(t *testing.T) {
	twoProcessors(t)
	synctest.Test(t, func(t *testing.T) {
		defer func() {
			if p := recover(); p != errBroken {
				t.Errorf("%v", p)
			}
		}()
		src := io.MultiReader(io.LimitReader(newMessage(3<<20), 2<<20), &panicking{})
		t.Error(Seal(io.Discard, src, sealing()))
	})
}
