package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/pflag"

	"carepost/dicom"
	"carepost/dicom/deid"
	"carepost/dicom/fileset"
)

// basicProfile is what --deidentify says without options.
const basicProfile = "basic"

// deidentification is the flags of verbs that may take out of images whose they are.
type deidentification struct {
	options string // "": not asked for
	burned  bool
}

func (f *deidentification) register(fl *pflag.FlagSet) {
	fl.StringVar(&f.options, "deidentify", "", "take out whose the images are (PS3.15 Annex E): basic, or `OPTIONS` that keep or clean something, "+
		"separated by commas: retain-uids, retain-device, retain-institution, retain-patient-characteristics, retain-dates, shift-dates, "+
		"clean-descriptors, clean-structured-content, clean-graphics, retain-safe-private")
	fl.Lookup("deidentify").NoOptDefVal = basicProfile
	fl.BoolVar(&f.burned, "allow-burned-in", false, "with --deidentify: although pixels are said to show names")
}

// act is nil where nothing was asked for.
func (f *deidentification) act() (*deid.Act, error) {
	if f.options == "" {
		if f.burned {
			return nil, usage(errors.New("--allow-burned-in goes with --deidentify"))
		}
		return nil, nil
	}
	var o deid.Option
	if f.options != basicProfile {
		var err error
		if o, err = deid.ParseOptions(f.options); err != nil {
			return nil, usage(fmt.Errorf("--deidentify: %s", bare(err)))
		}
	}
	key := make([]byte, deid.KeySize)
	rand.Read(key) // never fails; forgotten with the act
	return deid.NewAct(o, key, f.burned)
}

// said is what the audit log is told; "" where nothing was asked for.
func (f *deidentification) said() string {
	if f.burned {
		return f.options + ",allow-burned-in"
	}
	return f.options
}

// fits refuses what cannot be de-identified as a whole.
func (f *deidentification) fits(p parcel) error {
	act, err := f.act()
	switch {
	case err != nil || act == nil:
		return err
	case len(p.zipped) > 0:
		return usage(fmt.Errorf("--deidentify: %s holds images, and is packed already: unpack it, and send the files", p.zipped[0]))
	case len(p.dicom) == 0 && p.archive == "":
		return usage(errors.New("--deidentify is for DICOM files, and there are none"))
	case p.archive != "":
		return usage(fmt.Errorf("--deidentify: %s is packed already: unpack it, and send the files", p.archive))
	}
	return nil
}

// tell says on stderr what a person should look at before others do.
func (f *deidentification) tell(w io.Writer, p parcel) {
	if f.options == "" {
		return
	}
	for _, n := range p.plan.Findings {
		if n.Rule == deid.WarnBurnedIn || n.Rule == deid.WarnSignature || n.Rule == deid.WarnRecognised {
			fmt.Fprintln(w, n)
		}
	}
	for _, a := range p.files {
		fmt.Fprintf(w, "note: %s: goes as it is: only DICOM files are de-identified\n", a.path)
	}
}

// apply gives the set of plan without what says whose it is. What is written meanwhile is sealed by a key in memory, and goes with close.
func (f *deidentification) apply(ctx context.Context, plan *fileset.Plan, o fileset.ScanOptions) (_ *fileset.Plan, done func() error, err error) {
	act, err := f.act()
	if act == nil {
		return plan, func() error { return nil }, err
	}
	s, err := newSpool()
	if err != nil {
		return nil, nil, notNow(err)
	}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	inputs, notes, err := rewritten(ctx, act, plan, s)
	if err != nil {
		return nil, nil, err
	}
	out, err := fileset.ScanInputs(ctx, o, inputs...)
	if err != nil {
		return nil, nil, notNow(err)
	}
	out.Findings = append(notes, out.Findings...)
	out.Overruled = plan.Overruled // what was seen of the files as they were
	return out, s.Close, nil
}

// rewritten writes the instances of plan into s, one after the other.
func rewritten(ctx context.Context, act *deid.Act, plan *fileset.Plan, s *spool) (inputs []fileset.Input, notes []fileset.Finding, err error) {
	w := &counted{w: s}
	for _, x := range plan.Instances {
		if ctx.Err() != nil {
			return nil, nil, notNow(ctx.Err())
		}
		from := w.n
		report, err := rewriteFile(act, w, x.Source)
		switch {
		case errors.Is(err, deid.ErrRefused):
			return nil, nil, refused(fmt.Errorf("%s: %s", x.Source, bare(err)))
		case errors.Is(err, dicom.ErrCut), errors.Is(err, dicom.ErrSyntax), errors.Is(err, dicom.ErrNotDICOM), errors.Is(err, dicom.ErrLimit):
			return nil, nil, incomplete(fmt.Errorf("%s: %s", x.Source, bare(err)))
		case err != nil:
			return nil, nil, notNow(err)
		}
		size := w.n - from
		inputs = append(inputs, fileset.Input{Name: x.Source, Size: size, Open: func() (fileset.File, error) {
			return section{io.NewSectionReader(s, from, size)}, nil
		}})
		for _, n := range report.Warnings {
			notes = append(notes, fileset.Finding{Severity: fileset.Note, Rule: n.Rule, Source: n.Source, Where: x.Source, Text: n.Text})
		}
	}
	_, err = s.whole()
	if err != nil {
		return nil, nil, notNow(err)
	}
	return inputs, notes, nil
}

func rewriteFile(act *deid.Act, w io.Writer, path string) (*deid.Report, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return act.Rewrite(w, f, info.Size())
}

// counted counts what is written.
type counted struct {
	w io.Writer
	n int64
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// section is a piece of something that others close.
type section struct{ *io.SectionReader }

func (section) Close() error { return nil }
