package flow

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

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

// judgeTime bounds all judging of one message; what is not judged by then is undecided. Certificates name the URLs that are
// fetched, and strangers make certificates.
const judgeTime = time.Minute

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
	digest  []byte   // SHA-256 of the opened message
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
	undecided, err := f.judge(ctx, j, a)
	if err != nil {
		return err
	}
	if len(a.trusted) > 0 {
		if err := f.examine(ctx, j, a, draft); err != nil {
			return err
		}
	}
	if undecided != "" && expired(a.Message, f.Clock()) {
		undecided = "" // it stays aside: nobody could ever say whether to trust it
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
	digest := sha256.New()
	a.opened, err = smime.Open(io.MultiWriter(draft, digest), src, keys, smime.OpenOptions{})
	a.digest = digest.Sum(nil)
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

// judge asks the agent for every recipient, once for those who hold the same anchors. undecided says why some have no answer yet.
func (f *Flow) judge(ctx context.Context, j *queue.Job, a *arrival) (undecided string, err error) {
	limited, cancel := context.WithTimeout(ctx, judgeTime)
	defer cancel()
	now := f.Clock()
	a.report = agent.IsReport(a.opened.Header)
	known := map[string]agent.Judged{} // by anchors
	for _, r := range a.waiting {
		if err := j.Progress(); err != nil {
			return "", err
		}
		party, err := f.party(ctx, r.Address, a.directions()...)
		if err != nil {
			return "", err
		}
		key := anchorKey(party)
		v, ok := known[key]
		if !ok {
			v = f.agent.Inbound(limited, party, agent.Arrival{Envelope: a.Envelope, Opened: a.opened}, now)
			known[key] = v
		}
		if v, err = f.ours(ctx, a, r, v); err != nil {
			return "", err
		}
		a.judged[r.ID] = v
		switch v.Verdict.Status {
		case trust.Trusted:
			a.trusted = append(a.trusted, r)
		case trust.Undecided:
			undecided = or(v.Verdict.Reason, "there was no time to judge the signer")
		}
	}
	return undecided, ctx.Err()
}

// ours adds what only we can know: that a message was sealed for this recipient's own certificate, and not for somebody else's of
// our accounts; and that mail in the name of our own domain was signed by our own key, whoever else's authority says so.
func (f *Flow) ours(ctx context.Context, a *arrival, r store.Recipient, v agent.Judged) (agent.Judged, error) {
	if v.Verdict.Status != trust.Trusted {
		return v, nil
	}
	sealedFor, err := f.holds(ctx, r.Address, a.opened.Own)
	if err != nil {
		return v, err
	}
	if !sealedFor {
		v.Verdict.Status, v.Verdict.Clause, v.Verdict.Reason = trust.Refused, "Direct 2.4", "the message is sealed for another recipient"
		return v, nil
	}
	local, err := f.IsLocal(ctx, v.Address.Domain)
	if err != nil || !local {
		return v, err
	}
	own, err := f.holds(ctx, v.Address, v.Verdict.Certificate)
	if err == nil && !own {
		v.Verdict.Status, v.Verdict.Clause, v.Verdict.Reason = trust.Refused, "Direct 1.4", "the sender is of our own domain, and the signature is not"
	}
	return v, err
}

// holds says whether a certificate is one of an address of ours.
func (f *Flow) holds(ctx context.Context, of addr.Address, c *x509.Certificate) (bool, error) {
	cs, err := f.certs(ctx, of)
	return c != nil && slices.ContainsFunc(cs, func(own store.Cert) bool { return bytes.Equal(own.DER, c.Raw) }), err
}

func anchorKey(p agent.Party) string {
	h := sha256.New()
	for _, c := range p.Anchors {
		sum := sha256.Sum256(c.Raw)
		h.Write(sum[:])
	}
	return string(h.Sum(nil))
}

// directions: a report comes from somebody to whom we may send, perhaps without trusting him to send to us (one-way trust).
func (a *arrival) directions() []transit.Direction {
	if a.report {
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
	if a.Work != "" {
		return nil // an earlier round has shown it to others
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
	r.Add(set.Findings...)
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
	if a.Work == "" {
		if err := tx.InsertBlob(store.Blob(a.ref)); err != nil {
			return err
		}
		if err := tx.SetMessageWork(a.ID, a.ref.ID); err != nil {
			return err
		}
	}
	head := shown(a.opened.Header)
	head.NoticeTo = noticeTo(a.Envelope, a.opened)
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
	again, err := f.seen(tx, a, r)
	if err != nil {
		return err
	}
	if again {
		return f.move(tx, r, transit.TakeNote, "Direct 3.2", "the same message was shown and answered before")
	}
	if a.report && len(a.notes) > 0 {
		return f.move(tx, r, transit.TakeNote, v.Clause, lines("verified", anchorWords(v)))
	}
	err = f.Mailboxes.Deliver(tx, r.Address, mailbox.Inbox, a.mail(f.Clock(), head))
	unknown := errors.Is(err, mailbox.ErrNoAccount)
	if err != nil && !unknown {
		return err
	}
	if a.report { // it is about nothing of ours: for a person to read, and not answered all the same
		return f.move(tx, r, transit.TakeNote, v.Clause, lines("verified", anchorWords(v)))
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

func (a *arrival) mail(now time.Time, head store.Header) store.Mail {
	return store.Mail{Message: a.ID, Blob: or(a.Work, a.ref.ID), At: now, Size: a.opened.Size, Subject: head.Subject, Sender: head.Sender}
}

// seen says whether this recipient was shown the same signed content before, whatever the outside of the message looks like now:
// sealed bytes that somebody kept and sends again are not shown and answered again.
func (f *Flow) seen(tx *store.Tx, a *arrival, r store.Recipient) (bool, error) {
	const shownContent = store.Token("shown")
	signer := sha256.Sum256(a.judged[r.ID].Verdict.Certificate.Raw)
	value := strings.Join([]string{r.Address.Key(), hex.EncodeToString(signer[:]), a.opened.Header.MessageID(), hex.EncodeToString(a.digest)}, "\n")
	before, err := tx.Correlated(shownContent, value)
	if err != nil {
		return false, err
	}
	if slices.ContainsFunc(before, func(b store.Recipient) bool { return b.ID != r.ID }) {
		return true, nil
	}
	return false, tx.Correlate(shownContent, value, r.ID, f.Clock().AddDate(1, 0, 0))
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
	tx.AfterCommit(func() {
		f.Log.Warn("message set aside", "message", r.Message, "clause", clause) // DIR-41; the reason is in the audit
	})
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
