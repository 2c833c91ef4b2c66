package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"carepost/dicom/fileset"
)

// packing holds the flags that `dicom pack` and `send` share: how a File-set is made.
type packing struct {
	names, parents, versions, skip bool
	with                           []string
	readme                         string
	pdi                            bool
}

// register adds the flags; verb is what is done with the set.
func (p *packing) register(cmd *cobra.Command, verb string) {
	fl := cmd.Flags()
	fl.BoolVar(&p.names, "allow-names", false, verb+" although one Patient ID has different patient names")
	fl.BoolVar(&p.parents, "allow-parents", false, verb+" although one study stands under two patients, or one series under two studies")
	fl.BoolVar(&p.versions, "allow-versions", false, verb+" although one instance has different bytes: those of the file named first")
	fl.BoolVar(&p.skip, "skip-foreign", false, "leave out files in folders that are no DICOM objects (viewers, readme files)")
	fl.StringArrayVar(&p.with, "with", nil, "put `FILE` into the DICOM.ZIP as well, beside the File-set; may be repeated")
	fl.StringVar(&p.readme, "readme", "", "put a text `FILE` into the DICOM.ZIP, as README.TXT")
	fl.BoolVar(&p.pdi, "pdi", false, "put the pages of IHE PDI into the DICOM.ZIP: README.TXT and INDEX.HTM")
}

// options are those of a scan.
func (p *packing) options() fileset.ScanOptions {
	return fileset.ScanOptions{AllowNames: p.names, AllowParents: p.parents, AllowVersions: p.versions, SkipForeign: p.skip}
}

// allows says whether a contradiction was allowed.
func (p *packing) allows(c fileset.Conflict) bool {
	switch c {
	case fileset.Names:
		return p.names
	case fileset.Parents:
		return p.parents
	case fileset.Versions:
		return p.versions
	}
	return false
}

// adds says that something is to go beside the set.
func (p *packing) adds() bool { return len(p.with) > 0 || p.readme != "" || p.pdi }

// mostReadme is how long README.TXT may be, in bytes.
const mostReadme = 1 << 20

// beside puts what was asked for beside a set. contact is whom a reader may ask; changed says that the images are not as they were.
func (p *packing) beside(plan *fileset.Plan, contact string, changed bool) error {
	for _, path := range p.with {
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, os.ErrNotExist):
			return usage(fmt.Errorf("--with: there is no %q", path))
		case err != nil:
			return notNow(err)
		case !info.Mode().IsRegular():
			return usage(fmt.Errorf("--with: %s is no file", path))
		}
		x := fileset.Extra{Name: freeName(plan, path), Size: info.Size(), Source: path, Open: func() (io.ReadCloser, error) { return os.Open(path) }}
		if err := plan.AddExtras(x); err != nil {
			return usage(fmt.Errorf("--with %s: %s", path, bare(err)))
		}
	}
	text, err := p.readText()
	if err != nil {
		return err
	}
	switch {
	case p.pdi:
		err = plan.AddPDI(fileset.PDI{Contact: contact, Readme: text, Changed: changed})
	case text != nil:
		err = plan.AddExtras(fileset.Extra{Name: fileset.ReadmeName, Size: int64(len(text)), Source: p.readme,
			Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(string(text))), nil }})
	}
	if err != nil {
		return usage(errors.New(bare(err)))
	}
	return nil
}

// freeName gives a file a name that none beside the set has yet.
func freeName(plan *fileset.Plan, path string) string {
	base := filepath.Base(path)
	for n := 1; ; n++ {
		name := fileset.ExtraName("OTHER", base)
		if !slices.ContainsFunc(plan.Extras(), func(x fileset.Extra) bool { return x.Name == name }) {
			return name
		}
		base = fmt.Sprintf("%d-%s", n+1, filepath.Base(path))
	}
}

// readText reads --readme; nil without.
func (p *packing) readText() ([]byte, error) {
	if p.readme == "" {
		return nil, nil
	}
	f, err := os.Open(p.readme)
	if errors.Is(err, os.ErrNotExist) {
		return nil, usage(fmt.Errorf("--readme: there is no %q", p.readme))
	}
	if err != nil {
		return nil, notNow(err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, mostReadme+1))
	switch {
	case err != nil:
		return nil, notNow(err)
	case len(b) > mostReadme || !utf8.Valid(b) || strings.ContainsRune(string(b), 0):
		return nil, usage(fmt.Errorf("--readme: %s is no text in UTF-8 of up to %s; --with takes any file", p.readme, byteCount(mostReadme)))
	}
	return append([]byte{}, b...), nil
}

// advice names the flags that would help; verb is what is done then.
func (p *packing) advice(bad *fileset.InputError, verb string) string {
	var flags []string
	for _, c := range fileset.Conflicts() {
		if slices.ContainsFunc(bad.Problems, func(x fileset.Problem) bool { return x.Conflict == c }) {
			flags = append(flags, "--allow-"+string(c))
		}
	}
	var says string
	if len(flags) > 0 {
		says = fmt.Sprintf("\nto %s all the same, if you are sure whose images they are: %s", verb, strings.Join(flags, " "))
	}
	if !p.skip && slices.ContainsFunc(bad.Problems, func(x fileset.Problem) bool { return x.Foreign }) {
		says += "\n--skip-foreign leaves such files out"
		if verb == "send" {
			says += "; one that is named itself is attached as it is"
		}
	}
	return says
}
