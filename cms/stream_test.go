package cms

import (
	"bytes"
	"crypto/sha256"
	"hash"
	"io"
	"runtime"
	"testing"
)

// both is a writer that hashes and counts.
type both struct {
	hash.Hash
	n int64
}

func (b *both) Write(p []byte) (int, error) { b.n += int64(len(p)); return b.Hash.Write(p) }

// Promise 4 of the house: memory flat in bytes. 256 MB go through writer and reader; all that both ever allocate is less than
// 3 MB, so neither keeps anything.
func TestFlatMemory(t *testing.T) {
	for _, c := range []Algorithm{AES256CBC, AES256GCM} {
		to, from := people().bob.cert, people().bob.recipient()
		flat(t, c.String(), func(w io.Writer) (io.WriteCloser, error) {
			return NewEnvelopedWriter(w, Encryption{Cipher: c}, to)
		}, func(r io.Reader) (io.Reader, error) {
			_, r, err := ReadEnveloped(r, []Recipient{from}, ReadOptions{Draft: true})
			return r, err
		})
	}
	flat(t, "compressed", NewCompressedWriter, func(r io.Reader) (io.Reader, error) { return ReadCompressed(r, lenient) })
}

// flat sends 256 MB through a writer and a reader.
func flat(t *testing.T, name string, writer func(io.Writer) (io.WriteCloser, error), reader func(io.Reader) (io.Reader, error)) {
	const size = 256 << 20
	var m0, m1 runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m0)
	pr, pw := io.Pipe()
	sent, got := &both{Hash: sha256.New()}, &both{Hash: sha256.New()}
	go func() {
		w, err := writer(pw)
		if err == nil {
			unit := content(64 << 10)
			for range size / len(unit) {
				if _, err = w.Write(unit); err != nil {
					break
				}
				sent.Write(unit)
			}
		}
		if err == nil {
			err = w.Close()
		}
		pw.CloseWithError(err)
	}()
	r, err := reader(pr)
	check(t, err)
	_, err = io.Copy(got, r)
	check(t, err)
	runtime.ReadMemStats(&m1)
	if got.n != size || !bytes.Equal(got.Sum(nil), sent.Sum(nil)) {
		t.Errorf("%s: %d octets, or others", name, got.n)
	}
	if n := m1.TotalAlloc - m0.TotalAlloc; n > 3<<20 {
		t.Errorf("%s: %d octets allocated", name, n)
	}
}
