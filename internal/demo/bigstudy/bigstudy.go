// Package bigstudy makes synthetic DICOM studies: shapes and noise that look like radiographs to an eye and to a compressor, and show
// nobody. The same call gives the same bytes.
//
// Write makes large multi-frame studies for tests of memory and speed. Dental makes the small study that the binary carries
// (package study), valid for STD-DTL-SEC-ZIP-MAIL. From the command line: go run internal/demo/bigstudy/write.go.
package bigstudy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// frame is 512 × 512 pixels of 16 bits, 12 of them used.
const (
	side  = 512
	frame = side * side * 2
)

// Write makes a study of one patient in dir: objects multi-frame images of about bytes each (at least one frame). A billion bytes take
// a few seconds.
func Write(ctx context.Context, dir string, objects int, bytes int64) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("bigstudy: %w", err)
	}
	for i := range objects {
		if err := writeVolume(ctx, filepath.Join(dir, fmt.Sprintf("volume%03d.dcm", i+1)), i, max(1, int(bytes/frame))); err != nil {
			return fmt.Errorf("bigstudy: %w", err)
		}
	}
	return nil
}

func writeVolume(ctx context.Context, name string, n, frames int) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriterSize(f, 1<<20)
	o := volume(n, frames)
	if _, err := w.Write(o.head(int64(frames) * frame)); err != nil {
		return err
	}
	s := newSlices(n)
	for k := range frames {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := w.Write(s.frame(k)); err != nil {
			return err
		}
	}
	return w.Flush()
}

// volume describes one object: Multi-frame Grayscale Word Secondary Capture, which asks for little beyond its pixels.
func volume(n, frames int) *object {
	o := &object{class: "1.2.840.10008.5.1.4.1.1.7.3", instance: uid(fmt.Sprintf("volume %d", n)), words: true}
	o.text(0x00080005, "CS", "ISO_IR 100")
	o.text(0x00080008, "CS", `DERIVED\SECONDARY`)
	o.text(0x00080016, "UI", o.class)
	o.text(0x00080018, "UI", o.instance)
	o.text(0x00080020, "DA", "20260302")
	o.text(0x00080023, "DA", "20260302")
	o.text(0x00080030, "TM", "091500")
	o.text(0x00080033, "TM", "091500")
	o.text(0x00080050, "SH", "V0001")
	o.text(0x00080060, "CS", "OT")
	o.text(0x00080064, "CS", "SYN")
	o.text(0x00080070, "LO", "Synthetic")
	o.text(0x00080090, "PN", "")
	o.text(0x00081030, "LO", "Cone beam phantom")
	o.text(0x00100010, "PN", "Phantom^Volume")
	o.text(0x00100020, "LO", "PHANTOM-1")
	o.text(0x00100030, "DA", "")
	o.text(0x00100040, "CS", "O")
	o.text(0x00181063, "DS", "40")
	o.text(0x0020000D, "UI", uid("volume study"))
	o.text(0x0020000E, "UI", uid("volume series"))
	o.text(0x00200010, "SH", "1")
	o.text(0x00200011, "IS", "1")
	o.text(0x00200013, "IS", fmt.Sprint(n+1))
	o.text(0x00200020, "CS", "")
	o.text(0x00200060, "CS", "")
	o.number(0x00280002, 1)
	o.text(0x00280004, "CS", "MONOCHROME2")
	o.text(0x00280008, "IS", fmt.Sprint(frames))
	o.tag(0x00280009, 0x00181063) // Frame Increment Pointer: Frame Time
	o.number(0x00280010, side)
	o.number(0x00280011, side)
	o.number(0x00280100, 16)
	o.number(0x00280101, 12)
	o.number(0x00280102, 11)
	o.number(0x00280103, 0)
	o.text(0x00280301, "CS", "NO")
	o.text(0x00281052, "DS", "0")
	o.text(0x00281053, "DS", "1")
	o.text(0x00281054, "LO", "US")
	o.text(0x20500020, "CS", "IDENTITY")
	return o
}
