package zipmail

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"carepost/dicom/fileset"
	"carepost/message"
)

// FindSet gives the attachment of a mail that carries the File-set, or nil, and how mail and attachment depart from PS3.11 X.3.2. It goes by
// what attachments hold as well as by their names: a ZIP that the mail does not claim to be a File-set (b, c, e), and that has no DICOMDIR, may
// as well hold somebody's papers. What comes beside the File-set is no part of it: that is a finding, so that nobody takes one for all. An
// error is of r.
func FindSet(root *message.Part, r io.ReaderAt) (*message.Part, []fileset.Finding, error) {
	return find(root, r, func(all []candidate) []candidate {
		sets := slices.DeleteFunc(slices.Clone(all), func(c candidate) bool { return c.rank > 0 && !c.Directory })
		if len(sets) > 0 || len(all) == 0 || !HasPhrase(root.Header.Text("Subject")) {
			return sets
		}
		if sets = withObjects(all); len(sets) > 0 {
			return sets
		}
		return slices.DeleteFunc(slices.Clone(all), func(c candidate) bool { return c.rank > all[0].rank })
	})
}

// FindObjects gives, as FindSet does, a ZIP that holds DICOM objects though nothing claims that it is a File-set.
func FindObjects(root *message.Part, r io.ReaderAt) (*message.Part, []fileset.Finding, error) {
	return find(root, r, withObjects)
}

func withObjects(all []candidate) []candidate {
	return slices.DeleteFunc(slices.Clone(all), func(c candidate) bool { return !c.Objects })
}

// find takes the first of those that choose leaves of all candidates.
func find(root *message.Part, r io.ReaderAt, choose func([]candidate) []candidate) (*message.Part, []fileset.Finding, error) {
	all := candidates(root)
	for i := range all {
		if all[i].rank == 0 {
			continue // whatever it holds, it says that it is one
		}
		if err := all[i].glance(r); err != nil {
			return nil, nil, fmt.Errorf("zipmail: %w", err)
		}
	}
	chosen := choose(all)
	if len(chosen) == 0 {
		return nil, nil, nil
	}
	out := chosen[0].findings(root, len(chosen) > 1)
	beside := 0
	for _, c := range all {
		if c.Objects && !c.Package && !slices.ContainsFunc(chosen, func(x candidate) bool { return x.part == c.part }) {
			beside++
		}
	}
	objects, _, err := Objects(root, r)
	if err != nil {
		return nil, nil, err
	}
	for _, o := range objects {
		if o != chosen[0].part {
			beside++
		}
	}
	if beside > 0 {
		out = append(out, fileset.Finding{Severity: fileset.Violation, Rule: "mail-objects-beside", Source: "PS3.11 X.3.3",
			Text: fmt.Sprintf("DICOM objects in %d more attachments: they are no part of the File-set", beside)})
	}
	return chosen[0].part, out, nil
}

// glance looks into an attachment where it lies. One in lines of a strange composer, or that is broken, is searched for the name of a DICOMDIR.
func (c *candidate) glance(r io.ReaderAt) error {
	at, err := c.part.At(r)
	if err == nil && at != nil {
		c.Glance, err = fileset.GlanceZIP(at, at.Size())
	}
	if err != nil && !errors.Is(err, message.ErrEncoding) {
		return err
	}
	if c.Directory || err == nil && at != nil && !c.Damaged {
		return nil
	}
	c.Directory, err = fileset.Mentions(c.part.Open(r), fileset.DirectoryName)
	if errors.Is(err, message.ErrEncoding) {
		err = nil
	}
	return err
}
