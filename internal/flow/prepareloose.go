package flow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"

	"carepost/dicom/fileset"
	"carepost/dicom/zipmail"
	"carepost/message"
)

// looseImages are DICOM files that are attached one by one, all to one multipart/mixed. What lies elsewhere is left as it is: DICOM MIME
// (PS3.10, Supplement 54) is a form of its own.
func (p *preparing) looseImages() (out []*message.Part, err error) {
	for parent := range p.root.Walk() {
		if !parent.Type.Is("multipart", "mixed") || !parent.Closed || signedBy(p.root, parent) {
			continue
		}
		for _, part := range parent.Parts {
			is, err := p.isImage(part)
			if err != nil {
				return nil, err
			}
			if is {
				out = append(out, part)
			}
		}
		if len(out) > 0 {
			return out, nil
		}
	}
	return nil, nil
}

// isImage looks at the beginning of an attachment that may be a DICOM file.
func (p *preparing) isImage(part *message.Part) (bool, error) {
	ext := strings.ToLower(path.Ext(part.Filename()))
	if len(part.Parts) > 0 || !part.Type.Is("application", "dicom") && !part.Type.Is("application", "octet-stream") && !part.Type.Is("image", "x-dicom") &&
		ext != ".dcm" && ext != ".dicom" {
		return false, nil
	}
	head := make([]byte, 132)
	_, err := io.ReadFull(part.Open(p.body), head)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, message.ErrEncoding) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("flow: accept: %w", err)
	}
	return string(head[128:]) == "DICM", nil
}

// packLoose makes a File-set of images that are attached one by one.
func (p *preparing) packLoose(ctx context.Context) error {
	loose, err := p.looseImages()
	if err != nil || len(loose) == 0 {
		return err
	}
	inputs, err := p.looseInputs(loose)
	if err != nil {
		return err
	}
	plan, err := fileset.ScanInputs(ctx, fileset.ScanOptions{}, inputs...)
	if bad := (*fileset.InputError)(nil); errors.As(err, &bad) {
		return unpackable(bad)
	}
	if err != nil {
		return fmt.Errorf("flow: accept: %w", err)
	}
	p.loose, p.plan, p.tree = loose, plan, append([]fileset.Patient{}, plan.Tree...)
	p.done.detail["file-set"] = fmt.Sprintf("packed from %d attached images", len(loose))
	return nil
}

// looseInputs are attached images, by their numbers.
func (p *preparing) looseInputs(loose []*message.Part) (inputs []fileset.Input, err error) {
	for i, part := range loose {
		open, size, err := p.opener(part)
		if errors.Is(err, message.ErrEncoding) {
			return nil, &Refusal{"RFC 2045 §6.8", "attached image " + strconv.Itoa(i+1) + " is cut or damaged: its encoding is broken; attach it anew"}
		}
		if err != nil {
			return nil, fmt.Errorf("flow: accept: %w", err)
		}
		inputs = append(inputs, fileset.Input{Name: strconv.Itoa(i + 1), Size: size, Open: open})
	}
	return inputs, nil
}

// unpackable says why images make no set. What the problems say of people is not told.
func unpackable(bad *fileset.InputError) *Refusal {
	x := bad.Problems[0]
	which := "attached images"
	if len(x.Files) > 0 {
		which += " (number " + strings.Join(x.Files[:min(len(x.Files), 3)], ", ") + ")"
	}
	clause := or(x.Source, "PS3.11 X.3.3")
	if x.Damaged {
		return &Refusal{clause, which + " are cut or damaged; attach them anew"}
	}
	return &Refusal{clause, which + " contradict one another or are nothing that a DICOMDIR can name; \"carepost dicom pack\" tells why"}
}

// opener gives random access to an attachment: where it lies or, where its lines do not allow for that, in a sealed draft.
func (p *preparing) opener(part *message.Part) (open func() (fileset.File, error), size int64, err error) {
	at, err := part.At(p.body)
	if err != nil {
		return nil, 0, err
	}
	if at == nil {
		d, err := p.f.Blobs.Create()
		if err != nil {
			return nil, 0, err
		}
		p.open = append(p.open, d.Discard)
		if _, err := io.Copy(d, part.Open(p.body)); err != nil {
			return nil, 0, err
		}
		b, err := d.Body()
		if err != nil {
			return nil, 0, err
		}
		p.open = append([]func(){func() { b.Close() }}, p.open...)
		at = io.NewSectionReader(b, 0, b.Size())
	}
	return func() (fileset.File, error) { return unclosed{at}, nil }, at.Size(), nil
}

// unclosed is read again later.
type unclosed struct{ io.ReaderAt }

func (unclosed) Close() error { return nil }

// replace puts the DICOM.ZIP that is made in the place of the first of the images and ZIPs of which it is made, and takes out the others.
func (p *preparing) replace(ctx context.Context) error {
	if p.plan == nil {
		return nil
	}
	field, err := p.partField()
	if err != nil {
		return err
	}
	first, eol := p.loose[0], eolOf(p.root.Header)
	from, head := first.Start, "Content-Type: "+zipmail.ContentType+eol+"Content-Disposition: "+zipmail.Disposition+eol+"Content-Transfer-Encoding: base64"+eol+
		strings.ReplaceAll(string(field.Raw), "\r\n", eol)+eol
	if first == p.root {
		from, head = first.Body, "" // wrap writes it
	}
	p.changes = append(p.changes, splice{from: from, to: first.End, with: head, write: func(w io.Writer) error {
		b := message.NewBase64Writer(w)
		if err := p.plan.WriteZIP(ctx, b, nil); err != nil {
			return err
		}
		return b.Close()
	}})
	for parent := range p.root.Walk() {
		for i, part := range parent.Parts {
			if i > 0 && part != first && slices.Contains(p.loose, part) {
				p.changes = append(p.changes, splice{from: parent.Parts[i-1].End, to: part.End})
			}
		}
	}
	return nil
}

// partField is the field of the attachment of a part; it is empty where the set goes in one mail.
func (p *preparing) partField() (field message.Field, err error) {
	if d := p.done.division; d != nil {
		if field, err = d.part(1).Field(); err != nil {
			return field, fmt.Errorf("flow: accept: %w", err)
		}
	}
	return field, nil
}
