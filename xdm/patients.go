package xdm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"carepost/dicom/fileset"
)

// Patients are whom the metadata of a package is about, each once, and looks at nothing else: a document is not read. ErrNoPackage where the
// archive claims to be none. Metadata that cannot be read is about nobody. Other errors are of r or ctx.
func Patients(ctx context.Context, r io.ReaderAt, size int64, lim fileset.Limits) ([]Patient, error) {
	a, err := fileset.OpenArchive(r, size, lim)
	if err != nil {
		return nil, fmt.Errorf("xdm: %w", err)
	}
	c := &checker{ctx: ctx, archive: a, files: a.Files(), report: &Report{}}
	if !a.HasFolder(FolderName) && !slices.ContainsFunc(c.files, func(f fileset.ArchiveFile) bool { return claims(f.Name) }) {
		return nil, ErrNoPackage
	}
	metadata, cost := c.metadata(), budget{maxMetadata, maxElements}
	for _, i := range metadata[:min(len(metadata), maxSets)] {
		if err := c.people(c.files[i], &cost); err != nil {
			return nil, fmt.Errorf("xdm: %w", err)
		}
	}
	return c.report.Patients(), nil
}

// people reads one METADATA.XML without the documents it names.
func (c *checker) people(f fileset.ArchiveFile, cost *budget) error {
	r := f.Open()
	defer r.Close()
	root, err := parseXML(&patient{c.ctx, r}, cost)
	switch {
	case c.ctx.Err() != nil:
		return c.ctx.Err()
	case fileset.Broken(err), errors.Is(err, errXML), errors.Is(err, errDTD), errors.Is(err, errXMLLimit), errors.Is(err, errXMLSize):
		return nil
	case err != nil:
		return err
	}
	var s SubmissionSet
	for _, e := range root.find("RegistryPackage") {
		if !e.node(isFolder) {
			s.Documents = append(s.Documents, Document{Patient: set(e).Patient})
		}
	}
	entries := root.find("ExtrinsicObject")
	for _, e := range entries[:min(len(entries), maxDocuments)] {
		s.Documents = append(s.Documents, Document{Patient: entry(e).Patient})
	}
	c.report.Sets = append(c.report.Sets, s)
	return nil
}

// Patients are whom the submission sets and documents of a package are about, each once. The same identifiers are the same patient.
func (r *Report) Patients() (out []Patient) {
	seen := map[string]bool{}
	add := func(p Patient) {
		if reflect.DeepEqual(p, Patient{}) {
			return
		}
		key := p.Name
		if id := p.Identifier(); id != "" {
			key = "\n" + id
		}
		if !seen[key] {
			seen[key] = true
			out = append(out, p)
		}
	}
	for _, s := range r.Sets {
		add(s.Patient)
		for _, d := range s.Documents {
			add(d.Patient)
		}
	}
	return out
}

// Identifier is the one that says who gave it, as CX (ITI TF-3 Table 4.2.3.1.7-2), else the first; "" without one.
func (p Patient) Identifier() string {
	if id := p.cx(); id != "" || len(p.IDs) == 0 {
		return id
	}
	return strings.TrimSpace(p.IDs[0].cx())
}
