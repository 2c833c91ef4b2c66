package flow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"carepost/addr"
	"carepost/dicom/fileset"
	"carepost/directcontext"
	"carepost/internal/mailbox"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/message"
	"carepost/xdm"
)

// subjects are the patients and studies that a message is about, by the DICOMDIR, the package's metadata and the context in it. Who sends it
// says so: nothing else is looked at. A message that cannot be read as one, or a set as a set, is about nobody that we know. An error is of
// the disk or of ctx.
func (f *Flow) subjects(ctx context.Context, body transit.Body) (s transit.Subjects, err error) {
	root, err := message.Parse(body, body.Size(), message.Limits{})
	if err != nil {
		return s, unlessUnreadable(err)
	}
	var set []fileset.Patient
	part, _, err := mailbox.FindSet(root, body)
	if err == nil {
		err = within(part, body, func(r *io.SectionReader) (err error) {
			set, err = fileset.IndexZIP(ctx, r, r.Size(), fileset.Limits{})
			return err
		})
	}
	if unlessUnreadable(err) != nil {
		return s, err
	}
	var people []xdm.Patient
	packaged := false
	for _, part := range xdm.Candidates(root) {
		err := within(part, body, func(r *io.SectionReader) (err error) {
			people, err = xdm.Patients(ctx, r, r.Size(), fileset.Limits{})
			packaged = packaged || err == nil
			return err
		})
		if unlessUnreadable(err) != nil {
			return s, err
		}
		if packaged {
			break
		}
	}
	about, _, err := directcontext.Read(root, body)
	if err != nil {
		return subjectsOf(set, packaged, people, nil), unlessUnreadable(err)
	}
	return subjectsOf(set, packaged, people, &about), nil
}

// subjects are those of a message that came, by what was found in it.
func (a *arrival) subjects() transit.Subjects {
	if a.report {
		return a.enclosed
	}
	var set []fileset.Patient
	if a.fileset != nil {
		set = a.fileset.Tree
	}
	var people []xdm.Patient
	if a.found.Package != nil {
		people = a.found.Package.Patients()
	}
	return subjectsOf(set, a.found.Package != nil, people, a.found.Context)
}

// within reads an attachment, decoded. One in lines of a strange composer is not: it is not worth decoding gigabytes.
func within(part *message.Part, body transit.Body, read func(*io.SectionReader) error) error {
	at, err := part.At(body)
	if err != nil || at == nil {
		return err
	}
	return read(at)
}

// aboutWhom finds out whom an outgoing message is about, once: it is kept with its first delivery.
func (f *Flow) aboutWhom(ctx context.Context, m *outgoing) error {
	if m.Header.Subjects != nil || ownNotice(m.Message) {
		return nil
	}
	s, err := f.subjects(ctx, m.body)
	if err != nil {
		return fmt.Errorf("flow: outbound: %w", err)
	}
	m.Header.Subjects = &s
	return nil
}

// ownNotice says that a message was composed here and is about nobody's data: a report, or what introduces one of ours. What somebody has
// submitted is his letter, whatever he calls it.
func ownNotice(m store.Message) bool { return m.Kind == transit.Hello || exempt(m) }

// unlessUnreadable is nil where an error is about the message, and the same next time.
func unlessUnreadable(err error) error {
	for _, e := range []error{mailbox.ErrNoFileSet, message.ErrSyntax, message.ErrAmbiguous, message.ErrLimit, message.ErrEncoding, xdm.ErrNoPackage,
		directcontext.ErrNoContext, directcontext.ErrSyntax, directcontext.ErrLimit} {
		if errors.Is(err, e) {
			return nil
		}
	}
	return err
}

// subjectsOf takes from what a message holds what an audit names. Whom the set names is not named again for the package or the context: there
// the number of a patient comes with who gave it.
func subjectsOf(set []fileset.Patient, packaged bool, people []xdm.Patient, about *directcontext.Context) (s transit.Subjects) {
	s.Package = packaged
	known := map[string]bool{}
	for _, p := range set {
		known[strings.TrimSpace(p.ID)] = true
	}
	s.Patients = mailbox.PatientsOf(set)
	for _, p := range people {
		if !slices.ContainsFunc(p.IDs, func(i xdm.Identifier) bool { return known[i.Value] }) {
			s.Patients = append(s.Patients, transit.Patient{ID: p.Identifier(), Name: p.Name})
		}
		for _, i := range p.IDs {
			known[i.Value] = true
		}
	}
	if about != nil {
		s.Patients = append(s.Patients, ofContext(*about, known, len(s.Patients) == 0)...)
	}
	return s.Bounded()
}

// ofContext are the patients of a context that nobody else has named; alone says that nobody is named.
func ofContext(c directcontext.Context, known map[string]bool, alone bool) (out []transit.Patient) {
	name := strings.TrimRight(c.Value("surname")+"^"+c.Value("givenName")+"^"+c.Value("middleName"), "^")
	p := xdm.Patient{Name: name}
	for _, id := range c.PatientIDs { // of one patient, in several domains
		if known[id.Local] {
			return nil
		}
		p.IDs = append(p.IDs, xdm.Identifier{Authority: id.Domain, Value: id.Local})
	}
	if len(p.IDs) > 0 || alone && name != "" {
		out = append(out, transit.Patient{ID: p.Identifier(), Name: name})
	}
	return out
}

// disclosure adds to the detail of an audit entry who sent what to whom, about whom: what an audit repository is told of it. It is sealed
// there.
func disclosure(detail map[string]string, m store.Message, h store.Header, from, to addr.Address, report bool) error {
	detail["to"] = to.String()
	if from.Endpoint != "" {
		detail["from"] = from.String()
	}
	if m.Direction == transit.Inbound && m.Envelope.Peer.IsValid() {
		detail["peer"] = m.Envelope.Peer.Addr().Unmap().String()
	}
	if h.MessageID != "" {
		detail["message-id"] = h.MessageID
	}
	if report {
		detail["report"] = "yes"
	}
	if h.Subjects != nil && h.Subjects.Package {
		detail["xdm"] = "yes"
	}
	if h.Subjects == nil || len(h.Subjects.Patients) == 0 {
		return nil
	}
	text, err := json.Marshal(h.Subjects)
	detail["subjects"] = string(text)
	return err
}
