package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"carepost/dicom/fileset"
	"carepost/dicom/zipmail"
	"carepost/message"
)

func newDicomCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dicom",
		Short: "DICOM File-sets: packs, checks and unpacks DICOM.ZIP",
		Long: `Works on DICOM File-sets without a server: packs images into a DICOM.ZIP with its directory, says whether one that arrived
is whole and conforms, and unpacks it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newDicomPackCmd(), newDicomCheckCmd(), newDicomUnpackCmd())
	return cmd
}

// atLeastOne makes a missing argument wrong usage.
func atLeastOne(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usage(fmt.Errorf("%s: %s, please", cmd.CommandPath(), what))
		}
		return nil
	}
}

// exactlyOne wants one argument.
func exactlyOne(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usage(fmt.Errorf("%s: %s, please", cmd.CommandPath(), what))
		}
		return nil
	}
}

// dicomPack holds the flags of `dicom pack`.
type dicomPack struct {
	profile, out       string
	names, skip, quiet bool
	json               bool
}

func newDicomPackCmd() *cobra.Command {
	var f dicomPack
	cmd := &cobra.Command{
		Use:   "pack PATH…",
		Short: "Packs images and documents into a DICOM.ZIP",
		Long: `Packs DICOM files, and all DICOM files in the folders named, into a DICOM.ZIP: DICOMDIR first, every file byte for byte,
MANIFEST with their hashes last. The same files give the same archive. Nothing is written if a file is no DICOM object, is
cut, contradicts another, or does not fit the profile: each is named with the reason.

A folder that is a File-set already (with a DICOMDIR) may be given too: it gets a new directory.

Exit codes: 0 packed; 1 could not be written; 2 wrong usage; 3 refused by a rule; 4 a file is cut or damaged.`,
		Example: `  carepost dicom pack study/
  carepost dicom pack --profile dental -o DICOM.ZIP left.dcm right.dcm
  carepost dicom pack /media/cdrom --skip-foreign`,
		Args: atLeastOne("files or folders to pack"),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.profile, "profile", "gen-sec", "application profile the set must fit: gen, gen-sec or dental")
	fl.StringVarP(&f.out, "output", "o", "DICOM.ZIP", `file to write; "-" writes to standard output`)
	fl.BoolVar(&f.names, "allow-names", false, "pack although one Patient ID has different patient names")
	fl.BoolVar(&f.skip, "skip-foreign", false, "leave out files in folders that are no DICOM objects (viewers, readme files)")
	fl.BoolVarP(&f.quiet, "quiet", "q", false, "say nothing unless something is wrong")
	fl.BoolVar(&f.json, "json", false, "report as JSON on standard output")
	return cmd
}

func (f *dicomPack) run(cmd *cobra.Command, paths []string) error {
	profile, err := zipmail.ParseProfile(f.profile)
	if err != nil {
		return usage(err)
	}
	if f.json && f.out == "-" {
		return usage(errors.New("dicom pack: --json and -o - both want standard output"))
	}
	for _, p := range paths {
		if _, err := os.Stat(p); errors.Is(err, os.ErrNotExist) {
			return usage(fmt.Errorf("dicom pack: there is no %s", p))
		}
	}
	plan, err := fileset.Scan(cmd.Context(), fileset.ScanOptions{AllowNames: f.names, SkipForeign: f.skip, Exclude: f.out}, paths...)
	var bad *fileset.InputError
	if errors.As(err, &bad) {
		for _, p := range bad.Problems {
			if p.Damaged {
				return incomplete(err)
			}
		}
		return refused(err)
	}
	if err != nil {
		return notNow(err)
	}
	if err := zipmail.Allow(profile, plan.Instances); err != nil {
		return refused(err)
	}
	size, err := f.write(cmd, plan)
	if errors.Is(err, fileset.ErrChanged) {
		return incomplete(err)
	}
	if err != nil {
		return notNow(err)
	}
	return f.report(cmd, plan, profile, size)
}

// write makes the archive under another name and renames it, so that no half archive stands under the name asked for.
func (f *dicomPack) write(cmd *cobra.Command, plan *fileset.Plan) (int64, error) {
	bar := newDicomBar(cmd.ErrOrStderr(), "packing")
	defer bar.stop()
	if f.out == "-" {
		w := bufio.NewWriterSize(cmd.OutOrStdout(), 256<<10)
		if err := plan.WriteZIP(cmd.Context(), w, bar.set); err != nil {
			return 0, err
		}
		return 0, w.Flush()
	}
	tmp, err := os.CreateTemp(filepath.Dir(f.out), "."+filepath.Base(f.out)+".partial-")
	if err != nil {
		return 0, err
	}
	defer os.Remove(tmp.Name())
	w := bufio.NewWriterSize(tmp, 256<<10)
	err = plan.WriteZIP(cmd.Context(), w, bar.set)
	if err == nil {
		err = w.Flush()
	}
	info, statErr := tmp.Stat()
	if err := errors.Join(err, statErr, tmp.Close()); err != nil {
		return 0, err
	}
	return info.Size(), os.Rename(tmp.Name(), f.out)
}

func (f *dicomPack) report(cmd *cobra.Command, plan *fileset.Plan, profile zipmail.Profile, size int64) error {
	out := cmd.OutOrStdout()
	switch {
	case f.json:
		return writeJSON(out, map[string]any{"file": f.out, "profile": profile.String(), "size": size, "file_set_uid": plan.UID,
			"patients": plan.Patients, "studies": plan.Studies, "series": plan.Series, "instances": len(plan.Instances),
			"bytes": plan.Bytes, "findings": plan.Findings, "tree": plan.Tree})
	case f.quiet:
		return nil
	case f.out == "-":
		out = cmd.ErrOrStderr()
	}
	p := &dicomPrinter{w: out}
	p.line("PACKED  %s", counts(plan.Patients, plan.Studies, plan.Series, len(plan.Instances), plan.Bytes))
	if size > 0 {
		p.line("        %s, %s, %s", f.out, byteCount(size), profile)
	}
	if best := zipmail.Suggest(plan.Instances); best == zipmail.Dental && profile != best {
		p.line("        these images also fit %s (--profile dental)", best)
	}
	p.tree(plan.Tree)
	p.findings(plan.Findings)
	return p.err
}

// dicomCheck holds the flags of `dicom check`.
type dicomCheck struct {
	profile   string
	json, all bool
}

func newDicomCheckCmd() *cobra.Command {
	var f dicomCheck
	cmd := &cobra.Command{
		Use:   "check FILE|FOLDER",
		Short: "Says whether a File-set is complete and conforms",
		Long: `Judges a DICOM.ZIP, a mail that carries one, or a folder with a DICOMDIR. The worst finding gives the verdict:

  DAMAGED     something is not what was packed, or cannot be read    exit code 4
  INCOMPLETE  something the DICOMDIR names is not there              exit code 4
  VIOLATIONS  all is there; a rule of the standard is broken         exit code 3
  COMPLETE    all is there, unchanged                                exit code 0`,
		Example: `  carepost dicom check DICOM.ZIP
  carepost dicom check message.eml --json
  carepost dicom check --profile dental /media/cdrom`,
		Args: exactlyOne("one DICOM.ZIP, mail file or folder"),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.profile, "profile", "", "judge by an application profile too: gen, gen-sec or dental")
	fl.BoolVar(&f.json, "json", false, "report as JSON on standard output")
	fl.BoolVar(&f.all, "all", false, "list every instance and finding")
	return cmd
}

func (f *dicomCheck) run(cmd *cobra.Command, name string) error {
	var profile zipmail.Profile
	if f.profile != "" {
		var err error
		if profile, err = zipmail.ParseProfile(f.profile); err != nil {
			return usage(err)
		}
	}
	report, err := f.judge(cmd, name)
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
	return verdictError(name, report.Verdict)
}

func (f *dicomCheck) judge(cmd *cobra.Command, name string) (*fileset.Report, error) {
	info, err := os.Stat(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, usage(fmt.Errorf("dicom check: there is no %s", name))
	}
	if err != nil {
		return nil, notNow(err)
	}
	bar := newDicomBar(cmd.ErrOrStderr(), "checking")
	defer bar.stop()
	o := fileset.CheckOptions{Progress: bar.set}
	if info.IsDir() {
		report, err := fileset.CheckDir(cmd.Context(), name, o)
		if err != nil {
			return nil, notNow(err)
		}
		return report, nil
	}
	set, err := openSet(cmd.Context(), name)
	if err != nil {
		return nil, err
	}
	defer set.close()
	report := set.broken
	if report == nil {
		if report, err = fileset.CheckZIP(cmd.Context(), set.file, set.size, o); err != nil {
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

// dicomUnpack holds the flags of `dicom unpack`.
type dicomUnpack struct {
	dir                    string
	violations, incomplete bool
	json, all              bool
}

func newDicomUnpackCmd() *cobra.Command {
	var f dicomUnpack
	cmd := &cobra.Command{
		Use:   "unpack FILE",
		Short: "Unpacks a DICOM.ZIP, or the one in a mail, if it may be trusted to be whole",
		Long: `Judges the File-set as "dicom check" does, and takes it out if it is COMPLETE: byte for byte, DICOMDIR as it was. The folder
must not exist or be empty; it appears when everything is in it. A DAMAGED set is never taken out.

Exit codes: those of "dicom check"; 1 when the folder could not be written.`,
		Example: `  carepost dicom unpack DICOM.ZIP
  carepost dicom unpack -d study message.eml
  carepost dicom unpack --allow-incomplete DICOM.ZIP`,
		Args: exactlyOne("one DICOM.ZIP or mail file"),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	fl := cmd.Flags()
	fl.StringVarP(&f.dir, "dir", "d", "", "folder to make (default: the name of FILE without its extension)")
	fl.BoolVar(&f.violations, "allow-violations", false, "take out a set that breaks rules but is whole")
	fl.BoolVar(&f.incomplete, "allow-incomplete", false, "take out what is there of a set that is not whole")
	fl.BoolVar(&f.json, "json", false, "report as JSON on standard output")
	fl.BoolVar(&f.all, "all", false, "list every instance and finding")
	return cmd
}

func (f *dicomUnpack) run(cmd *cobra.Command, name string) error {
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return usage(fmt.Errorf("dicom unpack: there is no %s", name))
	case err != nil:
		return notNow(err)
	case info.IsDir():
		return usage(fmt.Errorf("dicom unpack: %s is a folder already", name))
	}
	dir := f.dir
	if dir == "" {
		if dir = strings.TrimSuffix(name, filepath.Ext(name)); dir == name {
			dir += ".files"
		}
	}
	set, err := openSet(cmd.Context(), name)
	if err != nil {
		return err
	}
	defer set.close()
	report, out := set.broken, false
	if report == nil {
		bar := newDicomBar(cmd.ErrOrStderr(), "checking")
		report, err = fileset.Unpack(cmd.Context(), set.file, set.size, dir, fileset.UnpackOptions{
			CheckOptions: fileset.CheckOptions{Progress: bar.set}, AllowViolations: f.violations, AllowIncomplete: f.incomplete})
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
	return verdictError(name, report.Verdict)
}

// remedy says which flag would take a set out after all.
func (f *dicomUnpack) remedy(v fileset.Verdict) string {
	switch v {
	case fileset.Violations:
		return " (--allow-violations takes it out all the same)"
	case fileset.Incomplete:
		return " (--allow-incomplete takes out what is there)"
	}
	return ""
}

// setFile is a DICOM.ZIP that can be read: a file, or the attachment of a mail copied to one that nobody else sees.
type setFile struct {
	file     *os.File
	size     int64
	findings []fileset.Finding // of the mail
	broken   *fileset.Report   // the attachment cannot be decoded
}

func (s *setFile) close() { s.file.Close() }

// openSet opens an archive or finds it in a mail.
func openSet(ctx context.Context, name string) (*setFile, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, notNow(err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, notNow(err)
	}
	s := &setFile{file: f, size: info.Size()}
	var magic [2]byte
	if _, err := f.ReadAt(magic[:], 0); err == nil && string(magic[:]) == "PK" {
		return s, nil
	}
	root, err := message.Parse(f, info.Size(), message.Limits{})
	if err != nil || !isMail(root) {
		return s, nil // whatever it is: it is judged as an archive
	}
	part, findings := zipmail.Find(root)
	if part == nil {
		f.Close()
		if root.Type.Is("application", "pkcs7-mime") || root.Type.Is("application", "x-pkcs7-mime") {
			return nil, refused(fmt.Errorf("%s is a sealed mail: open it first (carepost open)", name))
		}
		return nil, incomplete(fmt.Errorf("%s: no DICOM.ZIP in this mail [PS3.11 X.3.2]", name))
	}
	defer f.Close()
	return s, s.detach(ctx, part, f, findings)
}

// isMail tells a mail from a file that happens to have a colon in its first line.
func isMail(root *message.Part) bool {
	return root.Header.Has("From") || root.Header.Has("MIME-Version") || root.Header.Has("Received")
}

// detach copies the attachment to a file without a name.
func (s *setFile) detach(ctx context.Context, part *message.Part, mail io.ReaderAt, findings []fileset.Finding) error {
	tmp, err := os.CreateTemp("", "carepost-")
	if err != nil {
		return notNow(err)
	}
	if err := os.Remove(tmp.Name()); err != nil {
		tmp.Close()
		return notNow(err)
	}
	s.file, s.findings = tmp, findings
	s.size, err = io.Copy(tmp, part.Open(mail))
	switch {
	case errors.Is(err, message.ErrEncoding):
		s.broken = &fileset.Report{}
		s.broken.Findings = []fileset.Finding{{Severity: fileset.Damage, Rule: "mail-encoding", Source: "RFC 2045 6.8",
			Text: "the attachment is not whole base64"}}
	case err != nil:
		tmp.Close()
		return notNow(err)
	}
	return ctx.Err()
}

// instances gathers the instances of a tree.
func instances(tree []fileset.Patient) []fileset.Instance {
	var xs []fileset.Instance
	for _, p := range tree {
		for _, st := range p.Studies {
			for _, se := range st.Series {
				xs = append(xs, se.Instances...)
			}
		}
	}
	return xs
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
