package flow

import (
	"context"
	"errors"
	"fmt"
	"io"

	"carepost/addr"
	"carepost/cms"
	"carepost/dicom/fileset"
	"carepost/internal/agent"
	"carepost/internal/audit"
	"carepost/internal/blob"
	"carepost/internal/mailbox"
	"carepost/internal/queue"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/message"
	"carepost/smime"
	"carepost/trust"
)

// arrival is a message from the network, as one run of the inbound step sees it.
type arrival struct {
	store.Message
	waiting []store.Recipient
	opened  *smime.Opened
	judged  map[string]agent.Judged // by recipient id
	trusted []store.Recipient
	report  bool

	ref     blob.Ref // the opened message, durable, once somebody trusts it
	fileset *fileset.Report
	notes   []change // what a report says of earlier messages
}

// inbound opens a message into a hidden draft, judges its signer for every recipient, and shows it to those who trust. What cannot
// be opened or believed is set aside: audited, kept, never shown and never answered (Direct 3).
func (f *Flow) inbound(ctx context.Context, j *queue.Job) error {
	a := &arrival{judged: map[string]agent.Judged{}}
	var all []store.Recipient
	err := f.Store.View(ctx, func(tx *store.Tx) (err error) {
		if a.Message, err = tx.Message(j.Ref); err != nil {
			return err
		}
		all, err = tx.Recipients(j.Ref)
		return err
	})
	if err != nil {
		return fmt.Errorf("flow: inbound: %w", err)
	}
	for _, r := range all {
		if r.State == transit.Accepted {
			a.waiting = append(a.waiting, r)
		}
	}
	if len(a.waiting) == 0 {
		return nil
	}
	draft, err := f.Blobs.Create()
	if err != nil {
		return fmt.Errorf("flow: inbound: %w", err)
	}
	defer draft.Discard()
	if err := f.open(ctx, j, a, draft); err != nil {
		if clause, reason := unopenable(err); clause != "" {
			return f.setAside(ctx, j, a, clause, reason)
		}
		return err
	}
	undecided, err := f.judge(ctx, a)
	if err != nil {
		return err
	}
	if len(a.trusted) > 0 {
		if err := f.examine(ctx, j, a, draft); err != nil {
			return err
		}
	}
	if undecided != "" && expired(a.Message, f.Clock()) {
		undecided = ""
	}
	return f.Store.Tx(ctx, func(tx *store.Tx) error { return f.conclude(tx, j, a, undecided) })
}

// open decrypts and checks the signatures; the plaintext goes to the hidden draft alone.
func (f *Flow) open(ctx context.Context, j *queue.Job, a *arrival, draft *blob.Draft) error {
	var to []addr.Address
	for _, r := range a.waiting {
		to = append(to, r.Address)
	}
	keys, err := f.openers(ctx, to)
	if err != nil {
		return err
	}
	raw, err := f.body(ctx, a.Raw)
	if err != nil {
		return err
	}
	defer raw.Close()
	src := &progressReader{r: io.NewSectionReader(raw, 0, raw.Size()), ctx: ctx, tell: func(n int64) error {
		f.Progress("open", n, raw.Size())
		return j.Progress()
	}}
	a.opened, err = smime.Open(draft, src, keys, smime.OpenOptions{})
	return err
}

// unopenable says by which clause a message cannot be opened; empty where the error is ours or passing.
func unopenable(err error) (clause, reason string) {
	switch {
	case errors.Is(err, smime.ErrPlain):
		return "Direct 2.4", "the message is not encrypted"
	case errors.Is(err, smime.ErrNoKey):
		return "Direct 2.4", "the message is encrypted for none of our certificates"
	case errors.Is(err, smime.ErrDecrypt):
		return "RFC 5652 §6", "the message does not decrypt: damaged, cut or foreign"
	case errors.Is(err, cms.ErrAlgorithm):
		return "Direct 2.7", "the message is sealed by an algorithm that is not accepted"
	case errors.Is(err, smime.ErrUnsigned):
		return "Direct 2.4", "the message is not signed"
	case errors.Is(err, smime.ErrStructure):
		return "Direct 2.5.1", "the message is not a multipart/signed document inside EnvelopedData, or can be read in two ways"
	case errors.Is(err, smime.ErrLimit):
		return "RFC 8551 §3.7", "the message exceeds a limit of nesting or size"
	}
	return "", ""
}

// judge asks the agent for every recipient, once for those who share a domain's anchors. undecided says why some have no
// answer yet.
func (f *Flow) judge(ctx context.Context, a *arrival) (undecided string, err error) {
	now := f.Clock()
	for _, r := range a.waiting {
		party, err := f.party(ctx, r.Address, f.directions(a)...)
		if err != nil {
			return "", err
		}
		v := f.agent.Inbound(ctx, party, agent.Arrival{Envelope: a.Envelope, Opened: a.opened}, now)
		a.judged[r.ID] = v
		switch v.Verdict.Status {
		case trust.Trusted:
			a.trusted = append(a.trusted, r)
		case trust.Undecided:
			undecided = v.Verdict.Reason
		}
	}
	a.report = agent.IsReport(a.opened.Header)
	return undecided, nil
}

// directions: a report comes from somebody to whom we may send, perhaps without trusting him to send to us (one-way trust).
func (f *Flow) directions(a *arrival) []transit.Direction {
	if agent.IsReport(a.opened.Header) {
		return []transit.Direction{transit.Inbound, transit.Outbound}
	}
	return []transit.Direction{transit.Inbound}
}

// examine looks at what a trusted message holds: the news of a report, or a file-set. Then it makes the opened message durable.
func (f *Flow) examine(ctx context.Context, j *queue.Job, a *arrival, draft *blob.Draft) error {
	body, err := draft.Body()
	if err != nil {
		return fmt.Errorf("flow: inbound: %w", err)
	}
	defer body.Close()
	if a.report {
		a.notes, err = f.news(ctx, a, body)
	} else {
		a.fileset, err = f.checkFileSet(ctx, j, body)
	}
	if err != nil {
		return err
	}
	body.Close()
	if a.ref, err = draft.Commit(); err != nil {
		return fmt.Errorf("flow: inbound: %w", err)
	}
	return nil
}

// checkFileSet judges the DICOM.ZIP of a message; nil where there is none, or where the mail cannot be read as MIME.
func (f *Flow) checkFileSet(ctx context.Context, j *queue.Job, body transit.Body) (*fileset.Report, error) {
	set, err := mailbox.FileSet(f.Blobs, body)
	switch {
	case errors.Is(err, mailbox.ErrNoFileSet), errors.Is(err, message.ErrSyntax), errors.Is(err, message.ErrLimit), errors.Is(err, message.ErrAmbiguous):
		return nil, nil
	case errors.Is(err, message.ErrEncoding):
		return &fileset.Report{Findings: []fileset.Finding{{Severity: fileset.Damage, Rule: "mail-encoding", Source: "RFC 2045 §6.8",
			Text: "the attachment's base64 is damaged"}}}, nil
	case err != nil:
		return nil, err
	}
	defer set.Close()
	r, err := set.Check(ctx, fileset.CheckOptions{Progress: func(done, total int64) {
		f.Progress("check", done, total)
		_ = j.Progress() // a lost lease shows when the step is settled
	}})
	if err != nil {
		return nil, fmt.Errorf("flow: inbound: %w", err)
	}
	return r, nil
}

// conclude writes everything that became of an arrival, in one transaction: mail, states, duties, audit.
func (f *Flow) conclude(tx *store.Tx, j *queue.Job, a *arrival, undecided string) error {
	if len(a.trusted) > 0 {
		if err := f.show(tx, a); err != nil {
			return err
		}
	}
	for _, r := range a.waiting {
		v := a.judged[r.ID].Verdict
		if v.Status == trust.Trusted || v.Status == trust.Undecided && undecided != "" {
			continue
		}
		if err := f.aside(tx, r, v.Clause, v.Reason, evidence(v)); err != nil {
			return err
		}
	}
	if undecided != "" {
		return j.Retry(tx, -1, undecided)
	}
	if a.State == store.Received {
		if err := tx.SetMessageState(a.ID, a.Version, store.Decided, ""); err != nil {
			return err
		}
	}
	return j.Finish(tx)
}

// show makes the opened message visible to the recipients who trust its signer, and writes down what they now owe.
func (f *Flow) show(tx *store.Tx, a *arrival) error {
	if err := tx.InsertBlob(store.Blob(a.ref)); err != nil {
		return err
	}
	if err := tx.SetMessageWork(a.ID, a.ref.ID); err != nil {
		return err
	}
	head := shown(a.opened.Header)
	if err := tx.SetMessageHeader(a.ID, head); err != nil {
		return err
	}
	if err := f.apply(tx, a.notes); err != nil {
		return err
	}
	for _, r := range a.trusted {
		if err := f.showTo(tx, a, r, head); err != nil {
			return err
		}
	}
	return nil
}

func (f *Flow) showTo(tx *store.Tx, a *arrival, r store.Recipient, head store.Header) error {
	v := a.judged[r.ID].Verdict
	err := audit.Write(tx, audit.Entry{Actor: actor, Action: "recipient.open", Object: "recipient:" + r.ID, Detail: evidence(v)})
	if err != nil {
		return err
	}
	if a.report {
		return f.move(tx, r, transit.TakeNote, v.Clause, lines("verified", anchorWords(v)))
	}
	mail := store.Mail{Message: a.ID, Blob: a.ref.ID, At: f.Clock(), Size: a.ref.Size, Subject: head.Subject, Sender: head.Sender}
	err = f.Mailboxes.Deliver(tx, r.Address, mailbox.Inbox, mail)
	unknown := errors.Is(err, mailbox.ErrNoAccount)
	if err != nil && !unknown {
		return err
	}
	detail := lines("opened", openedWords(a.opened), "verified", anchorWords(v), "file-set", fileSetWords(a.fileset))
	if err := f.move(tx, r, transit.Trust, v.Clause, detail); err != nil {
		return err
	}
	// Direct 3.2: the processed notice is owed from here on. Its row is durable with the mail itself.
	if err := tx.InsertWork(&store.Work{Kind: kindNotice, Ref: r.ID, Unique: kindNotice + ":" + r.ID}); err != nil {
		return err
	}
	if unknown || a.fileset != nil && a.fileset.Verdict != fileset.Complete {
		return tx.InsertWork(&store.Work{Kind: kindFailure, Ref: r.ID, Unique: kindFailure + ":" + r.ID})
	}
	return nil
}

// setAside keeps a message that nobody may see: no plaintext, no report, an audit entry.
func (f *Flow) setAside(ctx context.Context, j *queue.Job, a *arrival, clause, reason string) error {
	return f.Store.Tx(ctx, func(tx *store.Tx) error {
		for _, r := range a.waiting {
			if err := f.aside(tx, r, clause, reason, map[string]string{"clause": clause, "reason": reason}); err != nil {
				return err
			}
		}
		if err := tx.SetMessageState(a.ID, a.Version, store.Decided, clause); err != nil {
			return err
		}
		return j.Finish(tx)
	})
}

func (f *Flow) aside(tx *store.Tx, r store.Recipient, clause, reason string, detail map[string]string) error {
	if err := f.move(tx, r, transit.Distrust, clause, reason); err != nil {
		return err
	}
	f.Log.Warn("message set aside", "message", r.Message, "clause", clause) // DIR-41; the reason is in the audit
	return audit.Write(tx, audit.Entry{Actor: actor, Action: "recipient.set-aside", Object: "recipient:" + r.ID, Detail: detail})
}

func openedWords(o *smime.Opened) string {
	how := "unwrapped"
	if o.Wrapped {
		how = "wrapped"
	}
	return fmt.Sprintf("%s, %s, %d signature%s good", o.Cipher, how, len(o.Good()), plural(len(o.Good())))
}

func fileSetWords(r *fileset.Report) string {
	if r == nil {
		return ""
	}
	return fmt.Sprintf("%s: %d of %d instances", r.Verdict, r.Instances-len(r.Missing), r.Instances)
}
