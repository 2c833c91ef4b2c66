package flow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"carepost/dicom/fileset"
	"carepost/dicom/zipmail"
	"carepost/message"
)

// maxRepacked is how much comes out of ZIPs that are packed anew, in bytes.
const maxRepacked = 16 << 30

// apart is a remedy.
const apart = "; send each in a mail of its own"

// nothingBeside refuses images that would go beside a set rather than in it: nobody could say whether they are all.
func (p *preparing) nothingBeside(sets []attachedSet, loose []*message.Part) error {
	all, _, err := zipmail.Objects(p.root, p.body)
	if err != nil {
		return fmt.Errorf("flow: accept: %w", err)
	}
	for _, part := range all {
		if !slices.Contains(loose, part) && !slices.ContainsFunc(sets, func(x attachedSet) bool { return x.part == part }) {
			return &Refusal{"PS3.11 X.3.3", "DICOM files are attached beside the File-set, which does not name them; put all images into one DICOM.ZIP, or send them in a mail of their own"}
		}
	}
	return nil
}

// repack makes one File-set of what whole sets, ZIPs with images and images that are attached one by one hold: every instance and every
// other file of them as it is, the directory anew. *Refusal where one of them is not whole, or where they contradict one another.
func (p *preparing) repack(ctx context.Context, sets []attachedSet, loose []*message.Part) error {
	if err := p.together(sets, loose); err != nil {
		return err
	}
	inputs, extras, err := p.unpacked(ctx, sets)
	if err != nil {
		return err
	}
	more, err := p.looseInputs(loose)
	if err != nil {
		return err
	}
	plan, err := fileset.ScanInputs(ctx, p.allowing(), append(inputs, more...)...)
	if bad := (*fileset.InputError)(nil); errors.As(err, &bad) {
		r := unpackable(bad)
		if len(sets) > 1 {
			r.Reason += ", or send each ZIP in a mail of its own"
		}
		return r
	}
	if err != nil {
		return fmt.Errorf("flow: accept: %w", err)
	}
	if err := plan.AddExtras(extras...); err != nil {
		return &Refusal{"PS3.12 Y.1.1", "the attached ZIP is packed in its own way, and has too many files beside its images to be packed anew; send the images alone"}
	}
	p.plan, p.tree = plan, append([]fileset.Patient{}, plan.Tree...)
	p.done.detail["file-set"] = fmt.Sprintf("packed anew: %d images of %d attached ZIP%s", len(plan.Instances), len(sets), plural(len(sets)))
	return nil
}

// together says whether what is attached can be taken out, and one set put in its place.
func (p *preparing) together(sets []attachedSet, loose []*message.Part) error {
	parent := parentOf(p.root, sets[0].part)
	for _, x := range sets {
		switch {
		case x.pieces == nil && !p.may(x.report):
			return p.fit(x.report)
		case signedBy(p.root, x.part):
			return &Refusal{"PS3.11 X.3.2", "the mail program has signed the mail, so its images cannot be packed as one DICOM.ZIP; switch signing off there: it is signed here"}
		case len(sets)+len(loose) > 1 && (x.pieces == nil || parent == nil || parentOf(p.root, x.part) != parent):
			return &Refusal{"PS3.12 Y.1.1", "more than one attachment is a File-set, and they cannot be made one" + apart}
		}
		if part, err := zipmail.ReadPart(p.root, x.part); err != nil || part != (zipmail.Part{}) {
			return &Refusal{"PS3.12 Y.1.1", "the mail is a part of a larger set, and holds other images besides" + apart}
		}
		p.loose = append(p.loose, x.part)
	}
	for _, part := range loose {
		if parent == nil || parentOf(p.root, part) != parent {
			return &Refusal{"PS3.12 Y.1.1", "DICOM files are attached beside a File-set, and they cannot be made one" + apart}
		}
		p.loose = append(p.loose, part)
	}
	if parent != nil {
		slices.SortFunc(p.loose, func(a, b *message.Part) int { return slices.Index(parent.Parts, a) - slices.Index(parent.Parts, b) })
	}
	return nil
}

// allowing is what the sender has taken on himself.
func (p *preparing) allowing() fileset.ScanOptions {
	has := func(c fileset.Conflict) bool { return slices.Contains(p.env.Overruled, string(c)) }
	return fileset.ScanOptions{AllowNames: has(fileset.Names), AllowParents: has(fileset.Parents), AllowVersions: has(fileset.Versions)}
}

// unpacked takes what ZIPs hold into a sealed draft: the images as inputs of a set, the other files as what lies beside it.
func (p *preparing) unpacked(ctx context.Context, sets []attachedSet) (inputs []fileset.Input, extras []fileset.Extra, err error) {
	d, err := p.f.Blobs.Create()
	if err != nil {
		return nil, nil, fmt.Errorf("flow: accept: %w", err)
	}
	p.open = append(p.open, d.Discard)
	var at io.ReaderAt // d, when it is whole
	end, taken := int64(0), map[string]bool{}
	for k, x := range sets {
		objects := 0
		for _, piece := range x.pieces {
			from := end
			n, err := p.take(ctx, d, piece, maxRepacked-end)
			if err != nil {
				return nil, nil, err
			}
			end += n
			section := func() *io.SectionReader { return io.NewSectionReader(at, from, n) }
			if !piece.Object {
				extras = append(extras, fileset.Extra{Name: extraName(piece.Name, taken), Size: n, Open: func() (io.ReadCloser, error) { return io.NopCloser(section()), nil }})
				continue
			}
			objects++
			inputs = append(inputs, fileset.Input{Name: fmt.Sprintf("%d of ZIP %d", objects, k+1), Size: n, Open: func() (fileset.File, error) { return unclosed{section()}, nil }})
		}
	}
	b, err := d.Body()
	if err != nil {
		return nil, nil, fmt.Errorf("flow: accept: %w", err)
	}
	at, p.open = b, append([]func(){func() { b.Close() }}, p.open...)
	return inputs, extras, nil
}

// take copies a file of a ZIP.
func (p *preparing) take(ctx context.Context, w io.Writer, piece fileset.Piece, room int64) (int64, error) {
	if ctx.Err() != nil {
		return 0, fmt.Errorf("flow: accept: %w", ctx.Err())
	}
	if piece.Size > room {
		return 0, &Refusal{"PS3.12 Y.1.1", "the attached ZIP is packed in its own way, and too large to be packed anew; make it anew with \"carepost dicom pack\""}
	}
	rc, err := piece.Open()
	if err != nil {
		return 0, fmt.Errorf("flow: accept: %w", err)
	}
	defer rc.Close()
	n, err := io.Copy(w, rc)
	if err != nil {
		return 0, fmt.Errorf("flow: accept: %w", err)
	}
	return n, nil
}

// extraName names a file that is no image as a set may hold it.
func extraName(name string, taken map[string]bool) string {
	if key := strings.ToUpper(name); fileset.ValidExtra(name) && !taken[key] {
		taken[key] = true
		return name
	}
	made := fileset.ExtraName("OTHER", path.Base(strings.ReplaceAll(name, `\`, "/")))
	stem, ext := made[:strings.LastIndexByte(made, '.')], made[strings.LastIndexByte(made, '.'):]
	for n := 2; taken[made]; n++ {
		made = fmt.Sprintf("%s_%d%s", stem, n, ext)
	}
	taken[made] = true
	return made
}

// parentOf is the multipart/mixed, or the like, in which a part lies; nil where there is none whose parts may be taken out.
func parentOf(root, part *message.Part) *message.Part {
	for p := range root.Walk() {
		if p.Type.Is("multipart", "mixed") && slices.Contains(p.Parts, part) {
			return p
		}
	}
	return nil
}
