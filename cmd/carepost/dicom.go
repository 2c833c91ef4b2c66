package main

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"carepost/dicom/fileset"
	"carepost/dicom/zipmail"
)

func newDicomCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dicom",
		Short: "DICOM: packs, checks and unpacks DICOM.ZIP, speaks with PACS",
		Long: `Works on DICOM File-sets without a server: packs images into a DICOM.ZIP with its directory, says whether one that arrived
is whole and conforms, and unpacks it. Asks a PACS whether it is there, and gives files to it; shows the studies of devices
that wait, and those that go to archives.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newDicomPackCmd(), newDicomCheckCmd(), newDicomUnpackCmd(), newDicomEchoCmd(), newDicomStoreCmd(), newDicomIntakeCmd(), newDicomStatementCmd(), newDicomOutCmd())
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
	packing
	profile, out, contact string
	quiet, dry, stored    bool
	json, force           bool
	deid                  deidentification
}

func newDicomPackCmd() *cobra.Command {
	var f dicomPack
	cmd := &cobra.Command{
		Use:   "pack PATH…",
		Short: "Packs images and documents into a DICOM.ZIP",
		Long: `Packs DICOM files, and all DICOM files in the folders named, into a DICOM.ZIP: DICOMDIR first, every file byte for byte,
MANIFEST with their hashes last. The same files give the same archive. Nothing is written if a file is no DICOM object, is
cut, contradicts another, or does not fit the profile: each is named with the reason. A contradiction may be allowed, each kind by a
flag of its own; it is named in the report, and in the audit log where the set is sent. A file that is there already is replaced with
--force only.

Other files can travel in the same archive, beside the set: --with puts them into the folder OTHER, --readme makes a text the README.TXT,
--pdi adds the pages that IHE PDI wants. MANIFEST holds their hashes too.

A folder that is a File-set already (with a DICOMDIR) may be given too: it gets a new directory.

With --deidentify names, numbers, dates, UIDs and private elements are taken out or replaced, consistently in the set; pixels
stay as they are: look for names in them. The files named are not changed.

Exit codes: 0 packed; 1 could not be read or written; 2 wrong usage; 3 refused by a rule; 4 a file is cut or damaged.`,
		Example: `  carepost dicom pack study/
  carepost dicom pack --profile dental -o DICOM.ZIP left.dcm right.dcm
  carepost dicom pack /media/cdrom --skip-foreign
  carepost dicom pack --dry-run study/     # what would be packed
  carepost dicom pack --pdi --with letter.pdf study/
  carepost dicom pack --deidentify=shift-dates,retain-device study/`,
		Args: atLeastOne("files or folders to pack"),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.profile, "profile", "gen-sec", "application profile `NAME` that the set must fit: gen, gen-sec or dental")
	fl.StringVarP(&f.out, "output", "o", "DICOM.ZIP", "`FILE` to write; \"-\" writes to standard output")
	fl.BoolVar(&f.force, "force", false, "replace FILE if it is there already")
	f.packing.register(cmd, "pack")
	fl.StringVar(&f.contact, "contact", "", "with --pdi: `TEXT` that says whose images they are and whom to ask")
	fl.BoolVar(&f.stored, "stored", false, "compress nothing: faster, and larger")
	fl.BoolVarP(&f.dry, "dry-run", "n", false, "write nothing; report what would be packed")
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
	if f.contact != "" && !f.pdi {
		return usage(errors.New("dicom pack: --contact goes with --pdi"))
	}
	var target packTarget
	if !f.dry {
		if target, err = f.target(); err != nil {
			return err
		}
	}
	debug.SetGCPercent(200) // what is left of the headers stays, and little else is asked for: half of the rounds, for a tenth more memory
	o := f.options()
	o.Exclude, o.Stored, o.Hold = f.out, f.stored, !f.dry
	plan, err := fileset.Scan(cmd.Context(), o, paths...)
	var bad *fileset.InputError
	if errors.As(err, &bad) {
		err := errors.New(bare(err) + f.advice(bad, "pack"))
		switch {
		case slices.ContainsFunc(bad.Problems, func(p fileset.Problem) bool { return p.Damaged }):
			return incomplete(err)
		case slices.ContainsFunc(bad.Problems, unreadable):
			return notNow(err)
		}
		return refused(err)
	}
	if err != nil {
		return notNow(err)
	}
	defer plan.Close()
	plan, done, err := f.deid.apply(cmd.Context(), plan, o)
	if err != nil {
		return err
	}
	defer done()
	if err := zipmail.Allow(profile, plan.Instances); err != nil {
		return refused(errors.New(bare(err)))
	}
	if err := f.beside(plan, f.contact, f.deid.options != ""); err != nil {
		return err
	}
	if f.dry {
		return f.report(cmd, plan, profile, 0)
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
		return writeJSON(out, map[string]any{"file": f.out, "dry_run": f.dry, "overruled": plan.Overruled, "profile": profile.String(), "size": size, "file_set_uid": plan.UID,
			"patients": plan.Patients, "studies": plan.Studies, "series": plan.Series, "instances": len(plan.Instances),
			"bytes": plan.Bytes, "findings": plan.Findings, "tree": plan.Tree, "apart": plan.Apart()})
	case f.quiet:
		return nil
	case f.out == "-" && !f.dry:
		out = cmd.ErrOrStderr()
	}
	p := &dicomPrinter{w: out, more: "--json"}
	p.line("%s  %s", map[bool]string{true: "DRY RUN", false: "PACKED"}[f.dry], counts(plan.Patients, plan.Studies, plan.Series, len(plan.Instances), plan.Bytes))
	if size > 0 {
		p.line("        %s, %s, %s", f.out, byteCount(size), profile)
	}
	if best := zipmail.Suggest(plan.Instances); best == zipmail.Dental && profile != best {
		p.line("        these images also fit %s (--profile dental)", best)
	}
	if len(plan.Overruled) > 0 {
		p.line("        contradictions were allowed (%s): other programs may object", joined(plan.Overruled))
	}
	p.tree(plan.Tree)
	if apart := plan.Apart(); len(apart) > 0 {
		p.line("\nof no patient")
		p.leaves("", apart)
	}
	p.findings(plan.Findings)
	return p.err
}

// joined lists contradictions.
func joined(cs []fileset.Conflict) string {
	var words []string
	for _, c := range cs {
		words = append(words, string(c))
	}
	return strings.Join(words, ", ")
}
