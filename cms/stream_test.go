package cms

import (
	"bytes"
	"crypto/sha256"
	"hash"
	"io"
	"runtime"
	"testing"
)

// zeros is an endless content.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// both is a writer that hashes and counts.
type both struct {
	hash.Hash
	n int64
}

func (b *both) Write(p []byte) (int, error) { b.n += int64(len(p)); return b.Hash.Write(p) }

// Promise 4 of the house: memory flat in bytes. 256 MB go through writer and reader; all that both ever allocate is less than
// 2 MB, so neither keeps anything.
func TestFlatMemory(t *testing.T) {
	const size = 256 << 20
	c := people()
	var m0, m1 runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m0)
	pr, pw := io.Pipe()
	sent, got := &both{Hash: sha256.New()}, &both{Hash: sha256.New()}
	go func() {
		w, err := NewEnvelopedWriter(pw, Encryption{Cipher: AES256CBC}, c.bob.cert)
		if err == nil {
			_, err = io.CopyBuffer(io.MultiWriter(w, sent), io.LimitReader(zeros{}, size), make([]byte, 64<<10))
		}
		if err == nil {
			err = w.Close()
		}
		pw.CloseWithError(err)
	}()
	_, r, err := ReadEnveloped(pr, []Recipient{c.bob.recipient()}, ReadOptions{})
	check(t, err)
	_, err = io.Copy(got, r)
	check(t, err)
	runtime.ReadMemStats(&m1)
	if got.n != size || !bytes.Equal(got.Sum(nil), sent.Sum(nil)) {
		t.Errorf("%d octets, or others", got.n)
	}
	if n := m1.TotalAlloc - m0.TotalAlloc; n > 2<<20 {
		t.Errorf("%d octets allocated", n)
	}
}
