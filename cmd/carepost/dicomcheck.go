package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"carepost/dicom/fileset"
	"carepost/dicom/zipmail"
)

// dicomCheck holds the flags of `dicom check`.
type dicomCheck struct {
	profile   string
	json, all bool
}

func newDicomCheckCmd() *cobra.Command {
	var f dicomCheck
	cmd := &cobra.Command{
		Use:   "check FILE…|FOLDER|-",
		Short: "Says whether a File-set is complete and conforms",
		Long: `Judges a DICOM.ZIP, a mail that carries one, or a folder with a DICOMDIR (or that DICOMDIR); "-" reads a DICOM.ZIP
or a mail from standard input. The worst finding gives the verdict:

  DAMAGED       something is not what was packed, or cannot be read  exit code 4
  INCOMPLETE    something the DICOMDIR names is not there            exit code 4
  UNVERIFIABLE  images, and no DICOMDIR that says they are all       exit code 4
  VIOLATIONS    all is there; a rule of the standard is broken       exit code 3
  COMPLETE      all is there, and nothing speaks of a change         exit code 0

A set with a MANIFEST (carepost makes one) is compared with its hashes, byte for byte; others with the checksums of their archive.
A folder without MANIFEST has neither: a byte changed inside an image would not show, and a note says so.

Of a mail without a DICOM.ZIP the DICOM objects that it carries otherwise are judged: DICOM MIME (application/dicom), or
DICOM files attached one by one. They are UNVERIFIABLE at best.

Several FILEs are the fragments of one mail that was divided on its way (message/partial), in any order.`,
		Example: `  carepost dicom check DICOM.ZIP
  carepost dicom check message.eml --json
  carepost dicom check --profile dental /media/cdrom
  carepost open --to B --key K … <in.eml | carepost dicom check -`,
		Args: atLeastOne("one DICOM.ZIP, mail file or folder"),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.profile, "profile", "", "judge by the application profile `NAME` too: gen, gen-sec or dental")
	fl.BoolVar(&f.json, "json", false, "report as JSON on standard output")
	fl.BoolVar(&f.all, "all", false, "list every instance and finding")
	return cmd
}

func (f *dicomCheck) run(cmd *cobra.Command, names []string) error {
	var profile zipmail.Profile
	if f.profile != "" {
		var err error
		if profile, err = zipmail.ParseProfile(f.profile); err != nil {
			return usage(err)
		}
	}
	name := names[0]
	report, err := f.judge(cmd, names)
	if err != nil {
		return err
	}
	if f.profile != "" {
		report.Add(zipmail.CheckProfile(profile, instances(report.Tree))...)
	}
	if f.json {
		err = writeJSON(cmd.OutOrStdout(), struct {
			File string `json:"file"`
			*fileset.Report
		}{name, report})
	} else {
		err = printReport(cmd.OutOrStdout(), report, f.all)
	}
	if err != nil {
		return notNow(err)
	}
	return verdictError(sourceName(name), report.Verdict)
}

func (f *dicomCheck) judge(cmd *cobra.Command, names []string) (*fileset.Report, error) {
	name := names[0]
	if len(names) > 1 || name == "-" {
		return f.judgeFile(cmd, names...)
	}
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, usage(fmt.Errorf("dicom check: there is no %s", name))
	case err != nil:
		return nil, notNow(err)
	case !info.IsDir() && !info.Mode().IsRegular():
		return nil, usage(fmt.Errorf("dicom check: %s is neither a file nor a folder (- reads standard input)", name))
	}
	if !info.IsDir() && strings.EqualFold(filepath.Base(name), fileset.DirectoryName) { // people point at the file they know
		name = filepath.Dir(name)
	} else if !info.IsDir() {
		return f.judgeFile(cmd, name)
	}
	bar := newDicomBar(cmd.ErrOrStderr(), "checking")
	defer bar.stop()
	report, err := fileset.CheckDir(cmd.Context(), name, fileset.CheckOptions{Progress: bar.set})
	if err != nil {
		return nil, notNow(err)
	}
	return report, nil
}

// judgeFile judges an archive or a mail.
func (f *dicomCheck) judgeFile(cmd *cobra.Command, names ...string) (*fileset.Report, error) {
	set, err := openSet(cmd, names...)
	if err != nil {
		return nil, err
	}
	defer set.close()
	report := set.broken
	if report == nil {
		bar := newDicomBar(cmd.ErrOrStderr(), "checking")
		defer bar.stop()
		if report, err = set.check(cmd.Context(), fileset.CheckOptions{Progress: bar.set}); err != nil {
			return nil, notNow(err)
		}
	}
	report.Add(set.findings...)
	return report, nil
}

// verdictError turns a verdict into an exit code.
func verdictError(name string, v fileset.Verdict) error {
	err := fmt.Errorf("%s: %s", name, v)
	switch v {
	case fileset.Complete:
		return nil
	case fileset.Violations:
		return refused(err)
	}
	return incomplete(err)
}
