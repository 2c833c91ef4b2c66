package damage

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"carepost/dicom/fileset"
)

// damaged does one to three damages to a form, and says which.
func damaged(t *testing.T, f form, r *rand.Rand) (b []byte, what string) {
	if f.files != nil {
		return f.files.damagedFiles(t, r)
	}
	b = bytes.Clone(f.good)
	var ways []string
	for range 1 + r.IntN(3) {
		if len(b) < 64 {
			break
		}
		var way string
		b, way = bent(b, r)
		ways = append(ways, way)
	}
	return b, strings.Join(ways, ", ")
}

// bent does one damage to bytes.
func bent(b []byte, r *rand.Rand) ([]byte, string) {
	at := r.IntN(len(b))
	if r.IntN(4) == 0 { // headers are at the ends
		at = r.IntN(min(len(b), 2000))
	} else if r.IntN(4) == 0 {
		at = len(b) - 1 - r.IntN(min(len(b), 2000))
	}
	n := 1 + r.IntN(min(len(b)-at, 1<<r.IntN(14)))
	switch r.IntN(6) {
	case 0:
		b[at] ^= 1 << r.IntN(8)
		return b, fmt.Sprintf("a bit flipped at %d", at)
	case 1:
		return b[:at], fmt.Sprintf("cut to %d", at)
	case 2:
		return slices.Concat(b[:at], b[at+n:]), fmt.Sprintf("%d dropped at %d", n, at)
	case 3:
		to := r.IntN(len(b) - n + 1)
		one, two := bytes.Clone(b[at:at+n]), bytes.Clone(b[to:to+n])
		copy(b[at:], two)
		copy(b[to:], one)
		return b, fmt.Sprintf("%d swapped between %d and %d", n, at, to)
	case 4:
		return slices.Concat(b[:at+n], b[at:]), fmt.Sprintf("%d at %d twice", n, at)
	}
	return renamed(b, r)
}

// renamed changes a name where there is one: of a file, of a field, of a boundary.
func renamed(b []byte, r *rand.Rand) ([]byte, string) {
	names := []string{"DICOMDIR", "DICOM/P0001", "S0001", "R0001", "I00001", "MANIFEST", "DICOM.ZIP", "DICOM-ZIP", "application/zip", "base64", "b-0", "attachment",
		"Content-Type", "boundary", "PK\x01\x02", "PK\x03\x04", "PK\x05\x06", "PK\x07\x08"}
	name := names[r.IntN(len(names))]
	at := bytes.Index(b, []byte(name))
	if at < 0 {
		b[r.IntN(len(b))] ^= 1 << r.IntN(8)
		return b, "a bit flipped"
	}
	if last := bytes.LastIndex(b, []byte(name)); r.IntN(2) == 0 {
		at = last
	}
	b[at+r.IntN(len(name))] = "ABC019_.-/"[r.IntN(10)]
	return b, fmt.Sprintf("%q renamed at %d", name, at)
}

// damagedFiles damages the files of a set and builds the archive anew, with right checksums.
func (s *sent) damagedFiles(t *testing.T, r *rand.Rand) ([]byte, string) {
	type file struct {
		name string
		data []byte
	}
	var files []file
	archive := s.archive
	z, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Error(err)
		return nil, ""
	}
	for _, f := range z.File {
		rc, err := f.Open()
		if err != nil {
			t.Error(err)
			return nil, ""
		}
		data, err := io.ReadAll(rc)
		if err != nil {
			t.Error(err)
			return nil, ""
		}
		files = append(files, file{f.Name, data})
	}
	var ways []string
	for range 1 + r.IntN(2) {
		i, j := r.IntN(len(files)), r.IntN(len(files))
		what := ""
		switch r.IntN(8) {
		case 6: // of another mail
			if older, there := s.older[files[i].name]; there {
				files[i].data, what = older, "is that of another set"
			}
		case 7: // an instance and its record are gone, consistently
			gone := s.last()
			files = slices.DeleteFunc(files, func(f file) bool { return f.name == gone })
			for k := range files {
				if files[k].name == fileset.DirectoryName {
					files[k].data = s.fewer
				}
			}
			i, what = 0, gone+" is gone, and from the DICOMDIR"
		case 0:
			files, what = slices.Delete(files, i, i+1), "dropped"
		case 1:
			files[i].data, files[j].data, what = files[j].data, files[i].data, "exchanged with "+files[j].name
		case 2:
			files[i].data, what = bytes.Clone(files[j].data), "has the content of "+files[j].name
		case 3:
			name := []byte(files[i].name)
			name[r.IntN(len(name))] = "ABC019_ab.-"[r.IntN(11)]
			files[i].name, what = string(name), "renamed"
		case 4:
			files, what = append(files, file{files[i].name + "X", files[i].data}), "there twice"
		default:
			if len(files[i].data) > 64 {
				files[i].data, what = bent(bytes.Clone(files[i].data), r)
			}
		}
		ways = append(ways, fmt.Sprintf("file %d %s", i, what))
	}
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range files {
		to, err := w.CreateHeader(&zip.FileHeader{Name: f.name, Method: []uint16{zip.Store, zip.Deflate}[r.IntN(2)]})
		if err == nil {
			_, err = to.Write(f.data)
		}
		if err != nil { // a name that is none: it cannot be built
			return nil, strings.Join(ways, ", ")
		}
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	return b.Bytes(), strings.Join(ways, ", ")
}
