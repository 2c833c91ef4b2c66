package mailbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"carepost/dicom/fileset"
	"carepost/dicom/zipmail"
	"carepost/internal/blob"
	"carepost/internal/transit"
	"carepost/message"
)

// ErrNoFileSet says that a message carries no DICOM.ZIP.
var ErrNoFileSet = errors.New("mailbox: the message carries no DICOM.ZIP")

// Attached is the DICOM.ZIP of a message, decoded into a sealed draft that goes with Close; or what Study finds instead of one.
type Attached struct {
	Findings    []fileset.Finding // about the mail that carries it
	Unprotected bool              // nobody vouches for it (ProtectionField)
	Part        zipmail.Part      // of a large set that goes in several mails; zero: none, or none that can be read

	draft *blob.Draft
	body  *blob.Body
	loose []fileset.Loose // objects by themselves, where there is no archive
	size  int64
}

// FileSet takes the DICOM.ZIP out of a message. ErrNoFileSet where there is none. The caller closes it.
func FileSet(blobs *blob.Store, msg transit.Body) (*Attached, error) {
	root, err := message.Parse(msg, msg.Size(), message.Limits{})
	if err != nil {
		return nil, fmt.Errorf("mailbox: file-set: %w", err)
	}
	part, findings, err := FindSet(root, msg)
	if err != nil {
		return nil, err
	}
	a, err := attached(blobs, msg, part, findings)
	if err != nil {
		return nil, err
	}
	if a.Part, err = zipmail.ReadPart(root, part); err != nil {
		a.Part = zipmail.Part{} // the set is judged all the same
	}
	return a, nil
}

// attached decodes the archive of a message.
func attached(blobs *blob.Store, msg transit.Body, part *message.Part, findings []fileset.Finding) (*Attached, error) {
	draft, err := blobs.Create()
	if err != nil {
		return nil, fmt.Errorf("mailbox: file-set: %w", err)
	}
	a := &Attached{Findings: findings, draft: draft}
	a.Unprotected = slices.Contains(findings, unprotectedFinding)
	if _, err := io.Copy(draft, part.Open(msg)); err != nil {
		a.Close()
		return nil, fmt.Errorf("mailbox: file-set: %w", err)
	}
	if a.body, err = draft.Body(); err != nil {
		a.Close()
		return nil, fmt.Errorf("mailbox: file-set: %w", err)
	}
	a.size = a.body.Size()
	return a, nil
}

// FindSet finds the part of a message that carries a File-set, and how the mail departs from the standard; ErrNoFileSet. A ZIP that the
// mail does not claim to be one, and that names no DICOMDIR, is an attachment like any other.
func FindSet(root *message.Part, msg transit.Body) (*message.Part, []fileset.Finding, error) {
	part, findings, err := zipmail.FindSet(root, msg)
	if err != nil {
		return nil, nil, fmt.Errorf("mailbox: file-set: %w", err)
	}
	if part == nil {
		return nil, nil, ErrNoFileSet
	}
	if Unprotected(root.Header) {
		findings = append(findings, unprotectedFinding)
	}
	return part, findings, nil
}

// Check judges the set.
func (a *Attached) Check(ctx context.Context, o fileset.CheckOptions) (*fileset.Report, error) {
	if a.body == nil {
		return fileset.CheckLoose(ctx, a.loose, o)
	}
	return fileset.CheckZIP(ctx, a.body, a.body.Size(), o)
}

// Instances judges the set, and says how each of its instances is read. They can be read until Close.
func (a *Attached) Instances(ctx context.Context, o fileset.CheckOptions) (*fileset.Report, []fileset.Content, error) {
	return fileset.InstancesZIP(ctx, a.body, a.body.Size(), o)
}

// Unpack judges the set and takes it out into dir.
func (a *Attached) Unpack(ctx context.Context, dir string, o fileset.UnpackOptions) (*fileset.Report, error) {
	if a.body == nil {
		return fileset.UnpackLoose(ctx, a.loose, dir, o)
	}
	return fileset.Unpack(ctx, a.body, a.body.Size(), dir, o)
}

// Size of the archive in bytes; of objects by themselves, nearly.
func (a *Attached) Size() int64 { return a.size }

// Close forgets the decoded archive.
func (a *Attached) Close() {
	if a.body != nil {
		a.body.Close()
	}
	if a.draft != nil {
		a.draft.Discard()
	}
}
