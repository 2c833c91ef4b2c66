package xdm

import (
	"cmp"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"carepost/dicom/fileset"
)

const (
	maxOther    = 1000 // files beside the package that are named
	maxFindings = 1000 // of one rule
)

// Options of Check and Unpack.
type Options struct {
	Limits   fileset.Limits // of the archive
	Progress func(done, total int64)
}

// checker holds what a check knows.
type checker struct {
	ctx      context.Context
	archive  *fileset.Archive
	files    []fileset.ArchiveFile
	byName   map[string]int // upper case
	used     map[int]bool
	sums     map[int]content
	byHash   map[[sha1.Size]byte][]int // nil until it is needed
	times    map[string]int
	report   *Report
	progress func(done, total int64)
	done     int64
	total    int64
}

// content is what reading a file to its end gave.
type content struct {
	sum  [sha1.Size]byte
	size int64
	err  error // the archive is damaged there
}

// Contains says whether an archive claims to be a package: it reads the names alone. An error is one of r.
func Contains(r io.ReaderAt, size int64, lim fileset.Limits) (bool, error) {
	a, err := fileset.OpenArchive(r, size, lim)
	if err != nil {
		return false, fmt.Errorf("xdm: %w", err)
	}
	return slices.ContainsFunc(a.Files(), func(f fileset.ArchiveFile) bool { return claims(f.Name) }) || a.HasFolder(FolderName), nil
}

// claims says that a name is one of a package.
func claims(name string) bool {
	name = strings.ToUpper(name)
	return strings.HasPrefix(name, FolderName+"/") || strings.Contains(name, "/"+FolderName+"/") || path.Base(name) == MetadataName
}

// Check judges a package. ErrNoPackage where the archive claims to be none; other errors are of r or ctx: a bad package is a Report.
func Check(ctx context.Context, r io.ReaderAt, size int64, o Options) (*Report, error) {
	c, err := open(ctx, r, size, o)
	if err != nil {
		return nil, err
	}
	return c.report, nil
}

func open(ctx context.Context, r io.ReaderAt, size int64, o Options) (*checker, error) {
	a, err := fileset.OpenArchive(r, size, o.Limits)
	if err != nil {
		return nil, fmt.Errorf("xdm: %w", err)
	}
	c := &checker{ctx: ctx, archive: a, files: a.Files(), byName: map[string]int{}, used: map[int]bool{}, sums: map[int]content{},
		times: map[string]int{}, report: &Report{}, progress: o.Progress}
	c.report.Findings = a.Findings()
	claimed := a.HasFolder(FolderName)
	for i, f := range c.files {
		c.byName[strings.ToUpper(f.Name)] = i
		claimed = claimed || claims(f.Name)
		if upper := strings.ToUpper(f.Name); strings.HasPrefix(upper, FolderName+"/") {
			c.total += f.Size
		}
	}
	if !claimed && (len(c.files) > 0 || !a.Damaged()) {
		return nil, ErrNoPackage
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("xdm: %w", err)
	}
	return c, nil
}

func (c *checker) check() error {
	metadata, cost := c.metadata(), budget{maxMetadata, maxElements}
	for _, i := range metadata[:min(len(metadata), maxSets)] {
		if err := c.subset(i, &cost); err != nil {
			return err
		}
	}
	switch {
	case len(metadata) == 0 && !c.archive.Damaged():
		c.find(ruleNoMetadata, "", "no %s: nothing says what the documents are", MetadataName)
	case len(metadata) > maxSets:
		c.find(ruleLimit, "", "%d submission sets: the first %d are read", len(metadata), maxSets)
	}
	c.form()
	_, c.report.FileSet = c.byName[fileset.DirectoryName]
	c.others()
	c.report.Verdict = verdict(c.report.Findings)
	slices.SortStableFunc(c.report.Findings, func(a, b fileset.Finding) int { return cmp.Compare(b.Severity, a.Severity) }) // a person reads the first
	return nil
}

// metadata finds the METADATA.XML of each submission set. The Java reference implementation leaves out the slash before it.
func (c *checker) metadata() (out []int) {
	for i, f := range c.files {
		name := strings.ToUpper(f.Name)
		inside := strings.HasPrefix(name, FolderName+"/") || strings.Contains(name, "/"+FolderName+"/")
		if path.Base(name) == MetadataName || inside && strings.HasSuffix(name, MetadataName) {
			out = append(out, i)
		}
	}
	return out
}

// subset reads one METADATA.XML, and the documents it names.
func (c *checker) subset(i int, cost *budget) error {
	f := c.files[i]
	c.used[i] = true
	r := f.Open()
	root, err := parseXML(&patient{c.ctx, r}, cost)
	r.Close()
	switch {
	case c.ctx.Err() != nil:
		return c.ctx.Err()
	case fileset.Broken(err):
		c.find(ruleBroken, f.Name, "%v", err)
		return nil
	case errors.Is(err, errXML), errors.Is(err, errDTD), errors.Is(err, errXMLLimit), errors.Is(err, errXMLSize):
		c.find(ruleMetadata, f.Name, "%v", err)
		return nil
	case err != nil:
		return err
	}
	place := f.Name[:len(f.Name)-len(MetadataName)] // "IHE_XDM/SUBSET01/", or without the slash at its end
	s := c.submission(root, f.Name)
	s.Folder = strings.TrimSuffix(place, "/")
	entries := root.find("ExtrinsicObject")
	switch left := maxDocuments - c.report.Documents; {
	case len(entries) == 0:
		c.find(ruleSet, f.Name, "it names no document")
	case len(entries) > left:
		c.find(ruleLimit, f.Name, "%d documents, where the package may hold no more than %d: the rest is not read", len(entries), maxDocuments)
		entries = entries[:left]
	}
	seen := map[string]bool{s.UniqueID: s.UniqueID != ""}
	s.Documents = make([]Document, 0, len(entries))
	for n, e := range entries {
		d, err := c.document(e, place, n+1)
		if err != nil {
			return err
		}
		if d.UniqueID != "" && seen[d.UniqueID] {
			c.find(ruleTwice, d.File, "document %d has an identifier that another has", n+1)
		}
		seen[d.UniqueID] = true
		s.Documents = append(s.Documents, d)
	}
	c.report.Sets = append(c.report.Sets, s)
	return nil
}

// submission reads the one submission set of a METADATA.XML.
func (c *checker) submission(root *element, where string) SubmissionSet {
	packages := root.find("RegistryPackage")
	outside := map[string]bool{} // objects classified beside themselves
	for _, k := range root.find("Classification") {
		if k.get("classificationNode") == isSet {
			outside[k.get("classifiedObject")] = true
		}
	}
	sets := slices.DeleteFunc(slices.Clone(packages), func(p *element) bool { return !p.node(isSet) && !outside[p.get("id")] })
	if len(sets) == 0 {
		sets = slices.DeleteFunc(packages, func(p *element) bool { return p.node(isFolder) })
	}
	if len(sets) != 1 {
		c.find(ruleSet, where, "%d submission sets rather than one", len(sets))
	}
	if len(sets) == 0 {
		return SubmissionSet{}
	}
	s := set(sets[0])
	for _, x := range []struct{ value, what string }{{s.UniqueID, "identifier"}, {s.Submitted, "time"}, {s.ContentType.Value, "content type"}} {
		if x.value == "" {
			c.find(ruleSetValue, where, "the submission set has no %s", x.what)
		}
	}
	if _, telecom := sets[0].authors(setAuthor); !telecom {
		c.find(ruleAuthor, where, "the submission set has no author with an address")
	}
	return s
}

// document reads an entry and the file it leads to.
func (c *checker) document(e *element, place string, n int) (Document, error) {
	d := entry(e)
	c.report.Documents++
	where := or(d.URI, fmt.Sprintf("document %d", n))
	for _, x := range []struct {
		there bool
		what  string
	}{{d.UniqueID != "", "identifier"}, {d.MIMEType != "", "media type"}, {d.URI != "", "URI"}, {d.Size >= 0, "size"}, {d.Hash != "", "hash"}} {
		if !x.there {
			c.find(ruleValue, where, "no %s", x.what)
		}
	}
	if kind := e.get("objectType"); kind != stableDocument && kind != onDemand {
		c.find(ruleKind, where, "no stable document by its objectType")
	}
	want, err := hash(d.Hash)
	if err != nil && d.Hash != "" {
		c.find(ruleHashForm, where, "%v", err)
	}
	i, err := c.link(d.URI, place, want, where)
	if err != nil {
		return d, err
	}
	if i < 0 {
		c.find(ruleMissing, where, "neither its URI nor its hash leads to a file")
		return d, nil
	}
	return d, c.compare(&d, i, want, where)
}

// compare reads the file of a document and tells how it differs from what is said of it.
func (c *checker) compare(d *Document, i int, want []byte, where string) error {
	got, err := c.sum(i)
	if err != nil {
		return err
	}
	c.used[i] = true
	c.report.Found++
	c.report.Bytes += got.size
	switch {
	case got.err != nil:
		c.find(ruleBroken, c.files[i].Name, "%v", got.err)
	case d.Size >= 0 && d.Size != got.size:
		c.find(ruleSize, where, "%d bytes rather than %d", got.size, d.Size)
	case want != nil && string(want) != string(got.sum[:]):
		c.find(ruleHash, where, "not the document that was packed: its hash differs")
	}
	d.File, d.Size, d.Hash = c.files[i].Name, got.size, hex.EncodeToString(got.sum[:])
	return nil
}

func (c *checker) find(r rule, where, format string, args ...any) {
	if c.times[r.name]++; c.times[r.name] > maxFindings {
		return
	}
	where = clean(where)
	if len(where) > 80 {
		where = strings.ToValidUTF8(where[:80], "") + "…"
	}
	c.report.Findings = append(c.report.Findings, fileset.Finding{Severity: r.severity, Rule: r.name, Source: r.source, Where: where,
		Text: clean(fmt.Sprintf(format, args...))})
}

// clean makes a stranger's text printable.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return '?'
		}
		return r
	}, s)
}

// verdict is that of the worst finding.
func verdict(fs []fileset.Finding) fileset.Verdict {
	worst := fileset.Note
	for _, f := range fs {
		worst = max(worst, f.Severity)
	}
	return map[fileset.Severity]fileset.Verdict{fileset.Note: fileset.Complete, fileset.Violation: fileset.Violations,
		fileset.Missing: fileset.Incomplete, fileset.Damage: fileset.Damaged}[worst]
}
