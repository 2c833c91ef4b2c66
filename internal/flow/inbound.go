package flow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"carepost/addr"
	"carepost/cms"
	"carepost/dicom/fileset"
	"carepost/dicom/zipmail"
	"carepost/internal/agent"
	"carepost/internal/blob"
	"carepost/internal/crash"
	"carepost/internal/mailbox"
	"carepost/internal/queue"
	"carepost/internal/rule"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/message"
	"carepost/smime"
	"carepost/trust"
)

// judgeTime bounds all judging of one message; what is not judged by then is undecided. Certificates name the URLs that are
// fetched, and strangers make certificates.
const judgeTime = time.Minute

// arrival is a message from the network, as one run of the inbound step sees it.
type arrival struct {
	store.Message
	waiting []store.Recipient
	homes   map[string]addr.Address // by id of each recipient: whose mailbox it is
	certs   []store.Cert            // of all its recipients
	raw     store.Blob
	opened  *smime.Opened
	says    []byte                  // digest, see saying
	judged  map[string]agent.Judged // by recipient id
	trusted []store.Recipient

	strangers map[string]store.Contact // by recipient id: nothing is missing but an anchor
	report    bool
	budget    *trust.Budget // of fetches, for all judging in this run

	ref     blob.Ref // the opened message, durable, once somebody trusts it
	fileset *fileset.Report
	part    zipmail.Part     // of a large set, that the mail says it is
	found   mailbox.Contents // what else it holds for programs

	warnings map[string]bounced // by recipient id: letters of ours about a file-set that is not COMPLETE

	enclosed transit.Subjects // whom a report is about, all the same
	content  *rule.Content    // where a rule asks for it
	notes    []change         // what a report says of earlier messages
	shows    bool             // and it is for a person to read
}

// inbound opens a message into a hidden draft, judges its signer for every recipient, and shows it to those who trust. What cannot
// be opened or believed is set aside: audited, kept, never shown and never answered (Direct 3).
func (f *Flow) inbound(ctx context.Context, j *queue.Job) error {
	a := &arrival{judged: map[string]agent.Judged{}, strangers: map[string]store.Contact{}, budget: agent.NewBudget()}
	if err := f.Store.View(ctx, func(tx *store.Tx) error { return a.read(tx, j.Ref) }); err != nil {
		return fmt.Errorf("flow: inbound: %w", err)
	}
	if len(a.waiting) == 0 {
		return nil
	}
	f.allow(&a.Message)
	draft, err := f.Blobs.Create()
	if err != nil {
		return fmt.Errorf("flow: inbound: %w", err)
	}
	defer draft.Discard()
	if err := f.open(ctx, j, a, draft); err != nil {
		if is, err := f.rejoin(ctx, j, a); is || err != nil {
			return err
		}
		if errors.Is(err, smime.ErrPlain) {
			return f.unsealed(ctx, j, a)
		}
		if clause, reason := unopenable(err); clause != "" {
			return f.setAside(ctx, j, a, clause, reason)
		}
		return err
	}
	crash.Point("open.drafted")
	undecided, err := f.believe(ctx, j, a, draft)
	if err != nil {
		return err
	}
	if len(a.trusted) > 0 {
		if err := f.examine(ctx, j, a, draft); err != nil {
			return err
		}
		if err := f.warn(a); err != nil {
			return err
		}
	}
	if undecided != "" && expired(a.Message, f.Clock()) {
		undecided = "" // it stays aside: nobody could ever say whether to trust it
	}
	return f.concluded(ctx, a, func(tx *store.Tx) error { return f.conclude(tx, j, a, undecided) })
}

// concluded writes the rows about an arrival whose bodies lie durable.
func (f *Flow) concluded(ctx context.Context, a *arrival, conclude func(*store.Tx) error) error {
	if a.report {
		crash.Point("report.verified")
	} else {
		crash.Point("open.body-durable")
	}
	err := f.commit(ctx, conclude, a.made()...)
	if a.report {
		crash.Point("report.noted")
	} else {
		crash.Point("open.rows-durable")
	}
	return err
}

// read looks up everything that opening a message wants.
func (a *arrival) read(tx *store.Tx, id string) (err error) {
	if a.Message, err = tx.Message(id); err != nil {
		return err
	}
	all, err := tx.Recipients(id)
	if err != nil {
		return err
	}
	a.waiting, a.certs, a.homes = nil, nil, map[string]addr.Address{}
	for _, r := range all {
		if a.homes[r.ID], _, err = home(tx, r.Address); err != nil {
			return err
		}
		if r.State == transit.Accepted {
			a.waiting = append(a.waiting, r)
		}
		// Of those too who wait no more: in every round one key opens the message. What another would read need not be what was shown.
		cs, err := certsOf(tx, r.Address)
		if err != nil {
			return err
		}
		for _, c := range cs {
			if !slices.ContainsFunc(a.certs, func(b store.Cert) bool { return b.ID == c.ID }) {
				a.certs = append(a.certs, c)
			}
		}
	}
	if len(a.waiting) > 0 { // else it may be gone already
		a.raw, err = tx.Blob(a.Raw)
	}
	return err
}

// home is whose mailbox a recipient's mail goes to.
func (a *arrival) home(r store.Recipient) addr.Address { return a.homes[r.ID] }

// made are the bodies that wait for the rows of this run.
func (a *arrival) made() (refs []blob.Ref) {
	refs = append(refs, a.ref)
	for _, w := range a.warnings {
		refs = append(refs, w.ref)
	}
	for _, c := range a.notes {
		if c.bounced != nil {
			refs = append(refs, c.bounced.ref)
		}
	}
	return refs
}

// open decrypts and checks the signatures; the plaintext goes to the hidden draft alone.
func (f *Flow) open(ctx context.Context, j *queue.Job, a *arrival, draft *blob.Draft) error {
	keys, err := f.openers(ctx, a.certs)
	if err != nil {
		return err
	}
	raw, err := f.bodyOf(a.raw)
	if err != nil {
		return err
	}
	defer raw.Close()
	src := &progressReader{r: io.NewSectionReader(raw, 0, raw.Size()), ctx: ctx, tell: func(n int64) error {
		f.Progress("open", n, raw.Size())
		return j.Progress()
	}}
	said := newSaying(draft)
	how := f.opens(a, raw).Open()
	how.All = len(a.homes) > 1 // one may have a certificate of his own, the other the organisation's
	a.opened, err = smime.Open(said, src, keys, how)
	if err == nil {
		a.says = said.sum(a.opened.Header)
	}
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

// examine looks into a trusted message: for a file-set, where it is no report, and for what rules ask. Then it makes it durable.
func (f *Flow) examine(ctx context.Context, j *queue.Job, a *arrival, draft *blob.Draft) error {
	body, err := draft.Body()
	if err != nil {
		return fmt.Errorf("flow: inbound: %w", err)
	}
	defer body.Close()
	if !a.report {
		if a.fileset, a.part, err = f.checkFileSet(ctx, j, body); err != nil {
			return err
		}
		if a.found, err = f.describe(ctx, j, body); err != nil {
			return err
		}
	} else if a.enclosed, err = f.subjects(ctx, body); err != nil { // a report may hold what it is no report of
		return fmt.Errorf("flow: inbound: %w", err)
	}
	if err := f.look(a, body); err != nil {
		return err
	}
	if a.Work != "" {
		return nil // an earlier round has shown it to others
	}
	if a.ref, err = draft.Commit(); err != nil {
		return fmt.Errorf("flow: inbound: %w", err)
	}
	return nil
}

// checkFileSet judges the DICOM.ZIP of a message; nil where there is none, or where the mail cannot be read as MIME.
func (f *Flow) checkFileSet(ctx context.Context, j *queue.Job, body transit.Body) (*fileset.Report, zipmail.Part, error) {
	var none zipmail.Part
	set, err := mailbox.FileSet(f.Blobs, body)
	switch {
	case errors.Is(err, mailbox.ErrNoFileSet), errors.Is(err, message.ErrSyntax), errors.Is(err, message.ErrLimit), errors.Is(err, message.ErrAmbiguous):
		return nil, none, nil
	case errors.Is(err, message.ErrEncoding):
		return &fileset.Report{Findings: []fileset.Finding{{Severity: fileset.Damage, Rule: "mail-encoding", Source: "RFC 2045 §6.8",
			Text: "the attachment's base64 is damaged"}}}, none, nil
	case err != nil:
		return nil, none, err
	}
	defer set.Close()
	r, err := set.Check(ctx, fileset.CheckOptions{Progress: func(done, total int64) {
		f.Progress("check", done, total)
		_ = j.Progress() // a lost lease shows when the step is settled
	}})
	if err != nil {
		return nil, none, fmt.Errorf("flow: inbound: %w", err)
	}
	r.Add(set.Doubts()...)
	return r, set.Part, nil
}
