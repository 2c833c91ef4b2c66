package fileset

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// Glance is what an archive seems to hold, before anybody judges it.
type Glance struct {
	Directory bool // a file called DICOMDIR, at whatever place
	Objects   bool // a DICOM object, by its first bytes, whatever it is called
	Package   bool // an IHE XDM package of documents
	Damaged   bool // it is no archive to be relied on: it may hold what the rest of this does not know of
}

// GlanceZIP looks at the names in a ZIP and at the first bytes of some of its files. An error is of the disk.
func GlanceZIP(r io.ReaderAt, size int64) (g Glance, err error) {
	a, err := OpenArchive(r, size, Limits{})
	if err != nil {
		return g, err
	}
	g.Damaged = a.Damaged()
	looks := 0
	for _, f := range a.Files() {
		base := path.Base(f.Name)
		g.Directory = g.Directory || isDirectoryName(base)
		g.Package = g.Package || strings.HasPrefix(fold(f.Name), "IHE_XDM/")
		if g.Objects || litter(base) || isDirectoryName(base) || f.Size < 132 || looks == maxLooks {
			continue
		}
		looks++
		if g.Objects, err = begins(f); err != nil {
			return g, fmt.Errorf("fileset: %w", err)
		}
	}
	return g, nil
}

// maxLooks is how many files of an archive are looked into before it holds no objects.
const maxLooks = 64

// begins says that a file begins as a DICOM object does (PS3.10 §7.1).
func begins(f ArchiveFile) (bool, error) {
	rc := f.Open()
	defer rc.Close()
	var head [132]byte
	_, err := io.ReadFull(rc, head[:])
	if err != nil && !broken(err) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return false, err
	}
	return err == nil && string(head[128:]) == "DICM", nil
}

// isDirectoryName knows the name of a DICOMDIR, as other systems may have changed it.
func isDirectoryName(base string) bool {
	return strings.TrimSuffix(fold(base), ".DCM") == DirectoryName
}

// Mentions looks for a name of capitals anywhere in a stream, in any case of letters: what cannot be read as an archive may still have been one.
func Mentions(r io.Reader, name string) (bool, error) {
	buf := make([]byte, 64<<10)
	kept := 0 // of the octets before, for a name that lies across
	for {
		n, err := r.Read(buf[kept:])
		n += kept
		for i, c := range buf[kept:n] {
			if c >= 'a' && c <= 'z' {
				buf[kept+i] = c - 'a' + 'A'
			}
		}
		if bytes.Contains(buf[:n], []byte(name)) {
			return true, nil
		}
		kept = copy(buf, buf[max(0, n-len(name)+1):n])
		if err == io.EOF {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
}
