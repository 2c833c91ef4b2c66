package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"carepost/dicom/fileset"
	"carepost/dicom/zipmail"
	"carepost/message"
)

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
