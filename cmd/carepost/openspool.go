package main

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// spool keeps plaintext that nobody may read yet: a temporary file without a name, encrypted with a key that exists in memory
// only. If the process dies, what is left on the disk is noise.
type spool struct {
	file  *os.File
	block cipher.Block
	keys  cipher.Stream // for what is written
	buf   []byte        // written, but not in the file yet
}

const spoolBuffer = 256 << 10

func newSpool() (*spool, error) {
	key := make([]byte, 32)
	rand.Read(key) // never fails
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	file, err := os.CreateTemp("", "carepost-*")
	if err != nil {
		return nil, fmt.Errorf("draft: %w (TMPDIR says where drafts go)", err)
	}
	if err := os.Remove(file.Name()); err != nil {
		file.Close()
		return nil, fmt.Errorf("draft: %w", err)
	}
	s := &spool{file: file, block: block}
	s.keys = s.stream()
	return s, nil
}

// stream starts the key stream anew. The key serves one file, so the counter may start at zero.
func (s *spool) stream() cipher.Stream { return cipher.NewCTR(s.block, make([]byte, aes.BlockSize)) }

// Write encrypts p into the file.
func (s *spool) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		if len(s.buf) == spoolBuffer {
			if err := s.flush(); err != nil {
				return n, err
			}
		}
		k := min(len(p), spoolBuffer-len(s.buf))
		s.buf = slices.Grow(s.buf, k)[:len(s.buf)+k]
		s.keys.XORKeyStream(s.buf[len(s.buf)-k:], p[:k])
		n, p = n+k, p[k:]
	}
	return n, nil
}

// flush writes what is encrypted already.
func (s *spool) flush() error {
	_, err := s.file.Write(s.buf)
	s.buf = s.buf[:0]
	return err
}

// whole ends the writing and says how much was written.
func (s *spool) whole() (size int64, err error) {
	if err := s.flush(); err != nil {
		return 0, fmt.Errorf("draft: %w", err)
	}
	info, err := s.file.Stat()
	if err != nil {
		return 0, fmt.Errorf("draft: %w", err)
	}
	return info.Size(), nil
}

// ReadAt decrypts from anywhere, once the draft is whole.
func (s *spool) ReadAt(p []byte, at int64) (int, error) {
	n, err := s.file.ReadAt(p, at)
	counter := make([]byte, aes.BlockSize)
	binary.BigEndian.PutUint64(counter[8:], uint64(at)/aes.BlockSize)
	stream := cipher.NewCTR(s.block, counter)
	var skipped [aes.BlockSize]byte
	stream.XORKeyStream(skipped[:at%aes.BlockSize], skipped[:at%aes.BlockSize])
	stream.XORKeyStream(p[:n], p[:n])
	return n, err
}

// release copies what was written to w.
func (s *spool) release(ctx context.Context, w io.Writer) error {
	if _, err := s.whole(); err != nil {
		return err
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("draft: %w", err)
	}
	in := cipher.StreamReader{S: s.stream(), R: readerUntil{ctx, s.file}}
	if _, err := io.CopyBuffer(struct{ io.Writer }{w}, in, make([]byte, spoolBuffer)); err != nil {
		return fmt.Errorf("writing the message: %w", err)
	}
	return nil
}

// Close drops the file and the key.
func (s *spool) Close() error {
	err := s.file.Close()
	s.block, s.keys, s.buf = nil, nil, nil
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}
