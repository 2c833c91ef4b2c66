package main

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"carepost/dicom/fileset"
	"carepost/dicom/zipmail"
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
	cmd.AddCommand(newDicomPackCmd(), newDicomCheckCmd(), newDicomUnpackCmd(), newDicomStatementCmd())
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
	json, force        bool
	deid               deidentification
}

func newDicomPackCmd() *cobra.Command {
	var f dicomPack
	cmd := &cobra.Command{
		Use:   "pack PATH…",
		Short: "Packs images and documents into a DICOM.ZIP",
		Long: `Packs DICOM files, and all DICOM files in the folders named, into a DICOM.ZIP: DICOMDIR first, every file byte for byte,
MANIFEST with their hashes last. The same files give the same archive. Nothing is written if a file is no DICOM object, is
cut, contradicts another, or does not fit the profile: each is named with the reason. A file that is there already is
replaced with --force only.

A folder that is a File-set already (with a DICOMDIR) may be given too: it gets a new directory.

With --deidentify names, numbers, dates, UIDs and private elements are taken out or replaced, consistently in the set; pixels
stay as they are: look for names in them. The files named are not changed.

Exit codes: 0 packed; 1 could not be read or written; 2 wrong usage; 3 refused by a rule; 4 a file is cut or damaged.`,
		Example: `  carepost dicom pack study/
  carepost dicom pack --profile dental -o DICOM.ZIP left.dcm right.dcm
  carepost dicom pack /media/cdrom --skip-foreign
  carepost dicom pack --deidentify=shift-dates,retain-device study/`,
		Args: atLeastOne("files or folders to pack"),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.profile, "profile", "gen-sec", "application profile `NAME` that the set must fit: gen, gen-sec or dental")
	fl.StringVarP(&f.out, "output", "o", "DICOM.ZIP", "`FILE` to write; \"-\" writes to standard output")
	fl.BoolVar(&f.force, "force", false, "replace FILE if it is there already")
	fl.BoolVar(&f.names, "allow-names", false, "pack although one Patient ID has different patient names")
	fl.BoolVar(&f.skip, "skip-foreign", false, "leave out files in folders that are no DICOM objects (viewers, readme files)")
	fl.BoolVarP(&f.quiet, "quiet", "q", false, "say nothing unless something is wrong")
	fl.BoolVar(&f.json, "json", false, "report as JSON on standard output")
	f.deid.register(fl)
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
	if _, err := f.deid.act(); err != nil {
		return err
	}
	target, err := f.target()
	if err != nil {
		return err
	}
	plan, err := fileset.Scan(cmd.Context(), fileset.ScanOptions{AllowNames: f.names, SkipForeign: f.skip, Exclude: f.out}, paths...)
	var bad *fileset.InputError
	if errors.As(err, &bad) {
		for _, p := range bad.Problems {
			if p.Damaged {
				return incomplete(err)
			}
		}
		if slices.ContainsFunc(bad.Problems, unreadable) {
			return notNow(err)
		}
		return refused(err)
	}
	if err != nil {
		return notNow(err)
	}
	plan, done, err := f.deid.apply(cmd.Context(), plan, fileset.ScanOptions{})
	if err != nil {
		return err
	}
	defer done()
	if err := zipmail.Allow(profile, plan.Instances); err != nil {
		return refused(err)
	}
	bar := newDicomBar(cmd.ErrOrStderr(), "packing")
	size, err := f.write(cmd.Context(), cmd.OutOrStdout(), target, plan, bar.set)
	bar.stop()
	if errors.Is(err, fileset.ErrChanged) {
		return incomplete(err)
	}
	if err != nil {
		return notNow(err)
	}
	return f.report(cmd, plan, profile, size)
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
