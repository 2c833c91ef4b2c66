package mailbox

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"carepost/dicom/fileset"
	"carepost/directcontext"
	"carepost/internal/blob"
	"carepost/internal/transit"
	"carepost/message"
	"carepost/xdm"
)

// Contents is what a message holds for programs, besides a File-set.
type Contents struct {
	Part    int         // the leaf that carries the package, from 1; 0: there is none
	Package *xdm.Report // nil: there is none

	Context  *directcontext.Context // nil: there is none, or none that can be read
	Findings []directcontext.Finding
	Unread   string // why a context that is announced cannot be read; nothing of it is repeated
}

// Describe looks for a package of documents and for a Direct Context, and judges them. A message that is no MIME has none. Errors are of
// disks and of ctx.
func Describe(ctx context.Context, blobs *blob.Store, msg transit.Body, progress func(done, total int64)) (c Contents, err error) {
	root, err := message.Parse(msg, msg.Size(), message.Limits{})
	switch {
	case errors.Is(err, message.ErrSyntax), errors.Is(err, message.ErrAmbiguous), errors.Is(err, message.ErrLimit):
		return c, nil
	case err != nil:
		return c, fmt.Errorf("mailbox: contents: %w", err)
	}
	context, findings, err := directcontext.Read(root, msg)
	switch {
	case errors.Is(err, directcontext.ErrNoContext):
	case errors.Is(err, directcontext.ErrSyntax), errors.Is(err, directcontext.ErrLimit):
		c.Unread = err.Error()
	case err != nil:
		return c, fmt.Errorf("mailbox: contents: %w", err)
	default:
		c.Context, c.Findings = &context, findings
	}
	if err := c.find(ctx, blobs, root, msg, progress); err != nil {
		return c, fmt.Errorf("mailbox: contents: %w", err)
	}
	return c, nil
}

// find takes the first attachment that is a package.
func (c *Contents) find(ctx context.Context, blobs *blob.Store, root *message.Part, msg transit.Body, progress func(done, total int64)) error {
	for _, part := range xdm.Candidates(root) {
		named, err := namesPackage(&telling{ctx, part.Open(msg), msg.Size(), 0, progress})
		if err != nil || !named {
			if err != nil && !errors.Is(err, message.ErrEncoding) {
				return err
			}
			continue
		}
		if c.Package, err = judgePackage(ctx, blobs, &telling{ctx, part.Open(msg), msg.Size(), 0, progress}, progress); err != nil {
			return err
		}
		if c.Package != nil {
			c.Part = leaf(root, part)
			return nil
		}
	}
	return nil
}

// namesPackage looks at an attachment without keeping it: a ZIP that has the name of the folder somewhere.
func namesPackage(r io.Reader) (bool, error) {
	br := bufio.NewReader(r)
	head, err := br.Peek(2)
	if err != nil && err != io.EOF {
		return false, err
	}
	if string(head) != "PK" {
		return false, nil
	}
	return fileset.Mentions(br, xdm.FolderName)
}

// judgePackage decodes an attachment into a sealed draft and judges it; nil where it is no package.
func judgePackage(ctx context.Context, blobs *blob.Store, r io.Reader, progress func(done, total int64)) (*xdm.Report, error) {
	draft, err := blobs.Create()
	if err != nil {
		return nil, err
	}
	defer draft.Discard()
	_, err = io.Copy(draft, r)
	if errors.Is(err, message.ErrEncoding) {
		return &xdm.Report{Findings: []fileset.Finding{{Severity: fileset.Damage, Rule: "mail-encoding", Source: "RFC 2045 §6.8",
			Text: "the attachment's base64 is damaged"}}}, nil
	}
	if err != nil {
		return nil, err
	}
	body, err := draft.Body()
	if err != nil {
		return nil, err
	}
	defer body.Close()
	report, err := xdm.Check(ctx, body, body.Size(), xdm.Options{Progress: progress})
	if errors.Is(err, xdm.ErrNoPackage) {
		return nil, nil
	}
	return report, err
}

// telling ends reading with ctx, and tells how far it has come: a large attachment is not mistaken for work that hangs.
type telling struct {
	ctx         context.Context
	r           io.Reader
	total, done int64
	tell        func(done, total int64) // may be nil
}

func (t *telling) Read(p []byte) (int, error) {
	if err := t.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := t.r.Read(p)
	if t.done += int64(n); t.tell != nil {
		t.tell(min(t.done, t.total), t.total)
	}
	return n, err
}

// leaf is the number of a part among those that hold something.
func leaf(root, part *message.Part) int {
	n := 0
	for p := range root.Walk() {
		if len(p.Parts) > 0 || p.Type.Type == "multipart" {
			continue
		}
		if n++; p == part {
			return n
		}
	}
	return 0
}
