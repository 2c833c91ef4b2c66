package flow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"carepost/addr"
	"carepost/dicom/fileset"
	"carepost/internal/mailbox"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/message"
)

// subjects are the patients and studies that a message is about, by the DICOMDIR in it. Who sends it says so: nothing else of the set is
// looked at. A message that cannot be read as one, or a set as a set, is about nobody that we know. An error is of the disk or of ctx.
func (f *Flow) subjects(ctx context.Context, body transit.Body) (s transit.Subjects, err error) {
	root, err := message.Parse(body, body.Size(), message.Limits{})
	if unreadableSet(err) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	part, _, err := mailbox.FindSet(root, body)
	if unreadableSet(err) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	at, err := part.At(body)
	if err != nil || at == nil { // lines of a strange composer: it is not worth decoding gigabytes
		return s, err
	}
	patients, err := fileset.IndexZIP(ctx, at, at.Size(), fileset.Limits{})
	if unreadableSet(err) {
		return s, nil
	}
	return subjectsOf(patients), err
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

// unreadableSet says that an error is about the message, and the same next time.
func unreadableSet(err error) bool {
	for _, e := range []error{mailbox.ErrNoFileSet, message.ErrSyntax, message.ErrAmbiguous, message.ErrLimit, message.ErrEncoding} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// subjectsOf takes from a set what an audit names.
func subjectsOf(patients []fileset.Patient) (s transit.Subjects) {
	for _, p := range patients {
		to := transit.Patient{ID: p.ID, Name: p.Name}
		for _, st := range p.Studies {
			study := transit.Study{UID: st.UID, Accession: st.Accession, Classes: map[string]int{}}
			for _, se := range st.Series {
				for _, x := range se.Instances {
					study.Classes[x.SOPClass]++
				}
			}
			to.Studies = append(to.Studies, study)
		}
		s.Patients = append(s.Patients, to)
	}
	return s.Bounded()
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
	if h.Subjects == nil || len(h.Subjects.Patients) == 0 {
		return nil
	}
	text, err := json.Marshal(h.Subjects)
	detail["subjects"] = string(text)
	return err
}
