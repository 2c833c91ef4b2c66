package mailbox

import (
	"errors"
	"fmt"

	"carepost/dicom/fileset"
	"carepost/dicom/zipmail"
	"carepost/internal/blob"
	"carepost/internal/transit"
	"carepost/message"
)

// Study is FileSet, and takes over too what nothing can verify: a ZIP without a DICOMDIR that holds DICOM objects though the mail does not
// claim it to be a File-set, DICOM MIME, DICOM files attached one by one. Their verdict is never COMPLETE. It is for those who look at a mail
// or take it out; what arrives is judged, and answered, by FileSet. ErrNoFileSet. The caller closes it.
func Study(blobs *blob.Store, msg transit.Body) (*Attached, error) {
	root, err := message.Parse(msg, msg.Size(), message.Limits{})
	if err != nil {
		return nil, fmt.Errorf("mailbox: study: %w", err)
	}
	found, err := FindStudy(root, msg)
	if err != nil {
		return nil, err
	}
	if found.Archive != nil {
		return attached(blobs, msg, found.Archive, found.Findings)
	}
	a := &Attached{Findings: found.Findings, loose: zipmail.Loose(found.Objects, msg)}
	for _, x := range a.loose {
		a.size += x.Size
	}
	return a, nil
}

// Unverifiable says that a message without a File-set carries images all the same, those that Study takes over: nothing says whether they are
// all. What cannot be read as MIME carries none.
func Unverifiable(msg transit.Body) (bool, error) {
	root, err := message.Parse(msg, msg.Size(), message.Limits{})
	for _, no := range []error{message.ErrSyntax, message.ErrLimit, message.ErrAmbiguous} {
		if errors.Is(err, no) {
			return false, nil
		}
	}
	if err == nil {
		_, err = FindStudy(root, msg)
	}
	if errors.Is(err, ErrNoFileSet) || errors.Is(err, message.ErrEncoding) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("mailbox: study: %w", err)
	}
	return true, nil
}

// Found is where the study of a message lies: in one archive, or in objects by themselves.
type Found struct {
	Archive  *message.Part // nil: there is none
	Objects  []*message.Part
	Findings []fileset.Finding // about the mail
}

// Has says that a part is the archive, or one of the objects.
func (f *Found) Has(p *message.Part) (archive, object bool) {
	for _, o := range f.Objects {
		object = object || o == p
	}
	return f.Archive != nil && f.Archive == p, object
}

// FindStudy finds what Study takes; ErrNoFileSet.
func FindStudy(root *message.Part, msg transit.Body) (*Found, error) {
	part, findings, err := FindSet(root, msg)
	if err == nil {
		return &Found{Archive: part, Findings: findings}, nil
	}
	if !errors.Is(err, ErrNoFileSet) {
		return nil, err
	}
	part, findings, err = zipmail.FindObjects(root, msg)
	if err != nil {
		return nil, fmt.Errorf("mailbox: study: %w", err)
	}
	if part != nil {
		return &Found{Archive: part, Findings: findings}, nil
	}
	objects, findings, err := zipmail.Objects(root, msg)
	if err != nil {
		return nil, fmt.Errorf("mailbox: study: %w", err)
	}
	if len(objects) == 0 {
		return nil, ErrNoFileSet
	}
	return &Found{Objects: objects, Findings: findings}, nil
}
