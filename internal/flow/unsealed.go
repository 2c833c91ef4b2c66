package flow

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"carepost/dicom/zipmail"
	"carepost/internal/agent"
	"carepost/internal/audit"
	"carepost/internal/mailbox"
	"carepost/internal/queue"
	"carepost/internal/rule"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/message"
	"carepost/smime"
)

// unsealed shows a File-set that came without protection to those for whom a rule of the operator takes such mail from its sender, as the
// envelope and the From name him. It is marked wherever it is shown or kept, and never answered: who wrote it nobody knows, and what domains
// say of their mail (SPF, DKIM, DMARC) is not looked at here. All else that is not encrypted is set aside (Direct 2.4, DCM-32).
func (f *Flow) unsealed(ctx context.Context, j *queue.Job, a *arrival) error {
	raw, err := f.bodyOf(a.raw)
	if err != nil {
		return err
	}
	defer raw.Close()
	root, clause, reason, err := f.unsealable(ctx, a, raw)
	if err != nil {
		return fmt.Errorf("flow: inbound: %w", err)
	}
	if clause != "" {
		return f.setAside(ctx, j, a, clause, reason)
	}
	draft, err := f.Blobs.Create()
	if err != nil {
		return fmt.Errorf("flow: inbound: %w", err)
	}
	defer draft.Discard()
	said := newSaying(io.Discard)
	if _, err := io.Copy(said, io.NewSectionReader(raw, 0, raw.Size())); err != nil {
		return fmt.Errorf("flow: inbound: %w", err)
	}
	a.says = said.sum(root.Header)
	var mark message.Builder
	mark.Add(mailbox.ProtectionField, "none; "+zipmail.Gen.String()+", neither encrypted nor signed")
	more, err := built(&mark)
	if err != nil {
		return fmt.Errorf("flow: inbound: %w", err)
	}
	count := &counting{w: draft}
	if err := zipmail.WriteUnprotected(count, raw, root, func(name string) bool { return leaves(name) || kept(name) }, more...); err != nil {
		return fmt.Errorf("flow: inbound: %w", err)
	}
	a.opened.Size = count.n
	if err := f.examine(ctx, j, a, draft); err != nil {
		return err
	}
	if err := f.warn(a); err != nil {
		return err
	}
	return f.concluded(ctx, a, func(tx *store.Tx) error { return f.concludeUnsealed(tx, j, a) })
}

// kept says that a field stays in a mail that came, though none of ours would show it to strangers.
func kept(name string) bool {
	return slices.ContainsFunc([]string{"Received", "Return-Path", "Authentication-Results", "Bcc", zipmail.ProfileField}, func(k string) bool {
		return bytes.EqualFold([]byte(name), []byte(k))
	})
}

// unsealable reads a message that is not encrypted, and says by which clause nobody is shown it; empty where those are in a.trusted who are.
func (f *Flow) unsealable(ctx context.Context, a *arrival, raw transit.Body) (root *message.Part, clause, reason string, err error) {
	const notEncrypted = "the message is not encrypted"
	if root, err = message.Parse(raw, raw.Size(), message.Limits{}); err != nil {
		return nil, "Direct 2.4", notEncrypted, unlessUnreadable(err)
	}
	a.opened = &smime.Opened{Outer: root.Header, Header: root.Header}
	senders := agent.Arrival{Envelope: a.Envelope, Opened: a.opened}.Senders()
	a.trusted = nil
	for _, r := range a.waiting {
		if f.form(a.home(r), transit.Inbound, senders...) == rule.Plain {
			a.trusted = append(a.trusted, r)
			a.judged[r.ID] = agent.Judged{Address: senders[0], Senders: senders}
		}
	}
	if len(a.trusted) == 0 {
		return nil, "Direct 2.4", notEncrypted, nil
	}
	for _, s := range senders {
		if local, err := f.IsLocal(ctx, s.Domain); err != nil || local {
			return nil, "Direct 1.4", "the sender is of our own domain, and nothing is signed", err
		}
	}
	if agent.IsReport(root.Header) {
		return nil, "Direct 2.4", "a report that is not signed says nothing", nil
	}
	_, _, err = mailbox.FindSet(root, raw)
	switch {
	case errors.Is(err, mailbox.ErrNoFileSet):
		return nil, clauseUnprotected, "without protection a DICOM File-set is taken alone, and there is none in the message", nil
	case err != nil:
		return nil, clauseUnprotected, "the message cannot be read", unlessUnreadable(err)
	}
	return root, "", "", nil
}

// concludeUnsealed writes everything that became of an arrival without protection, in one transaction.
func (f *Flow) concludeUnsealed(tx *store.Tx, j *queue.Job, a *arrival) error {
	if err := a.lock(tx); err != nil {
		return err
	}
	if err := tx.InsertBlob(store.Blob(a.ref)); err != nil {
		return err
	}
	if err := tx.SetMessageWork(a.ID, a.ref.ID); err != nil {
		return err
	}
	head := shown(a.opened.Header)
	head.FinalDelivery = false // nobody is answered
	head.Refused = f.objections(a)
	s := a.subjects()
	head.Subjects = &s
	if head.Part = a.partOf(a.judged[a.trusted[0].ID].Address); head.Part != nil {
		head.Part.Unprotected = true
	}
	for _, r := range a.trusted {
		head.Unprotected = append(head.Unprotected, r.ID)
	}
	if err := tx.SetMessageHeader(a.ID, head); err != nil {
		return err
	}
	for _, r := range a.waiting {
		if _, shown := a.judged[r.ID]; shown {
			if err := f.showUnsealed(tx, a, r, head); err != nil {
				return err
			}
			continue
		}
		const reason = "the message is not encrypted"
		if err := f.aside(tx, r, "Direct 2.4", reason, map[string]string{"clause": "Direct 2.4", "reason": reason}); err != nil {
			return err
		}
	}
	if err := f.decided(tx, a.ID, ""); err != nil {
		return err
	}
	return j.Finish(tx)
}

func (f *Flow) showUnsealed(tx *store.Tx, a *arrival, r store.Recipient, head store.Header) error {
	evidence := map[string]string{"protection": "none", "clause": clauseUnprotected}
	if err := disclosure(evidence, a.Message, head, a.judged[r.ID].Address, r.Address, false); err != nil {
		return err
	}
	again, err := f.told(tx, a, r)
	if err != nil {
		return err
	}
	if again {
		evidence["repeat"] = "yes"
	}
	if o, no := head.Refused[r.ID]; no {
		evidence["refused"] = o.Reason
	}
	if err := audit.Write(tx, audit.Entry{Actor: actor, Action: "recipient.open", Object: "recipient:" + r.ID, Detail: evidence}); err != nil {
		return err
	}
	if again {
		return f.move(tx, r, transit.TakeNote, clauseUnprotected, "the same message was shown before")
	}
	ruled, failing, gathered, err := f.hand(tx, a, r, head)
	if err != nil {
		return err
	}
	if !failing {
		if err := f.keepTold(tx, a, r); err != nil {
			return err
		}
	}
	return f.move(tx, r, transit.TakeNote, clauseUnprotected, lines("unprotected", unprotectedWords(transit.Inbound),
		"addressed", addressedWords(a.opened.Header, r.Address), "file-set", fileSetWords(a.fileset), "transfer", gathered, "package", packageWords(a.found.Package), "rule", ruled)+
		"\nnot answered: nobody knows who sent it")
}

// built gives the fields that were put together.
func built(b *message.Builder) ([]message.Field, error) {
	var text bytes.Buffer
	if _, err := b.WriteTo(&text); err != nil {
		return nil, err
	}
	h, err := message.ReadHeader(bufio.NewReader(&text), message.Limits{})
	return h.Fields(), err
}

// counting counts what is written.
type counting struct {
	w io.Writer
	n int64
}

func (c *counting) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
