package flow

import (
	"context"
	"fmt"
	"strings"

	"carepost/dicom/zipmail"
	"carepost/internal/agent"
	"carepost/internal/mailbox"
	"carepost/internal/queue"
	"carepost/internal/rule"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/message"
	"carepost/trust"
)

// clauseUnprotected is by which mail leaves or comes without protection: STD-GEN-ZIP-MAIL.
const clauseUnprotected = "PS3.11 X.1"

// unprotected takes out of those who wait the partners for whom, as a rule of the operator says, nothing is sealed. They get what its sender has
// chosen to send so, and nothing else: a File-set by STD-GEN-ZIP-MAIL, marked (DCM-08, DCM-32).
func (f *Flow) unprotected(ctx context.Context, j *queue.Job, m *outgoing) (failed []failure, err error) {
	var rest []store.Recipient
	var domains []agent.Group // in the order of their first recipients
	open := map[string][]store.Recipient{}
	for _, r := range m.waiting {
		if f.form(m.Envelope.From.Address, transit.Outbound, r.Address) != rule.Plain {
			rest = append(rest, r)
			continue
		}
		d := r.Address.Domain
		if open[d.String()] == nil {
			domains = append(domains, agent.Group{Domain: d})
		}
		open[d.String()] = append(open[d.String()], r)
	}
	m.waiting = rest
	if len(domains) == 0 {
		return nil, nil
	}
	if err := f.aboutWhom(ctx, m); err != nil {
		return nil, err
	}
	root, o, err := m.unprotectable()
	if err != nil {
		return nil, fmt.Errorf("flow: outbound: %w", err)
	}
	for _, g := range domains {
		rs := open[g.Domain.String()]
		if !o.IsZero() {
			for _, r := range rs {
				failed = append(failed, objected(r, transit.Refuse, o))
			}
			continue
		}
		for _, r := range rs {
			g.To = append(g.To, r.Address)
			m.Header.Unprotected = append(m.Header.Unprotected, r.ID)
		}
		if err := f.expose(ctx, j, m, root, g, rs); err != nil {
			return nil, err
		}
	}
	return failed, nil
}

// unprotectable says why a message may not leave without protection; the zero Objection is that it may. root is its structure then.
func (m *outgoing) unprotectable() (root *message.Part, o rule.Objection, err error) {
	const sealing = "ask the operator of your own gateway whether mail to this partner can be sealed"
	object := func(reason, remedy string) (*message.Part, rule.Objection, error) {
		return nil, rule.Objection{Code: "5.7.1", Clause: clauseUnprotected, Reason: reason, Remedy: remedy}, nil
	}
	only := "nothing is sealed for this partner, and without protection goes a DICOM File-set alone"
	if m.Kind != transit.Mail {
		return object(only, sealing+".")
	}
	if root, err = message.Parse(m.body, m.Size, message.Limits{}); err == nil {
		_, _, err = mailbox.FindSet(root, m.body)
	}
	s := m.Header.Subjects
	switch {
	case unlessUnreadable(err) != nil:
		return nil, o, err
	case err != nil:
		return object(only, sealing+".")
	case s != nil && s.Package || m.header.Has("X-Direct-Context"):
		return object("nothing is sealed for this partner, and documents with metadata about a patient go protected alone", sealing+", or send the images alone.")
	case !zipmail.ChosenUnprotected(m.header):
		return object("nothing is sealed for this partner, and the sender has not said that these objects need no protection",
			sealing+"; or, if the objects need none, send them with --profile gen (from a mail program: with STD-GEN-ZIP-MAIL at the beginning of the subject).")
	case m.names():
		return object("the subject names a patient", "send it again with a subject that names nobody.")
	}
	return root, o, nil
}

// expose makes a message deliverable as it is, but for the marks that it bears (DCM-32).
func (f *Flow) expose(ctx context.Context, j *queue.Job, m *outgoing, root *message.Part, g agent.Group, to []store.Recipient) error {
	var marks message.Builder
	marks.Add(zipmail.ProfileField, zipmail.Gen.String()+" (not encrypted, not signed)")
	titled := strings.Contains(m.header.Text("Subject"), zipmail.SubjectPhrase)
	if !titled {
		marks.Add("Subject", zipmail.Subject(m.header.Text("Subject")))
	}
	more, err := built(&marks)
	if err != nil {
		return fmt.Errorf("flow: outbound: %w", err)
	}
	d, err := f.Blobs.Create()
	if err != nil {
		return fmt.Errorf("flow: outbound: %w", err)
	}
	defer d.Discard()
	err = zipmail.WriteUnprotected(d, m.body, root, func(name string) bool {
		return exposed(name) && (titled || !strings.EqualFold(name, "Subject"))
	}, more...)
	if err != nil {
		return fmt.Errorf("flow: outbound: %w", err)
	}
	s := sealed{Group: g, recipients: to, unprotected: true}
	for _, r := range to {
		s.judged = append(s.judged, agent.Judged{Address: r.Address, Verdict: trust.Verdict{Clause: clauseUnprotected, Reason: "nothing is sealed for this partner, by a rule"}})
	}
	if s.ref, err = d.Commit(); err != nil {
		return fmt.Errorf("flow: outbound: %w", err)
	}
	return f.deliverable(ctx, j, m, s)
}

// exposed says whether a field of a message goes out where everybody can read it: what a reader needs. Others tell of the house, or keep a
// subject that the sender has taken back (Thread-Topic).
func exposed(name string) bool {
	name = strings.ToLower(name)
	switch name {
	case "date", "from", "sender", "reply-to", "to", "cc", "message-id", "in-reply-to", "references", "subject", "disposition-notification-to", "importance", "priority":
		return true
	}
	return strings.HasPrefix(name, "x-telemedicine-")
}

// leaves says whether a field of a message from elsewhere stays as it is: not what tells of the ways that it came, nor a mark of ours that
// somebody else has made.
func leaves(name string) bool {
	for _, no := range []string{"Received", "Return-Path", "Authentication-Results", "Bcc", "Resent-Bcc", zipmail.ProfileField, mailbox.ProtectionField} {
		if strings.EqualFold(name, no) {
			return false
		}
	}
	return true
}

// unprotectedWords tell a timeline that a message left or came without protection.
func unprotectedWords(d transit.Direction) string {
	if d == transit.Outbound {
		return "neither encrypted nor signed (" + zipmail.Gen.String() + "): a rule has it so for this partner, and the sender has chosen it"
	}
	return "neither encrypted nor signed (" + zipmail.Gen.String() + "): anybody on the way could read and change it, and nobody vouches for its sender"
}
