package flow

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"carepost/addr"
	"carepost/dicom/fileset"
	"carepost/internal/agent"
	"carepost/internal/audit"
	"carepost/internal/mailbox"
	"carepost/internal/queue"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/mdn"
	"carepost/smime"
	"carepost/trust"
)

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
		if err := f.aside(tx, r, v.Clause, v.Reason, proof(a.judged[r.ID])); err != nil {
			return err
		}
		if c, there := a.strangers[r.ID]; there {
			if err := tx.PutContact(c); err != nil {
				return err
			}
		}
	}
	if undecided != "" {
		return j.Retry(tx, -1, undecided)
	}
	if err := f.decided(tx, a.ID, ""); err != nil {
		return err
	}
	return j.Finish(tx)
}

// show makes the opened message visible to the recipients who trust its signer, and writes down what they now owe.
func (f *Flow) show(tx *store.Tx, a *arrival) error {
	if err := a.lock(tx); err != nil {
		return err
	}
	if a.Work == "" {
		if err := tx.InsertBlob(store.Blob(a.ref)); err != nil {
			return err
		}
		if err := tx.SetMessageWork(a.ID, a.ref.ID); err != nil {
			return err
		}
	}
	head := shown(a.opened.Header)
	var err error
	head.NoticeTo = noticeTo(a.opened, a.Envelope, a.judged[a.trusted[0].ID].Address)
	answered := !a.report && !oracle(a.opened)
	head.FinalDelivery, head.Receipt = head.FinalDelivery && answered, mdn.WantsReceipt(a.opened.Header) && answered
	head.Refused = f.objections(a)
	s := a.subjects()
	head.Subjects = &s
	head.Part = a.partOf(a.judged[a.trusted[0].ID].Address)
	if err = tx.SetMessageHeader(a.ID, head); err != nil {
		return err
	}
	if a.shows, err = f.apply(tx, a.ID, a.notes); err != nil {
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
	addressed := addressedWords(a.opened.Header, r.Address)
	evidence := proof(a.judged[r.ID])
	if addressed != "" {
		evidence["addressed"] = addressed
	}
	err := disclosure(evidence, a.Message, head, a.judged[r.ID].Address, r.Address, a.report)
	if err != nil {
		return err
	}
	again, err := f.seen(tx, a, r)
	if err == nil && !again {
		again, err = f.told(tx, a, r)
	}
	if err != nil {
		return err
	}
	if again {
		evidence["repeat"] = "yes"
	}
	if o, no := head.Refused[r.ID]; no {
		evidence["refused"] = o.Reason
	}
	err = audit.Write(tx, audit.Entry{Actor: actor, Action: "recipient.open", Object: "recipient:" + r.ID, Detail: evidence})
	if err != nil {
		return err
	}
	if again {
		return f.move(tx, r, transit.TakeNote, "Direct 3.2", "the same message was shown and answered before")
	}
	if err := f.learn(tx, a, r); err != nil { // after that: bytes that somebody kept do not undo what was announced since
		return err
	}
	if a.report && len(a.notes) > 0 && !a.shows {
		return f.move(tx, r, transit.TakeNote, v.Clause, lines("verified", anchorWords(v)))
	}
	ruled, failing, gathered, err := f.hand(tx, a, r, head)
	if err != nil {
		return err
	}
	if !failing { // who has no account here today may have one when it is sent again, and a rule may have changed
		if err := f.keepTold(tx, a, r); err != nil {
			return err
		}
	}
	if a.report { // it is about nothing of ours, or says what a person wants to know: to be read, and not answered all the same
		return f.move(tx, r, transit.TakeNote, v.Clause, lines("verified", anchorWords(v), "rule", ruled))
	}
	detail := lines("opened", openedWords(a.opened), "verified", anchorWords(v), "addressed", addressed, "noted", agent.Findings(v), "file-set", fileSetWords(a.fileset), "disclosure", attestingWords(a),
		"transfer", gathered, "package", packageWords(a.found.Package), "context", contextWords(a.found), "rule", ruled)
	if oracle(a.opened) {
		return f.move(tx, r, transit.TakeNote, v.Clause, detail+"\nnot answered: only its ciphertext is signed")
	}
	failing = failing || a.fileset != nil && a.fileset.Verdict != fileset.Complete
	if f.unasked(a, r, head) {
		return f.unanswered(tx, r, v.Clause, detail, failing)
	}
	if err := f.move(tx, r, transit.Trust, v.Clause, detail); err != nil {
		return err
	}
	// Direct 3.2: the processed notice is owed from here on. Its row is durable with the mail itself.
	if err := tx.InsertWork(&store.Work{Kind: kindNotice, Ref: r.ID, Unique: kindNotice + ":" + r.ID}); err != nil {
		return err
	}
	if failing {
		return tx.InsertWork(&store.Work{Kind: kindFailure, Ref: r.ID, Unique: kindFailure + ":" + r.ID})
	}
	if ruled != "" { // it is not there yet
		return nil
	}
	return f.oweDelivery(tx, r, head)
}

// hand puts an opened message into its recipient's mailbox, unless a rule keeps it from there: for ever, or until a person releases it. failing
// says that its sender is to be told that it did not get there.
func (f *Flow) hand(tx *store.Tx, a *arrival, r store.Recipient, head store.Header) (ruled string, failing bool, gathered string, err error) {
	if o, no := head.Refused[r.ID]; no {
		return "refused: " + o.Reason, true, "", f.refuse(tx, r, o)
	}
	if why, holds := f.holding(a, r); holds && !a.isNews() {
		if _, err = tx.Holder(r.Address); err == nil {
			return "held until a person releases it", false, "", f.hold(tx, r, or(a.Work, a.ref.ID), why)
		}
		if !errors.Is(err, store.ErrNotFound) {
			return "", false, "", err
		}
	}
	err = f.Mailboxes.Deliver(tx, r.Address, mailbox.Inbox, a.mail(f.Clock(), head))
	if errors.Is(err, mailbox.ErrNoAccount) {
		return "", true, "", nil
	}
	if w, bad := a.warnings[r.ID]; bad && err == nil {
		err = f.intoMailbox(tx, r.Address, w)
	}
	if err == nil {
		gathered, err = f.gather(tx, a.ID, r.Address, head.Part)
	}
	return "", false, gathered, err
}

// oracle says that an answer would tell the signer whether a ciphertext decrypts that may be another's, changed by him: where the
// only signature is around it, and no tag protects it (RFC 3218 §2.3; docs/divergences.md).
func oracle(o *smime.Opened) bool {
	return o.Form.Has(smime.EncryptedThenSigned) && !o.Cipher.Authenticated()
}

func (a *arrival) mail(now time.Time, head store.Header) store.Mail {
	return store.Mail{Message: a.ID, Blob: or(a.Work, a.ref.ID), At: now, Size: a.opened.Size, Subject: head.Subject, Sender: head.Sender}
}

// seen says whether this recipient was shown the same signed content before, whatever the outside of the message looks like now:
// sealed bytes that somebody kept and sends again are not shown and answered again. An act of signing is known by the attributes that
// it signed. The header does not count, for of an unwrapped message it is anybody's; nor does a signature that has gone since, for
// every trusted one is remembered. One that is good and not trusted here does not count: a trusted sender who adds the signature of another
// to his own would keep that one's letter from being shown.
func (f *Flow) seen(tx *store.Tx, a *arrival, r store.Recipient) (again bool, err error) {
	const shownContent = store.Token("shown")
	for _, s := range a.judged[r.ID].Signatures {
		if s.Verdict.Status != trust.Trusted {
			continue
		}
		signer := sha256.Sum256(s.Certificate.RawSubjectPublicKeyInfo)
		value := strings.Join([]string{r.Address.Key(), hex.EncodeToString(signer[:]), hex.EncodeToString(s.Act[:])}, "\n")
		before, err := tx.Correlated(shownContent, value)
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(before, func(b store.Recipient) bool { return b.ID != r.ID }) {
			again = true
			continue
		}
		if err := tx.Correlate(shownContent, value, r.ID, f.Clock().AddDate(1, 0, 0)); err != nil {
			return false, err
		}
	}
	return again, nil
}

// lock has two copies of a letter that are opened at once, perhaps on two nodes, shown one after the other: the second is known as a repeat.
func (a *arrival) lock(tx *store.Tx) error {
	var to []addr.Address
	for _, r := range a.trusted {
		to = append(to, a.home(r))
	}
	slices.SortFunc(to, func(x, y addr.Address) int { return strings.Compare(x.Key(), y.Key()) }) // or two could wait for one another
	for _, t := range slices.CompactFunc(to, addr.Address.Equal) {
		if err := tx.LockShown(t); err != nil {
			return err
		}
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
		if err := f.decided(tx, a.ID, clause); err != nil {
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
	m, err := tx.Message(r.Message)
	if err != nil {
		return err
	}
	if !m.Envelope.From.IsNull() {
		detail["from"] = m.Envelope.From.Address.String() // who is said to have sent it
	}
	if m.Envelope.Peer.IsValid() {
		detail["peer"] = m.Envelope.Peer.Addr().Unmap().String()
	}
	return audit.Write(tx, audit.Entry{Actor: actor, Action: "recipient.set-aside", Object: "recipient:" + r.ID, Detail: detail})
}

func openedWords(o *smime.Opened) string {
	how := "unwrapped"
	switch {
	case o.Wrapped:
		how = "wrapped"
	case o.HeaderProtected:
		how = "unwrapped, its header protected"
	}
	if o.Form != 0 {
		how += ", " + o.Form.String()
	}
	return fmt.Sprintf("%s by %s, %s, %d signature%s good", o.Cipher, o.Key, how, len(o.Good()), plural(len(o.Good())))
}

func fileSetWords(r *fileset.Report) string {
	if r == nil {
		return ""
	}
	return fmt.Sprintf("%s: %d of %d instances", r.Verdict, r.Found, r.Instances)
}
