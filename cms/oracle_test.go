package cms

import (
	"bytes"
	"crypto"
	"io"
	"testing"
)

// tally counts the octets that are read.
type tally struct {
	r io.Reader
	n int
}

func (c *tally) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

// trace is all that somebody outside could learn of one attempt to open a message.
type trace struct {
	err     error
	private int // operations with a private key
	read    int // octets of the message
}

// attempt opens msg with bob's key and drains it.
func attempt(msg []byte) trace {
	k := &counting{Decrypter: people().bob.key.(crypto.Decrypter)}
	src := &tally{r: bytes.NewReader(msg)}
	_, r, err := ReadEnveloped(src, []Recipient{{people().bob.cert, k}}, ReadOptions{})
	if err == nil {
		_, err = io.Copy(io.Discard, r)
	}
	return trace{err, k.n, src.n}
}

// ATT-04, ATT-05: wrong key, key of another length, no key at all, bad padding of every kind, blocks added and taken away: the same value
// as error, after one private operation and after reading the message as far as any other of its length.
func TestNothingToLearn(t *testing.T) {
	c := people()
	text := content(200_000)
	pad := func(at int, v byte) func(*envelope) {
		return func(e *envelope) { e.padded[len(e.padded)-1-at] = v }
	}
	transported := func(b []byte) func(*envelope) {
		return func(e *envelope) { e.infos[0] = rawTransport(c.bob, nil, oidRSA, b) }
	}
	good := sealed(t, text)
	want := attempt(good.bytes())
	if want.err != nil || want.private != 1 || want.read != len(good.bytes()) {
		t.Fatalf("unchanged: %+v", want)
	}
	want.err = ErrDecrypt
	for name, change := range map[string]func(e *envelope){
		"no padding":               pad(0, 0),
		"padding too long":         pad(0, 17),
		"padding of 255":           pad(0, 255),
		"padding of its own value": pad(1, 3),
		"another key":              func(e *envelope) { e.infos[0] = transportTo(t, c.bob, content(16)) },
		"a key too long":           func(e *envelope) { e.infos[0] = transportTo(t, c.bob, content(32)) },
		"a key too short":          func(e *envelope) { e.infos[0] = transportTo(t, c.bob, content(5)) },
		"an empty key":             func(e *envelope) { e.infos[0] = transportTo(t, c.bob, nil) },
		"no PKCS #1":               transported(content(256)),
		"all ones":                 transported(bytes.Repeat([]byte{0xff}, 256)),
		"zero":                     transported(make([]byte, 256)),
		"one":                      transported(append(make([]byte, 255), 1)),
		"the last block altered":   func(e *envelope) { e.padded[len(e.padded)-20] ^= 1; e.padded[len(e.padded)-1] ^= 0x80 },
	} {
		e := sealed(t, text)
		change(e)
		var got trace
		_ = patiently(func() error { got = attempt(e.bytes()); return got.err })
		if got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	// The end of the message is told no sooner and no later than there is one.
	whole := good.bytes()
	for _, n := range []int{len(whole) - 1, len(whole) - 10, len(whole) - 17, len(whole) / 2, len(whole) - 150_000} {
		if got := attempt(whole[:n]); got != (trace{ErrDecrypt, 1, n}) {
			t.Errorf("cut at %d: %+v", n, got)
		}
	}
}

// ATT-05: of the 65536 ends of a last block exactly those are padding that RFC 5652 §6.3 says, and none is told from another.
func TestPaddingOfEveryKind(t *testing.T) {
	for last := range 256 {
		for n := range 18 { // so many octets of that value stand at the end
			block := [16]byte{}
			for i := range block {
				block[i] = byte(last) ^ 0x55
				if i >= 16-n {
					block[i] = byte(last)
				}
			}
			if n == 0 {
				continue // then there is another value at the end
			}
			got, good := padding(block)
			if want := last >= 1 && last <= 16 && n >= last; (good == 1) != want || want && got != last {
				t.Errorf("%d times %d: %d, %d", n, last, got, good)
			}
		}
	}
}
