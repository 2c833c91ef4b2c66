package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"carepost/dicom/dimse"
	"carepost/dicom/fileset"
)

// dicomStore holds the flags of `dicom store`.
type dicomStore struct {
	dicomLink
	quiet bool
}

func newDicomStoreCmd() *cobra.Command {
	var f dicomStore
	cmd := &cobra.Command{
		Use:   "store HOST[:PORT] PATH…|-",
		Short: "Gives DICOM files to a PACS (C-STORE)",
		Long: `Gives DICOM files, and all DICOM files in the folders named, to a PACS, each as it is: nothing is converted, so a file whose
class or compression the other side does not take is left out and named. What is no DICOM file is left out of folders, and so is
the DICOMDIR. Of a DICOM.ZIP, or a mail with one, all instances are given if "dicom check" finds it COMPLETE, else none; "-" reads
it from standard input. Nothing is sent twice; what failed may be given again, for the other side knows it by its UID.

Exit codes: 0 all is stored; 1 some is not, and may be another time; 2 wrong usage; 3 the other side will not take some; 4 a
file cannot be read, or is no DICOM file, or a DICOM.ZIP is not COMPLETE.`,
		Example: `  carepost dicom store pacs.north.example:11112 study/ --called ARCHIVE
  carepost dicom store pacs.north.example:11112 DICOM.ZIP`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return usage(fmt.Errorf("%s: the other side and files or folders, please", cmd.CommandPath()))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0], args[1:]) },
	}
	f.flags(cmd)
	cmd.Flags().BoolVarP(&f.quiet, "quiet", "q", false, "say nothing unless something is wrong")
	return reports(cmd)
}

// basicDirectory is the class of a DICOMDIR, which is no instance of anything (PS3.4 Annex I).
const basicDirectory = "1.2.840.10008.1.3.10"

// storeFile is what became of one file.
type storeFile struct {
	File     string `json:"file"`
	Class    string `json:"sop_class,omitempty"`
	Instance string `json:"sop_instance,omitempty"`
	Syntax   string `json:"transfer_syntax,omitempty"`
	Stored   bool   `json:"stored"`
	Status   string `json:"status,omitempty"`  // four hexadecimal digits
	Comment  string `json:"comment,omitempty"` // of the other side
	Error    string `json:"error,omitempty"`
	Retry    bool   `json:"retry,omitempty"`

	size   int64
	open   func() (io.ReadCloser, error)
	result dimse.Result
}

func (f *dicomStore) run(cmd *cobra.Command, address string, paths []string) error {
	c, err := f.client(cmd, address)
	if err != nil {
		return err
	}
	given := storeInput{cmd: cmd, quiet: f.quiet || asJSON(cmd)}
	defer given.close()
	for _, p := range paths {
		if err := given.add(p); err != nil {
			return err
		}
	}
	files := given.files
	items := make([]dimse.Item, len(files))
	for i := range files {
		items[i] = dimse.Item{Open: files[i].open, Instance: dimse.Instance{SOPClass: files[i].Class, SOPInstance: files[i].Instance, TransferSyntax: files[i].Syntax}}
	}
	bar := newDicomBar(cmd.ErrOrStderr(), "storing")
	if f.quiet || asJSON(cmd) {
		bar = newDicomBar(io.Discard, "storing")
	}
	var done, total int64
	for _, x := range files {
		total += x.size
	}
	results := c.Store(cmd.Context(), items, func(i int, _ dimse.Result) { done += files[i].size; bar.set(done, total) })
	bar.stop()
	for i, r := range results {
		files[i].say(r)
	}
	if err := nothing(results); err != nil && !asJSON(cmd) {
		return linkError(err)
	}
	if err := f.report(cmd, c, files); err != nil {
		return notNow(err)
	}
	return storeError(c, files)
}

func (x *storeFile) say(r dimse.Result) {
	x.result, x.Stored, x.Comment = r, r.Stored(), r.Comment
	x.Retry = !x.Stored && r.Retry()
	if r.Err != nil {
		x.Error = r.Err.Error()
	} else {
		x.Status = fmt.Sprintf("%04X", uint16(r.Status))
	}
}

func (f *dicomStore) report(cmd *cobra.Command, c *dimse.Client, files []storeFile) error {
	stored := 0
	var odd []storeFile
	for _, x := range files {
		if x.Stored {
			stored++
		}
		if !x.Stored || x.result.Status.Warning() {
			odd = append(odd, x)
		}
	}
	if asJSON(cmd) {
		return writeJSON(cmd.OutOrStdout(), map[string]any{"address": c.Address, "called": c.Called, "calling": c.Calling, "tls": c.TLS != nil,
			"stored": stored, "failed": len(files) - stored, "instances": files})
	}
	p := &dicomPrinter{w: cmd.OutOrStdout(), more: "--json"}
	if !f.quiet || len(odd) > 0 {
		p.line("STORED  %d of %s at %s", stored, count(len(files), "instance"), c.Called)
	}
	if len(odd) > 0 {
		p.list(len(odd), func(i int) string { return odd[i].File + ": " + odd[i].why() })
	}
	return p.err
}

// why says what became of a file, for people.
func (x *storeFile) why() string {
	if x.result.Err != nil {
		if x.Class != "" && errors.Is(x.result.Err, dimse.ErrNotAccepted) {
			return fmt.Sprintf("%v (%s, %s)", x.result.Err, fileset.ClassName(x.Class), x.Syntax)
		}
		return x.result.Err.Error()
	}
	return joinWords(x.result.Status.String(), x.Comment)
}

// nothing is the one error by which nothing at all was stored: that there was no association.
func nothing(results []dimse.Result) error {
	for _, r := range results {
		if r.Err == nil || errors.Is(r.Err, dimse.ErrNotAccepted) || errors.Is(r.Err, dimse.ErrSource) || r.Err.Error() != results[0].Err.Error() {
			return nil
		}
	}
	return results[0].Err
}

// storeError gives the worst that befell a file its exit code.
func storeError(c *dimse.Client, files []storeFile) error {
	failed, code := 0, exitNotNow
	for _, x := range files {
		if x.Stored {
			continue
		}
		failed++
		switch {
		case errors.Is(x.result.Err, dimse.ErrSource):
			code = max(code, exitIncomplete)
		case !x.Retry && code != exitIncomplete:
			code = exitRefused
		}
	}
	if failed == 0 {
		return nil
	}
	return &exitError{code, fmt.Errorf("dicom store: %d of %s not stored at %s", failed, count(len(files), "instance"), c.Called)}
}
