package fileset

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

func FuzzCheckZIP(f *testing.F) {
	b := smallSet(f)
	f.Add(b)
	f.Add(rezip(f, entriesOf(f, b)))
	f.Add([]byte("PK\x05\x06" + strings.Repeat("\x00", 18)))
	f.Fuzz(func(t *testing.T, b []byte) {
		checkBytes(t, b)
	})
}

func FuzzDirectory(f *testing.F) {
	f.Add(entriesOf(f, smallSet(f))[0].data)
	f.Add(readFile(f, filepath.Join(shared(f), "fileset", "DICOMDIR")))
	tables := newTables()
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := readDirectory(tables, bytes.NewReader(b), mostRecords(0))
		if err == nil && len(d.records) > len(b) {
			t.Error("more records than bytes")
		}
	})
}

func FuzzManifest(f *testing.F) {
	m := newManifest(1)
	m.add(make([]byte, 32), 5, DirectoryName)
	f.Add(m.bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		files, err := readManifest(b)
		if err != nil {
			return
		}
		if len(files) > len(b)/64 {
			t.Error("more files than lines")
		}
	})
}
