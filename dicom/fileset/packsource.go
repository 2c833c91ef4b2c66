package fileset

import (
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"

	"carepost/dicom"
)

// crcOf reads a file that will be stored: its CRC stands in front of it.
func (k *packer) crcOf(f File) (uint32, error) {
	h := crc32.NewIEEE()
	buf := make([]byte, 256<<10)
	for off := int64(0); ; {
		if err := k.ctx.Err(); err != nil {
			return 0, err
		}
		n, err := f.ReadAt(buf, off)
		h.Write(buf[:n])
		off += int64(n)
		if errors.Is(err, io.EOF) {
			return h.Sum32(), nil
		}
		if err != nil {
			return 0, err
		}
	}
}

// same says whether a file is what Scan saw. What an Input gives is known by its bytes alone.
func (s source) same(f File) error {
	file, ok := f.(*rawFile)
	if s.given != nil || !ok {
		return nil
	}
	size, mod, _, err := file.state()
	if err != nil {
		return err
	}
	if size != s.size || !mod.Equal(s.mod) {
		return fmt.Errorf("%w: %s", ErrChanged, s.path)
	}
	return nil
}

// methodOf deflates what is not compressed yet, unless it was asked to deflate nothing.
func (p *Plan) methodOf(i int) uint16 {
	if !p.stored && p.sources[i].size <= maxStreamed && dicom.Plain(p.Instances[i].TransferSyntax) {
		return deflate
	}
	return stored
}

// finished closes the account of a file: what was read is what Scan saw, and twice the same where it was read twice.
func (s source) finished(f File, j *job, sha hash.Hash, sum hash.Hash32, twice bool) error {
	if err := s.same(f); err != nil {
		return err
	}
	if twice && sum.Sum32() != j.crc {
		return fmt.Errorf("%w: %s", ErrChanged, s.path)
	}
	j.crc, j.sum = sum.Sum32(), sha.Sum(nil)
	return nil
}
