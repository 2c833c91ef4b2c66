package mailbox

import (
	"context"
	"errors"
	"fmt"
	"io"

	"carepost/dicom/fileset"
	"carepost/dicom/zipmail"
	"carepost/internal/blob"
	"carepost/internal/transit"
	"carepost/message"
)

// ErrNoFileSet says that a message carries no DICOM.ZIP.
var ErrNoFileSet = errors.New("mailbox: the message carries no DICOM.ZIP")

// Attached is the DICOM.ZIP of a message, decoded into a sealed draft that goes with Close.
type Attached struct {
	Findings []fileset.Finding // about the mail that carries it

	draft *blob.Draft
	body  *blob.Body
}

// FileSet takes the DICOM.ZIP out of a message. ErrNoFileSet where there is none. The caller closes it.
func FileSet(blobs *blob.Store, msg transit.Body) (*Attached, error) {
	root, err := message.Parse(msg, msg.Size(), message.Limits{})
	if err != nil {
		return nil, fmt.Errorf("mailbox: file-set: %w", err)
	}
	part, findings := zipmail.Find(root)
	if part == nil {
		return nil, ErrNoFileSet
	}
	draft, err := blobs.Create()
	if err != nil {
		return nil, fmt.Errorf("mailbox: file-set: %w", err)
	}
	a := &Attached{Findings: findings, draft: draft}
	if _, err := io.Copy(draft, part.Open(msg)); err != nil {
		a.Close()
		return nil, fmt.Errorf("mailbox: file-set: %w", err)
	}
	if a.body, err = draft.Body(); err != nil {
		a.Close()
		return nil, fmt.Errorf("mailbox: file-set: %w", err)
	}
	return a, nil
}

// Check judges the set.
func (a *Attached) Check(ctx context.Context, o fileset.CheckOptions) (*fileset.Report, error) {
	return fileset.CheckZIP(ctx, a.body, a.body.Size(), o)
}

// Unpack judges the set and takes it out into dir.
func (a *Attached) Unpack(ctx context.Context, dir string, o fileset.UnpackOptions) (*fileset.Report, error) {
	return fileset.Unpack(ctx, a.body, a.body.Size(), dir, o)
}

// Size of the archive in bytes.
func (a *Attached) Size() int64 { return a.body.Size() }

// Close forgets the decoded archive.
func (a *Attached) Close() {
	if a.body != nil {
		a.body.Close()
	}
	a.draft.Discard()
}
