package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"carepost/dicom/fileset"
	"carepost/dicom/zipmail"
	"carepost/message"
)

// setFile is a DICOM.ZIP that can be read: a file, or one that came on standard input or in a mail, kept sealed meanwhile. Or the objects of a
// mail that came by themselves.
type setFile struct {
	file     source
	size     int64
	loose    []fileset.Loose   // in file, which is the mail
	findings []fileset.Finding // of the mail
	broken   *fileset.Report   // the attachment cannot be decoded

	unprotected bool // the mail came neither encrypted nor signed
}

// check judges the set.
func (s *setFile) check(ctx context.Context, o fileset.CheckOptions) (*fileset.Report, error) {
	if s.loose != nil {
		return fileset.CheckLoose(ctx, s.loose, o)
	}
	return fileset.CheckZIP(ctx, s.file, s.size, o)
}

// unpack judges the set and takes it out. Where the mail leaves it open whether that is all that was sent, it is judged alone, unless o allows
// for violations.
func (s *setFile) unpack(ctx context.Context, dir string, o fileset.UnpackOptions) (*fileset.Report, error) {
	if slices.ContainsFunc(s.findings, zipmail.Doubt) && !o.AllowViolations && !o.AllowIncomplete {
		r, err := s.check(ctx, o.CheckOptions)
		if err == nil {
			err = fileset.ErrRefused
		}
		return r, err
	}
	if s.loose != nil {
		return fileset.UnpackLoose(ctx, s.loose, dir, o)
	}
	return fileset.Unpack(ctx, s.file, s.size, dir, o)
}

// source is a file, or a spool.
type source interface {
	io.ReaderAt
	io.Closer
}

func (s *setFile) close() {
	if s.file != nil {
		s.file.Close()
	}
}

// sourceName is what messages call the file that was named.
func sourceName(name string) string {
	if name == "-" {
		return "standard input"
	}
	return name
}

// openSet opens an archive or finds it in a mail; several files are the fragments of one.
func openSet(cmd *cobra.Command, names ...string) (*setFile, error) {
	s, err := openSource(cmd, names...)
	if err != nil {
		return nil, err
	}
	found, err := s.find(cmd, sourceName(names[0]))
	if err != nil || found.file != s.file {
		s.close()
	}
	return found, err
}

// openSource opens a file, or keeps what comes on standard input or in fragments.
func openSource(cmd *cobra.Command, names ...string) (*setFile, error) {
	if len(names) > 1 || names[0] == "-" {
		var files []string
		if len(names) > 1 {
			files = names
		}
		in, done, err := newFileInput(cmd, "reading", files)
		if err != nil {
			return nil, err
		}
		defer done()
		defer in.close()
		s, err := keep(in)
		return s, notNowIf(err)
	}
	f, err := os.Open(names[0])
	if err != nil {
		return nil, notNow(err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, notNow(err)
	}
	return &setFile{file: f, size: info.Size()}, nil
}

// keep copies r to a spool. What came before an error of r is there with it.
func keep(r io.Reader) (*setFile, error) {
	sp, err := newSpool()
	if err != nil {
		return nil, err
	}
	_, failed := io.CopyBuffer(struct{ io.Writer }{sp}, r, make([]byte, spoolBuffer))
	size, err := sp.whole()
	if err == nil && failed != nil && !errors.Is(failed, message.ErrEncoding) {
		err = failed
	}
	if err != nil {
		sp.Close()
		return nil, err
	}
	return &setFile{file: sp, size: size}, failed
}

// find says what s is: the archive itself, or a mail, from which it takes the archive.
func (s *setFile) find(cmd *cobra.Command, name string) (*setFile, error) {
	var head [132]byte
	n, err := s.file.ReadAt(head[:], 0)
	switch {
	case err != nil && err != io.EOF:
		return nil, notNow(err)
	case n == 0:
		return nil, incomplete(fmt.Errorf("%s is empty", name))
	case string(head[:2]) == "PK":
		return s, nil
	case string(head[128:]) == "DICM":
		return nil, incomplete(fmt.Errorf("%s: a DICOM file, not a File-set: `carepost dicom pack` makes one", name))
	}
	root, err := message.Parse(s.file, s.size, message.Limits{})
	if err != nil || !isMail(root) {
		if !s.endsAsZIP() {
			return nil, incomplete(fmt.Errorf("%s: neither a ZIP, a mail nor a folder", name))
		}
		return s, nil // something stands before the archive: it is judged
	}
	if err := loneFragment(root.Header, name, cmd.CommandPath()); err != nil {
		return nil, err
	}
	part, findings, err := s.archive(root)
	if err != nil {
		return nil, notNow(err)
	}
	if part == nil {
		if root.Type.Is("application", "pkcs7-mime") || root.Type.Is("application", "x-pkcs7-mime") {
			return nil, refused(fmt.Errorf("%s is a sealed mail: open it first (carepost open)", name))
		}
		return s.objects(root, name)
	}
	got, err := keep(readerUntil{cmd.Context(), part.Open(s.file)})
	if got == nil {
		return nil, notNow(err)
	}
	got.findings = findings
	if err != nil {
		got.broken = &fileset.Report{}
		got.broken.Findings = []fileset.Finding{{Severity: fileset.Damage, Rule: "mail-encoding", Source: "RFC 2045 6.8",
			Text: "the attachment is not whole base64"}}
	}
	return got, nil
}

// archive finds the archive of a mail: the File-set, else one of images, else the ZIP that there is.
func (s *setFile) archive(root *message.Part) (*message.Part, []fileset.Finding, error) {
	for _, find := range []func(*message.Part, io.ReaderAt) (*message.Part, []fileset.Finding, error){zipmail.FindSet, zipmail.FindObjects} {
		if part, findings, err := find(root, s.file); err != nil || part != nil {
			return part, findings, err
		}
	}
	if parts, _, err := zipmail.Objects(root, s.file); err != nil || len(parts) > 0 {
		return nil, nil, err // papers beside images
	}
	part, findings := zipmail.Find(root)
	return part, findings, nil
}

// objects finds the objects of a mail that has no DICOM.ZIP, or says why it has none.
func (s *setFile) objects(root *message.Part, name string) (*setFile, error) {
	parts, findings, err := zipmail.Objects(root, s.file)
	if err != nil {
		return nil, notNow(err)
	}
	if len(parts) > 0 {
		s.loose, s.findings = zipmail.Loose(parts, s.file), findings
		return s, nil
	}
	why, err := zipmail.Foreign(root, s.file)
	if err != nil {
		return nil, notNow(err)
	}
	if why != "" {
		return nil, incomplete(fmt.Errorf("%s: %s", name, why))
	}
	return nil, incomplete(fmt.Errorf("%s: no DICOM.ZIP in this mail [PS3.11 X.3.2]", name))
}

// endsAsZIP looks for an end of central directory record where one may stand (APPNOTE 4.3.16).
func (s *setFile) endsAsZIP() bool {
	const reach = 22 + 1<<16
	from := max(0, s.size-reach)
	tail := make([]byte, s.size-from)
	n, _ := s.file.ReadAt(tail, from)
	return bytes.Contains(tail[:n], []byte("PK\x05\x06"))
}

// isMail tells a mail from a file that happens to have a colon in its first line.
func isMail(root *message.Part) bool {
	return root.Header.Has("From") || root.Header.Has("MIME-Version") || root.Header.Has("Received")
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
	e := json.NewEncoder(jsonWriter{w}) // texts of others must not reach a terminal as they are
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
