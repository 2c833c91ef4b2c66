package blob

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/minio/sio"

	"carepost/internal/crash"
	"carepost/internal/vault"
)

// Draft is a body being written. It is for one goroutine.
//
// The first InlineSize bytes stay in memory, in clear; when more come, all goes sealed to a file under drafts, whose key exists in
// memory only.
type Draft struct {
	s    *Store
	id   string
	made time.Time
	dek  []byte

	sum   hash.Hash
	size  int64
	asked int64   // size at which the disk was last asked whether there is room
	small []byte  // while file is nil: of capacity InlineSize, from Store.small
	shown []*Body // over small
	file  *os.File
	seal  io.WriteCloser // into out
	out   *bufio.Writer  // into file
	ended bool           // no more writing
	err   error          // the first; it stays
	gone  bool           // committed or discarded
}

var errEnded = errors.New("blob: the draft is finished")

// lifetime is how old a draft may be when it is committed. What lies under the hours before it has its row, or never will: sweepers rely on
// that.
const lifetime = 12 * time.Hour

// ID is the id that the Ref will have.
func (d *Draft) ID() string { return d.id }

// Size is the number of bytes written so far.
func (d *Draft) Size() int64 { return d.size }

// Write appends to the body.
func (d *Draft) Write(p []byte) (int, error) {
	switch {
	case d.err != nil:
		return 0, d.err
	case d.ended || d.gone:
		return 0, errEnded
	}
	if d.file == nil && d.size+int64(len(p)) > InlineSize {
		if err := d.spill(); err != nil {
			return 0, d.fail(err)
		}
	}
	if d.file != nil && d.size-d.asked >= stride {
		d.asked = d.size
		if err := d.s.room(); err != nil {
			return 0, d.fail(err)
		}
	}
	n, err := len(p), error(nil)
	if d.file != nil {
		n, err = d.seal.Write(p)
	} else {
		if d.small == nil && n > 0 {
			d.small = d.s.small.Get().(*[InlineSize]byte)[:0]
		}
		d.small = append(d.small, p...)
	}
	d.sum.Write(p[:n])
	d.size += int64(n)
	if err != nil {
		return n, d.fail(err)
	}
	return n, nil
}

func (d *Draft) fail(err error) error {
	d.err = fmt.Errorf("blob: writing a draft: %w", err)
	return d.err
}

// spill moves the draft from memory to a file.
func (d *Draft) spill() (err error) {
	d.file, err = os.OpenFile(d.path(), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	d.out = bufio.NewWriterSize(d.file, 256<<10)
	d.seal, err = sio.EncryptWriter(struct{ io.Writer }{d.out}, config(d.dek)) // no Closer: sio would close it
	if err != nil {
		return err
	}
	_, err = d.seal.Write(d.small)
	d.wipe()
	return err
}

func (d *Draft) path() string { return filepath.Join(d.s.dir, drafts, d.id) }

// end closes the sealed stream: its last package is marked as such.
func (d *Draft) end() error {
	switch {
	case d.err != nil:
		return d.err
	case d.gone:
		return errEnded
	case d.ended:
		return nil
	}
	d.ended = true
	if d.file == nil {
		return nil
	}
	if err := d.seal.Close(); err != nil {
		return d.fail(err)
	}
	if err := d.out.Flush(); err != nil {
		return d.fail(err)
	}
	d.out = nil
	return nil
}

// Body ends the writing and opens the draft for reading by its writer. The Body lives until Commit or Discard.
func (d *Draft) Body() (*Body, error) {
	if err := d.end(); err != nil {
		return nil, err
	}
	if d.file == nil {
		b := plainBody(d.small, d.id)
		d.shown = append(d.shown, b)
		return b, nil
	}
	return newBody(d.file, d.dek, d.id, d.size), nil
}

// Commit ends the writing and makes the body durable: bytes, name and the names of new directories. Its row is the caller's
// next step; a crash before that leaves bytes that nothing refers to and nobody can read.
func (d *Draft) Commit() (_ Ref, err error) {
	if err := d.end(); err != nil {
		return Ref{}, err
	}
	if age := d.s.clock().Sub(d.made); age > lifetime {
		return Ref{}, d.fail(fmt.Errorf("it was begun %v ago, which is too long", age.Round(time.Minute)))
	}
	r := Ref{ID: d.id, Size: d.size, SHA256: d.sum.Sum(nil)}
	r.KID, r.WrappedDEK = d.s.box.WrapKey(d.id, d.dek)
	if d.file == nil {
		if r.Inline, err = sealInline(d.small, d.dek); err != nil {
			return Ref{}, d.fail(err)
		}
		d.forget()
		return r, nil
	}
	key, err := d.publish()
	if err != nil {
		return Ref{}, d.fail(err)
	}
	r.Key = key
	d.gone = true
	d.file.Close() // synced: nothing is left to go wrong
	return r, nil
}

// publish gives the file its name. Order: bytes, directories, name. A link, unlike a rename, never replaces what is there.
func (d *Draft) publish() (key string, err error) {
	if err := d.file.Sync(); err != nil {
		return "", err
	}
	crash.Point("blob.synced")
	if key, err = d.s.place(d.id, d.made); err != nil {
		return "", err
	}
	path := filepath.Join(d.s.dir, key)
	err = os.Link(d.path(), path)
	if errors.Is(err, fs.ErrNotExist) && d.s.forget(key) { // the directory was empty and has been taken away: a clock was set
		if key, err = d.s.place(d.id, d.made); err == nil {
			err = os.Link(d.path(), path)
		}
	}
	if err != nil {
		return "", err
	}
	if err := vault.SyncDir(filepath.Dir(path)); err != nil {
		os.Remove(path)
		return "", err
	}
	crash.Point("blob.named")
	// A second name that survives a crash is removed as a stale draft at the next start.
	return key, os.Remove(d.path())
}

// Discard forgets the draft. After Commit it does nothing.
func (d *Draft) Discard() {
	if d.gone {
		return
	}
	clear(d.dek)
	if d.file != nil {
		d.file.Close()
		os.Remove(d.path()) // if that cannot be, the next start removes it
	}
	d.forget()
}

// forget drops what is in memory in clear.
func (d *Draft) forget() {
	d.gone = true
	for _, b := range d.shown {
		b.Close()
	}
	d.wipe()
}

func (d *Draft) wipe() {
	if d.small != nil {
		clear(d.small)
		d.s.small.Put((*[InlineSize]byte)(d.small[:InlineSize]))
		d.small = nil
	}
}

// sealInline seals a body of a single package, which is what fits in a row.
func sealInline(p, dek []byte) ([]byte, error) {
	out := bytes.NewBuffer(make([]byte, 0, len(p)+sealing))
	w, err := sio.EncryptWriter(struct{ io.Writer }{out}, config(dek))
	if err == nil {
		_, err = w.Write(p)
	}
	if err == nil {
		err = w.Close()
	}
	return out.Bytes(), err
}
