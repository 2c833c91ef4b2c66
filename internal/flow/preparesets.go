package flow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"carepost/dicom/fileset"
	"carepost/dicom/zipmail"
	"carepost/message"
	"carepost/xdm"
)

// attachedSet is a ZIP of a message that holds a File-set, or images without a directory.
type attachedSet struct {
	part   *message.Part
	report *fileset.Report
	pieces []fileset.Piece // of which it may be made anew
}

// sets judges the attachments that carry File-sets: those that are called DICOM.ZIP, and each ZIP that holds a DICOMDIR or images, whatever
// it is called. Where there are none, a ZIP in a mail whose subject says DICOM-ZIP is one, if it holds no papers.
func (p *preparing) sets(ctx context.Context) (out []attachedSet, err error) {
	for _, part := range zipmail.Candidates(p.root) {
		x, err := p.consider(ctx, part, called(part))
		if err != nil {
			return nil, err
		}
		if x.report != nil {
			out = append(out, x)
		}
	}
	if len(out) > 0 || !zipmail.HasPhrase(p.root.Header.Text("Subject")) {
		return out, nil
	}
	part, _ := zipmail.Find(p.root)
	if part == nil {
		return nil, nil
	}
	x, err := p.consider(ctx, part, true)
	if err != nil || papers(x.report) {
		return nil, err // an answer to a mail with a set, say
	}
	return []attachedSet{x}, nil
}

// consider judges an attached ZIP where it claims to be a set, or is one by what it holds; else there is no report. *Refusal where its encoding
// is broken.
func (p *preparing) consider(ctx context.Context, part *message.Part, claims bool) (x attachedSet, err error) {
	open, size, err := p.opener(part)
	var at fileset.File
	if err == nil {
		at, err = open()
	}
	if err == nil && !claims {
		claims, err = p.holdsSet(part, at, size)
	}
	if err == nil && claims {
		x, err = judged(ctx, part, at, size)
	}
	if errors.Is(err, message.ErrEncoding) {
		if !claims {
			claims, err = fileset.Mentions(part.Open(p.body), fileset.DirectoryName)
		}
		if errors.Is(err, message.ErrEncoding) {
			err = nil
		}
		if claims {
			return x, &Refusal{"RFC 2045 §6.8", "the attached ZIP is cut or damaged: its encoding is broken; attach it anew"}
		}
	}
	if err != nil {
		return x, fmt.Errorf("flow: accept: %w", err)
	}
	return x, nil
}

// called says that an attachment is called what PS3.11 X.3.2 b calls a File-set.
func called(part *message.Part) bool {
	return strings.EqualFold(part.Filename(), zipmail.AttachmentName) || strings.EqualFold(part.Type.Params["id"], zipmail.AttachmentName) ||
		strings.EqualFold(part.Type.Params["name"], zipmail.AttachmentName)
}

// holdsSet says that a ZIP has a DICOMDIR, or holds images and is no package of IHE XDM: that one has a directory of its own. A damaged one
// that speaks of no DICOMDIR is an attachment like any other: papers with a password, say.
func (p *preparing) holdsSet(part *message.Part, at io.ReaderAt, size int64) (bool, error) {
	g, err := fileset.GlanceZIP(at, size)
	if err != nil || g.Directory || g.Objects && !g.Package {
		return err == nil, err
	}
	if !g.Damaged {
		return false, nil
	}
	return fileset.Mentions(part.Open(p.body), fileset.DirectoryName)
}

// judged checks a set where it lies.
func judged(ctx context.Context, part *message.Part, at io.ReaderAt, size int64) (x attachedSet, err error) {
	x.part = part
	packed, err := xdm.Contains(at, size, fileset.Limits{})
	if err != nil {
		return x, err
	}
	if x.report, x.pieces, err = fileset.PiecesZIP(ctx, at, size, fileset.CheckOptions{}); packed {
		x.pieces = nil // its metadata name the files
	}
	return x, err
}
