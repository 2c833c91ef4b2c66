package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"carepost/dicom"
	"carepost/dicom/dimse"
	"carepost/dicom/fileset"
)

// storeInput gathers what `dicom store` is to give.
type storeInput struct {
	cmd   *cobra.Command
	quiet bool
	files []storeFile
	sets  []*setFile // open as long as their instances are read
}

func (in *storeInput) close() {
	for _, s := range in.sets {
		s.close()
	}
}

// add takes a DICOM file, the DICOM files of a folder, or the instances of a DICOM.ZIP that is whole.
func (in *storeInput) add(path string) error {
	if path == "-" {
		return in.set(path)
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return usage(fmt.Errorf("dicom store: there is no %s", path))
	case err != nil:
		return notNow(err)
	case !info.IsDir() && !info.Mode().IsRegular():
		return usage(fmt.Errorf("dicom store: %s is neither a file nor a folder (- reads standard input)", path))
	case info.IsDir():
		return in.folder(path)
	}
	x, err := storeFileOf(path)
	if err == nil && x.Class == basicDirectory {
		return incomplete(fmt.Errorf("%s is the directory of a File-set, no instance: name its folder", path))
	}
	if err == nil {
		in.files = append(in.files, x)
		return nil
	}
	if isDICOM(path) {
		return incomplete(fmt.Errorf("%s: %w", path, err))
	}
	return in.set(path)
}

// isDICOM knows a DICOM file, in whatever state it is, by its prefix (PS3.10 §7.1).
func isDICOM(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var head [132]byte
	_, err = io.ReadFull(f, head[:])
	return err == nil && string(head[128:]) == "DICM"
}

func (in *storeInput) folder(path string) error {
	before := len(in.files)
	err := filepath.WalkDir(path, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		if x, err := storeFileOf(path); err == nil && x.Class != basicDirectory {
			in.files = append(in.files, x)
		}
		return nil
	})
	if err != nil {
		return notNow(err)
	}
	if len(in.files) == before {
		return incomplete(fmt.Errorf("dicom store: %s holds no DICOM file", path))
	}
	return nil
}

// set judges an archive, or the one in a mail, and takes its instances: all or none.
func (in *storeInput) set(path string) error {
	set, err := openSet(in.cmd, path)
	if err != nil {
		return err
	}
	in.sets = append(in.sets, set)
	name := sourceName(path)
	if set.loose != nil {
		return incomplete(fmt.Errorf("%s: a mail with DICOM files of which nothing says whether they are all: "+
			"`carepost dicom unpack --allow-unverifiable` takes them out; look at them, and give the folder", name))
	}
	report, all := set.broken, []fileset.Content(nil)
	if report == nil {
		w := in.cmd.ErrOrStderr()
		if in.quiet {
			w = io.Discard
		}
		bar := newDicomBar(w, "checking")
		report, all, err = fileset.InstancesZIP(in.cmd.Context(), set.file, set.size, fileset.CheckOptions{Progress: bar.set})
		bar.stop()
		if err != nil {
			return notNow(err)
		}
	}
	report.Add(set.findings...)
	if err := verdictError(name, report.Verdict); err != nil {
		return fmt.Errorf("%w: nothing of it is given; `carepost dicom check` tells why, and what `carepost dicom unpack` takes out can be given as a folder", err)
	}
	for _, x := range all {
		in.files = append(in.files, storeFile{File: name + ": " + x.FileID, Class: x.SOPClass, Instance: x.SOPInstance, Syntax: x.TransferSyntax, size: x.Size, open: x.Open})
	}
	return nil
}

func storeFileOf(path string) (storeFile, error) {
	open := func() (io.ReadCloser, error) { return os.Open(path) }
	r, err := os.Open(path)
	if err != nil {
		return storeFile{}, err
	}
	defer r.Close()
	info, err := r.Stat()
	if err != nil {
		return storeFile{}, err
	}
	i, _, err := dimse.OpenPart10(r)
	if err != nil {
		return storeFile{}, err
	}
	// What the data set says counts for a PACS, and now and then a file meta group says something else.
	if d, err := dicom.NewScanner(dicom.Options{Wanted: []dicom.Tag{0x00080016, 0x00080018}}).ScanAt(r, info.Size()); err == nil {
		i.SOPClass, i.SOPInstance = cmp.Or(d.Data.String(0x00080016), i.SOPClass), cmp.Or(d.Data.String(0x00080018), i.SOPInstance)
	}
	return storeFile{File: path, Class: i.SOPClass, Instance: i.SOPInstance, Syntax: i.TransferSyntax, size: info.Size(), open: open}, nil
}
