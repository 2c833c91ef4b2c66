package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"carepost/dicom/fileset"
)

// dicomUnpack holds the flags of `dicom unpack`.
type dicomUnpack struct {
	dir                    string
	violations, incomplete bool
	unverifiable           bool
	json, all              bool
}

func newDicomUnpackCmd() *cobra.Command {
	var f dicomUnpack
	cmd := &cobra.Command{
		Use:   "unpack FILE…|-",
		Short: "Unpacks a DICOM.ZIP, or the one in a mail, if it is whole",
		Long: `Judges the File-set as "dicom check" does, and takes it out if it is COMPLETE: byte for byte, DICOMDIR as it was. The folder
must not exist or be empty; it appears when everything is in it. A DAMAGED set is never taken out. "-" reads standard input.

Images that came without a DICOMDIR (a ZIP of images, DICOM MIME, DICOM files attached one by one) are taken out with
--allow-unverifiable, under the names that they came with: compare with the sender what should be there. "dicom pack" makes a
File-set of the folder.

Several FILEs are the fragments of one mail that was divided on its way (message/partial), in any order. Of a mail with more than one
set, or with images beside it, the set is taken out with --allow-violations.

Exit codes: those of "dicom check"; 1 when the folder could not be written; 2 when it is not empty.`,
		Example: `  carepost dicom unpack DICOM.ZIP
  carepost dicom unpack -d study message.eml
  carepost dicom unpack --allow-incomplete DICOM.ZIP`,
		Args: atLeastOne("one DICOM.ZIP or mail file"),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	fl := cmd.Flags()
	fl.StringVarP(&f.dir, "dir", "d", "", "`FOLDER` to make (default: the name of FILE without its extension)")
	fl.BoolVar(&f.violations, "allow-violations", false, "take out a set that breaks rules but is whole")
	fl.BoolVar(&f.unverifiable, "allow-unverifiable", false, "take out images that came without a DICOMDIR")
	fl.BoolVar(&f.incomplete, "allow-incomplete", false, "take out what is there of a set that is not whole")
	fl.BoolVar(&f.json, "json", false, "report as JSON on standard output")
	fl.BoolVar(&f.all, "all", false, "list every instance and finding")
	return cmd
}

func (f *dicomUnpack) run(cmd *cobra.Command, names []string) error {
	name := names[0]
	dir, err := f.folder(name)
	if err != nil {
		return err
	}
	set, err := openSet(cmd, names...)
	if err != nil {
		return err
	}
	defer set.close()
	report, out := set.broken, false
	if report == nil {
		bar := newDicomBar(cmd.ErrOrStderr(), "checking")
		report, err = set.unpack(cmd.Context(), dir, fileset.UnpackOptions{
			CheckOptions:    fileset.CheckOptions{Progress: bar.set},
			AllowViolations: f.violations, AllowUnverifiable: f.unverifiable, AllowIncomplete: f.incomplete})
		bar.stop()
		out = err == nil
		if err != nil && !errors.Is(err, fileset.ErrDamaged) && !errors.Is(err, fileset.ErrRefused) {
			return notNow(err)
		}
	}
	report.Add(set.findings...)
	if f.json {
		err = writeJSON(cmd.OutOrStdout(), struct {
			File   string `json:"file"`
			Folder string `json:"folder,omitempty"`
			*fileset.Report
		}{name, map[bool]string{true: dir}[out], report})
	} else if err = printReport(cmd.OutOrStdout(), report, f.all); err == nil {
		if out {
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "\nunpacked to %s\n", dir)
		} else {
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "\nnothing was unpacked%s\n", f.remedy(report.Verdict))
		}
	}
	if err != nil {
		return notNow(err)
	}
	return verdictError(sourceName(name), report.Verdict)
}

// folder looks at the file that is named, and says which folder to make of it.
func (f *dicomUnpack) folder(name string) (string, error) {
	dir := f.dir
	if name == "-" {
		if dir == "" {
			return "", usage(errors.New("dicom unpack: what comes from standard input needs -d FOLDER"))
		}
		return dir, vacant(dir)
	}
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "", usage(fmt.Errorf("dicom unpack: there is no %s", name))
	case err != nil:
		return "", notNow(err)
	case info.IsDir():
		return "", usage(fmt.Errorf("dicom unpack: %s is a folder already", name))
	case !info.Mode().IsRegular():
		return "", usage(fmt.Errorf("dicom unpack: %s is no file (- reads standard input)", name))
	}
	if dir == "" {
		if dir = strings.TrimSuffix(name, filepath.Ext(name)); dir == name {
			dir += ".files"
		}
	}
	return dir, vacant(dir)
}

// vacant says that dir may be made: it does not exist, or is an empty folder.
func vacant(dir string) error {
	if filepath.Clean(dir) == "." { // the folder is made anew, and nobody can take away the one he stands in
		return usage(errors.New("dicom unpack: -d wants another folder than the one you are in"))
	}
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return notNow(err)
	case !info.IsDir():
		return usage(fmt.Errorf("dicom unpack: %s is there already, and is no folder", dir))
	}
	entries, err := os.ReadDir(dir)
	switch {
	case err != nil:
		return notNow(err)
	case len(entries) > 0:
		return usage(fmt.Errorf("dicom unpack: %s is not empty; -d FOLDER names another", dir))
	}
	return nil
}

// remedy says which flag would take a set out after all.
func (f *dicomUnpack) remedy(v fileset.Verdict) string {
	switch v {
	case fileset.Violations:
		return " (--allow-violations takes it out all the same)"
	case fileset.Unverifiable:
		return " (--allow-unverifiable takes out what is there)"
	case fileset.Incomplete:
		return " (--allow-incomplete takes out what is there)"
	}
	return ""
}
