package fileset

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// volume is where a set lies: an archive or a folder. Names are those found, components joined by "/".
type volume struct {
	files    []volumeFile
	size     int64 // of the archive, or of all files of a folder
	findings findings
	fatal    bool // the content cannot be judged

	checksums bool // reading a file to its end proves it to be what was put in
}

type volumeFile struct {
	name string
	size int64 // as declared
	open func() (io.ReadCloser, error)
}

// broken says that err speaks of the content, not of the disk.
func broken(err error) bool {
	return errors.Is(err, errCRC) || errors.Is(err, errLength) || errors.Is(err, errPacked) || errors.Is(err, ErrContent)
}

func zipVolume(r io.ReaderAt, size int64, lim Limits) (*volume, error) {
	a, err := readArchive(r, size, lim)
	if err != nil {
		return nil, err
	}
	v := &volume{findings: a.findings, fatal: a.fatal, size: size, checksums: true}
	if a.fatal {
		return v, nil
	}
	for i := range a.entries {
		e := &a.entries[i]
		v.files = append(v.files, volumeFile{name: e.name, size: e.size, open: func() (io.ReadCloser, error) { return a.open(e), nil }})
	}
	return v, nil
}

// dirVolume lists a folder. Links are not followed: a set does not reach out of its folder.
func dirVolume(ctx context.Context, dir string, lim Limits) (*volume, error) {
	v := &volume{}
	var total int64
	err := filepath.WalkDir(through(dir), func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil || d.IsDir() {
			return err
		}
		name := strings.ToValidUTF8(filepath.ToSlash(rel), "?")
		if !d.Type().IsRegular() {
			v.findings.add(ruleZIPLink.at(name, "a link or a device: not part of a set"))
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		total += info.Size()
		v.size = total
		if len(v.files) >= lim.Entries || info.Size() > lim.File || total > lim.Total {
			v.findings.add(ruleLimit.at(name, "more files or bytes than the limits allow"))
			v.fatal = true
			return filepath.SkipAll
		}
		v.files = append(v.files, volumeFile{name: name, size: info.Size(),
			open: func() (io.ReadCloser, error) { return os.Open(path) }})
		return nil
	})
	return v, err
}

// layout maps File IDs to the files of a volume, exactly or as other systems may have changed them.
type layout struct {
	prefix    string // of one wrapping folder, with its slash; "" as it should be
	directory int    // index of DICOMDIR; -1 when there is none
	elsewhere bool   // one lies where it does not belong
	byName    map[string]int
	byFold    map[string][]int
	skip      map[int]bool // litter of other systems
	findings  findings
}

func (l *layout) add(r rule, where, format string, args ...any) {
	l.findings.add(r.at(where, format, args...))
}

// lay finds DICOMDIR (PS3.12 Y.1.2.2: one, at the root) and makes the maps.
func lay(v *volume) *layout {
	l := &layout{directory: -1, byName: make(map[string]int), byFold: make(map[string][]int), skip: make(map[int]bool)}
	tops := make(map[string]bool)
	var directories []int
	for i, f := range v.files {
		base := f.name[strings.LastIndexByte(f.name, '/')+1:]
		top, _, nested := strings.Cut(f.name, "/")
		if litter(base) || top == "__MACOSX" {
			l.skip[i] = true
			l.add(ruleLitter, f.name, "left behind by a system; passed over")
			continue
		}
		if !nested {
			top = ""
		}
		tops[top] = true
		if isDirectoryName(base) {
			directories = append(directories, i)
		}
	}
	if len(tops) == 1 && !tops[""] {
		for top := range tops {
			l.prefix = top + "/"
		}
	}
	for _, i := range directories {
		rel, ok := strings.CutPrefix(v.files[i].name, l.prefix)
		switch {
		case !ok || strings.Contains(rel, "/"):
			l.elsewhere = true
			l.add(ruleTwoSets, v.files[i].name, "a DICOMDIR in a folder of its own: another File-set, or one that is not at the root")
		case l.directory >= 0 && rel != DirectoryName:
			l.add(ruleTwoDirectories, v.files[i].name, "a second DICOMDIR")
		default:
			if l.directory >= 0 {
				l.add(ruleTwoDirectories, v.files[l.directory].name, "a second DICOMDIR")
			}
			l.directory = i
		}
	}
	if l.directory < 0 {
		l.prefix = ""
	}
	if l.directory >= 0 && l.prefix != "" {
		l.add(ruleWrapped, strings.TrimSuffix(l.prefix, "/"), "the set lies in a folder of the archive rather than at its root")
	}
	if l.directory >= 0 && v.files[l.directory].name != l.prefix+DirectoryName {
		l.add(ruleCase, v.files[l.directory].name, "it must be named DICOMDIR")
	}
	for i, f := range v.files {
		if rel, ok := strings.CutPrefix(f.name, l.prefix); ok && !l.skip[i] {
			l.byName[rel] = i
			key := foldID(rel)
			l.byFold[key] = append(l.byFold[key], i)
		}
	}
	return l
}

// foldID gives the form in which a file and its File ID meet: upper case, no ".dcm", no version of ISO 9660.
func foldID(name string) string {
	name = strings.ToUpper(name)
	name = strings.TrimSuffix(name, ";1")
	return strings.TrimSuffix(strings.TrimSuffix(name, "."), ".DCM")
}

// lookup finds the file of a File ID; -1 when there is none, or more than one that might be meant.
func (l *layout) lookup(id string) int {
	if i, ok := l.byName[id]; ok {
		return i
	}
	if is := l.byFold[foldID(id)]; len(is) == 1 {
		return is[0]
	}
	return -1
}

// departs says how the name of file i departs from its File ID.
func (l *layout) departs(v *volume, i int, id string) {
	rel := strings.TrimPrefix(v.files[i].name, l.prefix)
	switch {
	case rel == id:
	case strings.EqualFold(rel, id):
		l.add(ruleCase, v.files[i].name, "the File ID is %s, in upper case", id)
	default:
		l.add(ruleExtension, v.files[i].name, "the File ID is %s, without extension", id)
	}
}
