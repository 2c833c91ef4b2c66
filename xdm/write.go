package xdm

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"carepost/dicom/fileset"
)

const (
	maxWritten = 1000    // documents of one package: more would be over the limits of a reader such as ours
	maxValue   = 4 << 10 // octets of one value that we write
)

// Input is a document to be sent. Only Open and MIMEType are needed.
type Input struct {
	Title    string
	MIMEType string    // without parameters
	Created  time.Time // of the document, not of the mail
	Language string    // RFC 5646
	Class    Code
	Type     Code
	Format   Code // empty: that the media type says enough

	References []string // Study Instance UIDs that it is about
	Open       func() (io.ReadCloser, error)
}

func (d *Input) created() string {
	if d.Created.IsZero() {
		return ""
	}
	return stamp(d.Created)
}

// planned is a document that was read once.
type planned struct {
	Input
	object   string // in the metadata
	file     string // in the archive
	uniqueID string
	size     int64
	crc      uint32
	sha1     [sha1.Size]byte
	sha256   [sha256.Size]byte
}

// Plan is a package that can be written.
type Plan struct {
	Bytes int64 // of the documents

	letter             Letter
	docs               []planned
	uniqueID, sourceID string
	xml, index, readme []byte
}

// Prepare reads every document once, for its size and hash, and plans the package. Errors are of the documents, of ctx, or say which value
// cannot be written.
func Prepare(ctx context.Context, l Letter) (*Plan, error) {
	if len(l.Documents) == 0 || len(l.Documents) > maxWritten {
		return nil, fmt.Errorf("xdm: %d documents: 1 to %d", len(l.Documents), maxWritten)
	}
	p := &Plan{letter: l}
	for i, in := range l.Documents {
		d := planned{Input: in, object: fmt.Sprintf("Document%04d", i+1)}
		d.file = path.Join(FolderName, SubsetName, fmt.Sprintf("DOC%04d.%s", i+1, extension(in.MIMEType)))
		d.Format = cmp.Or(d.Format, plainFormat)
		if err := d.read(ctx); err != nil {
			return nil, fmt.Errorf("xdm: document %d: %w", i+1, err)
		}
		p.Bytes += d.size
		p.docs = append(p.docs, d)
	}
	if err := p.valid(); err != nil {
		return nil, fmt.Errorf("xdm: %w", err)
	}
	p.identify()
	p.xml, p.index, p.readme = p.metadata(), p.page(), p.note()
	if len(p.xml) > maxMetadata || bytes.Count(p.xml, []byte("<"))-bytes.Count(p.xml, []byte("</")) > maxElements {
		return nil, errors.New("xdm: the metadata of so many documents are longer than readers take: send them in several packages")
	}
	return p, nil
}

// read reads a document for what the metadata say of it.
func (d *planned) read(ctx context.Context) error {
	f, err := d.Open()
	if err != nil {
		return err
	}
	defer f.Close()
	s1, s256, crc := sha1.New(), sha256.New(), crc32.NewIEEE() // SHA-1 is what ITI TF-3 4.2.3.2.10 has: it protects nothing, the mail's signature does
	d.size, err = io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(s1, s256, crc)}, &patient{ctx, f}, make([]byte, 256<<10))
	if err != nil {
		return err
	}
	d.crc = crc.Sum32()
	s1.Sum(d.sha1[:0])
	s256.Sum(d.sha256[:0])
	return nil
}

// patient ends reading when ctx does.
type patient struct {
	ctx context.Context
	r   io.Reader
}

func (p *patient) Read(b []byte) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, err
	}
	return p.r.Read(b)
}

// valid refuses values that would not say in the metadata what they say to the sender.
func (p *Plan) valid() error {
	check := func(what, v, forbidden string) error {
		if len(v) > maxValue || !utf8.ValidString(v) || strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7F }) {
			return fmt.Errorf("%s: not one line of text", what)
		}
		if strings.ContainsAny(v, forbidden) {
			return fmt.Errorf("%s: may not contain any of %s", what, forbidden)
		}
		return nil
	}
	l := &p.letter
	errs := []error{check("title", l.Title, ""), check("patient name", l.Patient.Name, "|~&"), check("birth date", l.Patient.Birth, "^|~&"),
		check("sex", l.Patient.Sex, "^|~&"), check("patient address", l.Patient.Address, "|~&")}
	for _, id := range l.Patient.IDs {
		errs = append(errs, check("patient identifier", id.Value, "^|~&"))
		if id.Value == "" || id.Authority != "" && !validOID(id.Authority) {
			errs = append(errs, errors.New("patient identifier: not an OID and a value"))
		}
	}
	for _, d := range l.Documents {
		errs = append(errs, check("title of a document", d.Title, ""), check("media type", d.MIMEType, " ;"), check("language", d.Language, "^"))
		for _, c := range []Code{d.Class, d.Type, d.Format} {
			errs = append(errs, check("code", c.Value, "^"), check("coding scheme", c.Scheme, "^"), check("name of a code", c.Display, "^"))
		}
		for _, uid := range d.References {
			errs = append(errs, check("reference", uid, "^"))
		}
		if !strings.Contains(d.MIMEType, "/") {
			errs = append(errs, errors.New("media type: not such as application/pdf"))
		}
	}
	return cmp.Or(errs...)
}

// extension gives the ending of a file name of ISO 9660 level 1 for a media type.
func extension(media string) string {
	known := map[string]string{
		"application/pdf": "PDF", "text/plain": "TXT", "text/xml": "XML", "application/xml": "XML", "text/html": "HTM", "text/csv": "CSV",
		"application/json": "JSN", "application/fhir+json": "JSN", "application/fhir+xml": "XML", "image/jpeg": "JPG", "image/png": "PNG", "image/gif": "GIF",
		"image/tiff": "TIF", "application/rtf": "RTF", "text/rtf": "RTF", "application/dicom": "DCM", "video/mp4": "MP4",
		"application/zip": "ZIP", "application/hl7-v3+xml": "XML", "application/hl7-v2": "HL7", "application/msword": "DOC",
	}
	return or(known[strings.ToLower(media)], "BIN")
}

// Write writes the package as a ZIP. Progress is told in bytes of the documents. fileset.ErrChanged when a document is not what Prepare read.
func (p *Plan) Write(ctx context.Context, w io.Writer, progress func(done, total int64)) error {
	z := fileset.NewArchiveWriter(w)
	if err := p.Beside(ctx, progress)(z); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("xdm: %w", err)
	}
	return nil
}

// Beside puts the package into an archive that holds a File-set already: one ZIP that is XDM, PDI and File-set at once.
func (p *Plan) Beside(ctx context.Context, progress func(done, total int64)) fileset.Beside {
	return func(z *fileset.ArchiveWriter) error {
		if err := p.write(ctx, z, progress); err != nil {
			return fmt.Errorf("xdm: %w", err)
		}
		return nil
	}
}

func (p *Plan) write(ctx context.Context, z *fileset.ArchiveWriter, progress func(done, total int64)) error {
	folder := path.Join(FolderName, SubsetName)
	for _, err := range []error{z.Bytes(IndexName, p.index), z.Bytes(ReadmeName, p.readme), z.Folder(FolderName), z.Folder(folder),
		z.Bytes(path.Join(folder, MetadataName), p.xml)} {
		if err != nil {
			return err
		}
	}
	done := int64(0)
	for i := range p.docs {
		d := &p.docs[i]
		if err := d.write(ctx, z); err != nil {
			return fmt.Errorf("document %d: %w", i+1, err)
		}
		if done += d.size; progress != nil {
			progress(done, p.Bytes)
		}
	}
	return nil
}

func (d *planned) write(ctx context.Context, z *fileset.ArchiveWriter) error {
	f, err := d.Open()
	if err != nil {
		return err
	}
	defer f.Close()
	text := strings.HasPrefix(d.MIMEType, "text/") || strings.HasSuffix(d.MIMEType, "xml") || strings.HasSuffix(d.MIMEType, "json")
	sum := sha1.New()
	if err := z.File(d.file, d.size, d.crc, text, io.TeeReader(&patient{ctx, f}, sum)); err != nil {
		return err
	}
	if [sha1.Size]byte(sum.Sum(nil)) != d.sha1 {
		return fileset.ErrChanged
	}
	return nil
}
