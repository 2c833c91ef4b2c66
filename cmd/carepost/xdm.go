package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"carepost/dicom/fileset"
	"carepost/message"
	"carepost/xdm"
)

func newXDMCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "xdm",
		Short: "IHE XDM packages: checks and unpacks them",
		Long: `Works on packages of documents with their metadata (IHE XDM), without a server. "carepost send --xdm" makes and sends them.
A package may stand in one ZIP with a DICOM File-set: "carepost dicom" is for the images in it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newXDMCheckCmd(), newXDMUnpackCmd())
	return cmd
}

func newXDMCheckCmd() *cobra.Command {
	var asked bool
	cmd := &cobra.Command{
		Use:   "check FILE|-",
		Short: "Says what a package holds, and whether it is whole and conforms",
		Long: `Judges a package, or the one in a mail; "-" reads standard input. Every document is compared with the size and the hash that the
metadata give. The worst finding gives the verdict:

  DAMAGED     a document is not what was packed, the metadata or the archive
              cannot be read, or could do harm                  exit code 4
  INCOMPLETE  a document that the metadata name is not there    exit code 4
  VIOLATIONS  all is there; a rule of form is broken            exit code 3
  COMPLETE    all is there                                      exit code 0`,
		Example: `  carepost xdm check package.zip
  carepost xdm check message.eml --json`,
		Args: exactlyOne("one package or mail file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := openPackage(cmd, args[0])
			if err != nil {
				return err
			}
			defer s.close()
			r, err := s.judge(cmd.Context(), cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			if asked {
				err = writeJSON(cmd.OutOrStdout(), struct {
					File string `json:"file"`
					*xdm.Report
				}{args[0], r})
			} else {
				err = printPackage(cmd.OutOrStdout(), r)
			}
			if err != nil {
				return notNow(err)
			}
			return verdictError(sourceName(args[0]), r.Verdict)
		},
	}
	cmd.Flags().BoolVar(&asked, "json", false, "report as JSON on standard output")
	return cmd
}

// xdmUnpack holds the flags of `xdm unpack`.
type xdmUnpack struct {
	dir              string
	incomplete, json bool
}

func newXDMUnpackCmd() *cobra.Command {
	var f xdmUnpack
	cmd := &cobra.Command{
		Use:   "unpack FILE|-",
		Short: "Unpacks a package, or the one in a mail, if it is whole",
		Long: `Judges the package as "xdm check" does, and takes out all its files if every document is there and what it is said to be; broken rules
of form are told, and keep nothing back. The folder must not exist or be empty; it appears when everything is in it. A DAMAGED
package is never taken out. "-" reads standard input.

What is written is no longer sealed: protect the folder.

Exit codes: 0 unpacked; 1 the folder could not be written; 2 wrong usage; 4 not whole.`,
		Example: `  carepost xdm unpack package.zip
  carepost xdm unpack -d documents message.eml`,
		Args: exactlyOne("one package or mail file"),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	fl := cmd.Flags()
	fl.StringVarP(&f.dir, "dir", "d", "", "`FOLDER` to make (default: the name of FILE without its extension)")
	fl.BoolVar(&f.incomplete, "allow-incomplete", false, "take out what is there of a package that is not whole")
	fl.BoolVar(&f.json, "json", false, "report as JSON on standard output")
	return cmd
}

func (f *xdmUnpack) run(cmd *cobra.Command, name string) error {
	dir, err := (&dicomUnpack{dir: f.dir}).folder(name)
	if err != nil {
		return usage(errors.New(bare(err)))
	}
	s, err := openPackage(cmd, name)
	if err != nil {
		return err
	}
	defer s.close()
	bar := newDicomBar(cmd.ErrOrStderr(), "checking")
	r, err := xdm.Unpack(cmd.Context(), s.file, s.size, dir, xdm.UnpackOptions{Options: xdm.Options{Progress: bar.set}, AllowIncomplete: f.incomplete})
	bar.stop()
	out := err == nil
	if err != nil && !errors.Is(err, xdm.ErrDamaged) && !errors.Is(err, xdm.ErrIncomplete) {
		return noPackage(err, name)
	}
	switch {
	case f.json:
		err = writeJSON(cmd.OutOrStdout(), struct {
			File   string `json:"file"`
			Folder string `json:"folder,omitempty"`
			*xdm.Report
		}{name, map[bool]string{true: dir}[out], r})
	default:
		if err = printPackage(cmd.OutOrStdout(), r); err != nil {
			break
		}
		say := "nothing was unpacked"
		if out {
			say = "unpacked to " + dir
		} else if r.Verdict == fileset.Incomplete {
			say += " (--allow-incomplete takes out what is there)"
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "\n%s\n", say)
	}
	if err != nil {
		return notNow(err)
	}
	if out && r.Verdict == fileset.Violations || out && f.incomplete {
		return nil
	}
	return verdictError(sourceName(name), r.Verdict)
}

// openPackage opens a package or finds it in a mail.
func openPackage(cmd *cobra.Command, name string) (*setFile, error) {
	if name != "-" {
		if info, err := os.Stat(name); errors.Is(err, os.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
			return nil, usage(fmt.Errorf("xdm: there is no file %q", name))
		}
	}
	s, err := openSource(cmd, name)
	if err != nil {
		return nil, notNow(err)
	}
	found, err := s.findPackage(cmd.Context(), sourceName(name))
	if err != nil || found.file != s.file {
		s.close()
	}
	return found, err
}

// findPackage says what s is: the archive itself, or a mail, from which it takes the archive.
func (s *setFile) findPackage(ctx context.Context, name string) (*setFile, error) {
	var head [2]byte
	switch n, err := s.file.ReadAt(head[:], 0); {
	case err != nil && err != io.EOF:
		return nil, notNow(err)
	case n == 0:
		return nil, incomplete(fmt.Errorf("%s is empty", name))
	case string(head[:]) == "PK":
		return s, nil
	}
	root, err := message.Parse(s.file, s.size, message.Limits{})
	if err != nil || !isMail(root) {
		return nil, incomplete(fmt.Errorf("%s: neither a package nor a mail", name))
	}
	if root.Type.Is("application", "pkcs7-mime") || root.Type.Is("application", "x-pkcs7-mime") {
		return nil, refused(fmt.Errorf("%s is a sealed mail: open it first (carepost open)", name))
	}
	for _, p := range xdm.Candidates(root) {
		got, err := keep(readerUntil{ctx, p.Open(s.file)})
		if got == nil {
			return nil, notNow(err)
		}
		if ok, err := xdm.Contains(got.file, got.size, fileset.Limits{}); err != nil || ok {
			return got, err
		}
		got.close()
	}
	return nil, incomplete(fmt.Errorf("%s: no XDM package in this mail", name))
}

func (s *setFile) judge(ctx context.Context, progress io.Writer) (*xdm.Report, error) {
	bar := newDicomBar(progress, "checking")
	defer bar.stop()
	r, err := xdm.Check(ctx, s.file, s.size, xdm.Options{Progress: bar.set})
	if err != nil {
		return nil, noPackage(err, "the file")
	}
	return r, nil
}

func noPackage(err error, name string) error {
	if errors.Is(err, xdm.ErrNoPackage) {
		return incomplete(fmt.Errorf("%s: a ZIP, and no XDM package", name))
	}
	return notNow(err)
}
