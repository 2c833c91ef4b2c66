package flow

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"carepost/cms"
	"carepost/internal/agent"
	"carepost/internal/audit"
	"carepost/internal/blob"
	"carepost/internal/crash"
	"carepost/internal/queue"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/message"
	"carepost/smime"
	"carepost/trust"
)

// outgoing is a message on its way out, as one run of the outbound step sees it.
type outgoing struct {
	store.Message
	waiting []store.Recipient       // not yet decided
	waiters map[string]store.Waiter // by recipient: who waits, or has waited, for a person
	body    *blob.Body
	header  message.Header
	now     time.Time
}

// sealed is a group whose message is durable, waiting for its rows.
type sealed struct {
	agent.Group
	ref        blob.Ref
	recipients []store.Recipient
	judged     []agent.Judged // of the recipients
	signer     cms.Signer

	unprotected bool // it is not sealed at all
}

// outbound decides about the recipients of a message, seals for those that are trusted and tells the sender of those that are
// refused. Who is undecided is asked about again at the back-off of the work. Each group is on its way as soon as it is sealed.
func (f *Flow) outbound(ctx context.Context, j *queue.Job) error {
	m, err := f.outgoing(ctx, j.Ref)
	if err != nil {
		return err
	}
	if m.body != nil {
		defer m.body.Close()
	}
	failed, err := f.obey(ctx, m)
	if err != nil {
		return err
	}
	unwanted, err := f.unprotected(ctx, j, m)
	if err != nil {
		return err
	}
	failed = append(failed, unwanted...)
	var decision agent.Decision
	if len(m.waiting) > 0 { // else an earlier run was stopped before its last transaction
		if decision, err = f.decide(ctx, j, m); err != nil {
			return err
		}
	}
	if len(decision.Groups) > 0 {
		if err := f.aboutWhom(ctx, m); err != nil {
			return err
		}
	}
	refused, undecided := sortOut(m, decision)
	failed = append(failed, refused...)
	for _, g := range decision.Groups {
		if telling := f.tells(m, g); len(telling) > 0 {
			failed = append(failed, telling...)
			continue
		}
		switch err := f.dispatch(ctx, j, m, decision, g); {
		case errors.Is(err, errNoOwnCertificate):
			failed = append(failed, m.unnameable(g)...)
		case unsealable(err):
			failed = append(failed, m.unsealed(g, err)...)
		case errors.Is(err, errNoCertificate) && expired(m.Message, m.now):
			failed = append(failed, m.unsigned(g)...)
		case errors.Is(err, errNoCertificate): // by this profile, perhaps: one bad recipient never holds back the good
			undecided = err.Error()
		case err != nil:
			return err
		}
	}
	bounced, err := f.bounce(ctx, m.Message, failed, m.now)
	if err != nil {
		return err
	}
	crash.Point("outbound.decided")
	err = f.commit(ctx, func(tx *store.Tx) error {
		if err := f.fail(tx, m.Message, bounced, failed); err != nil {
			return err
		}
		if undecided != "" {
			return j.Retry(tx, -1, undecided)
		}
		if resting, err := f.resting(tx, j); err != nil || resting {
			return err
		}
		if err := f.decided(tx, m.ID, ""); err != nil {
			return err
		}
		return j.Finish(tx)
	}, bounced.ref)
	crash.Point("outbound.settled")
	return err
}

func (f *Flow) outgoing(ctx context.Context, id string) (*outgoing, error) {
	m := &outgoing{now: f.Clock()}
	var all []store.Recipient
	err := f.Store.View(ctx, func(tx *store.Tx) (err error) {
		if m.Message, err = tx.Message(id); err != nil {
			return err
		}
		f.allow(&m.Message)
		waiters, err := tx.WaitersOf(id)
		if err != nil {
			return err
		}
		m.waiters = map[string]store.Waiter{}
		for _, w := range waiters {
			m.waiters[w.Recipient] = w
		}
		all, err = tx.Recipients(id)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("flow: outbound: %w", err)
	}
	for _, r := range all {
		if r.State == transit.Accepted {
			m.waiting = append(m.waiting, r)
		}
	}
	if len(m.waiting) == 0 {
		return m, nil // its body may be gone already
	}
	if m.body, err = f.body(ctx, m.Raw); err != nil {
		return nil, err
	}
	if m.header, err = readHeader(m.body); err != nil {
		m.body.Close()
		return nil, fmt.Errorf("flow: outbound: %w", err)
	}
	return m, nil
}

// decide asks the agent about everybody who waits.
func (f *Flow) decide(ctx context.Context, j *queue.Job, m *outgoing) (agent.Decision, error) {
	directions := []transit.Direction{transit.Outbound}
	if m.Kind == transit.Report && m.Dedupe == nil {
		// One-way trust: who may send to us is owed an answer (Direct 3.2): the one made here. What somebody has submitted can be repeated,
		// and is his letter, whatever he calls it.
		directions = append(directions, transit.Inbound)
	}
	party, err := f.party(ctx, m.Envelope.From.Address, directions...)
	if err != nil {
		return agent.Decision{}, err
	}
	party.Introducing = m.Kind == transit.Hello
	o := agent.Outgoing{Named: agent.Named(m.header), Now: m.now, Progress: j.Progress, Announced: f.announced(ctx, m.Envelope.From.Address.Domain)}
	return f.byWay(ctx, party, m, o), nil
}

// sortOut names the recipients that fail, and why others have no answer yet; when the message's time is over these fail too.
func sortOut(m *outgoing, d agent.Decision) (failed []failure, undecided string) {
	for i, r := range m.waiting {
		v := d.Recipients[i].Verdict
		switch {
		case v.Status == trust.Refused:
			failed = append(failed, failure{r, transit.Refuse, refusalCode(v), v.Clause, v.Reason, search(d.Recipients[i])})
		case v.Status != trust.Trusted && expired(m.Message, m.now):
			failed = append(failed, failure{r, transit.Expire, "4.4.7", "RFC 5321 §4.5.4.1", "no answer could be had in time: " + v.Reason, search(d.Recipients[i])})
		case v.Status != trust.Trusted:
			undecided = or(v.Reason, "there was no answer")
		}
	}
	return failed, undecided
}

// unsealable says that an error of sealing is about the message or a key, and will be the same next time.
func unsealable(err error) bool {
	for _, e := range []error{message.ErrSyntax, message.ErrAmbiguous, message.ErrLimit, cms.ErrAlgorithm} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// unsealed are the failures of a group that nothing could be sealed for.
func (m *outgoing) unsealed(g agent.Group, err error) (failed []failure) {
	for _, r := range m.of(g) {
		failed = append(failed, failure{r, transit.Refuse, "5.6.0", "Direct 2.1", "the message cannot be sealed as it is: " + err.Error(), nil})
	}
	return failed
}

// unsigned are the failures of a group that nothing of ours could sign for until the message's time was over.
func (m *outgoing) unsigned(g agent.Group) (failed []failure) {
	for _, r := range m.of(g) {
		failed = append(failed, failure{r, transit.Expire, "5.3.0", "Direct 2.4", "the sender has had no certificate to sign with that mail to this recipient allows",
			map[string]string{"remedy": "ask your administrator for a certificate, then send it again."}})
	}
	return failed
}

// of are the waiting recipients of a group.
func (m *outgoing) of(g agent.Group) (out []store.Recipient) {
	for _, r := range m.waiting {
		if slices.Contains(g.To, r.Address) {
			out = append(out, r)
		}
	}
	return out
}

// dispatch seals for one group and makes the result deliverable.
func (f *Flow) dispatch(ctx context.Context, j *queue.Job, m *outgoing, d agent.Decision, g agent.Group) error {
	s, err := f.seal(ctx, j, m, g)
	if err != nil {
		return err
	}
	for _, r := range s.recipients {
		i := slices.IndexFunc(m.waiting, func(w store.Recipient) bool { return w.ID == r.ID })
		s.judged = append(s.judged, d.Recipients[i])
	}
	return f.deliverable(ctx, j, m, s)
}

// deliverable writes the rows of what lies durable.
func (f *Flow) deliverable(ctx context.Context, j *queue.Job, m *outgoing, s sealed) error {
	if err := j.Progress(); err != nil {
		_ = f.Blobs.Remove(s.ref) // another worker has the message
		return err
	}
	crash.Point("seal.body-durable")
	err := f.commit(ctx, func(tx *store.Tx) error { return f.enqueue(tx, m, s) }, s.ref)
	crash.Point("seal.rows-durable")
	return err
}

// seal signs and encrypts the message for one group, blob to blob.
func (f *Flow) seal(ctx context.Context, j *queue.Job, m *outgoing, g agent.Group) (sealed, error) {
	s := sealed{Group: g, recipients: m.of(g)}
	var err error
	if s.signer, err = f.signerFor(ctx, m, g); err != nil {
		return s, err
	}
	d, err := f.Blobs.Create()
	if err != nil {
		return s, fmt.Errorf("flow: seal: %w", err)
	}
	defer d.Discard()
	src := &progressReader{r: io.NewSectionReader(m.body, 0, m.Size), ctx: ctx, tell: func(n int64) error {
		f.Progress("seal", n, m.Size)
		return j.Progress()
	}}
	o := smime.SealOptions{
		Signers: []cms.Signer{s.signer}, Recipients: g.Certificates, Cipher: g.Encryption.Cipher, Transport: g.Encryption.Transport,
		Outer: smime.OuterFor(m.Envelope.From.Address, g.To...), Blind: blindReader(g), Rand: rand.Reader,
	}
	if g.SMIME {
		o = m.unwrapped(o, f.visible(m, g.To[0]))
	}
	if err = smime.Seal(d, src, o); err != nil {
		return s, fmt.Errorf("flow: seal: %w", err)
	}
	if s.ref, err = d.Commit(); err != nil {
		return s, fmt.Errorf("flow: seal: %w", err)
	}
	return s, nil
}

// enqueue makes a sealed group deliverable.
func (f *Flow) enqueue(tx *store.Tx, m *outgoing, s sealed) error {
	if err := tx.InsertBlob(store.Blob(s.ref)); err != nil {
		return err
	}
	var ids []string
	for _, r := range s.recipients {
		ids = append(ids, r.ID)
	}
	if err := tx.SetMessageHeader(m.ID, m.Header); err != nil { // with its Subjects
		return err
	}
	delivery := store.Delivery{Message: m.ID, Domain: s.Domain, Blob: s.ref.ID}
	if err := tx.InsertDelivery(&delivery, ids...); err != nil {
		return err
	}
	for i, r := range s.recipients {
		patience, _ := f.awaits(m.Message, r)
		until := m.Expires.Add(patience + f.Repeats) // a notice in time is known as one, however long it is awaited
		v := s.judged[i].Verdict
		if err := f.move(tx, r, transit.Seal, v.Clause, sealedDetail(m, s, s.judged[i])); err != nil {
			return err
		}
		if err := tx.Correlate(store.ByMessageID, m.header.MessageID(), r.ID, until); err != nil {
			return err
		}
		if id := m.Envelope.ID; id != "" {
			if err := tx.Correlate(store.ByEnvelopeID, envelopeID(m.Envelope.From.Address, id), r.ID, until); err != nil {
				return err
			}
		}
		action := "recipient.seal"
		if s.unprotected {
			action = "recipient.expose"
		}
		err := audit.Write(tx, audit.Entry{Actor: actor, Action: action, Object: "recipient:" + r.ID, Detail: search(s.judged[i])})
		if err != nil {
			return err
		}
	}
	return tx.InsertWork(&store.Work{Kind: kindDeliver, Ref: delivery.ID, Lane: queue.Lane(s.ref.Size), Dest: s.Domain.String(),
		Unique: kindDeliver + ":" + delivery.ID})
}

// move makes a state change that the table of transit allows.
func (f *Flow) move(tx *store.Tx, r store.Recipient, e transit.Event, cause, detail string) error {
	to, err := r.State.Next(e)
	if err != nil {
		return err
	}
	return tx.MoveRecipient(r.ID, r.Version, store.Move{Of: r.Message, From: r.State, To: to, Cause: cause, Detail: detail})
}

// sealedDetail is the evidence that a timeline shows for a sealed recipient, one "what: words" a line.
func sealedDetail(m *outgoing, s sealed, j agent.Judged) string {
	if s.unprotected {
		return lines("unprotected", unprotectedWords(transit.Outbound))
	}
	return lines(
		"found", agent.Where(j.Found),
		"trusted", anchorWords(j.Verdict),
		"addressed", blindWords(s.Group),
		"form", formWords(s.Group),
		"disclosure", attestedWords(m.Header),
		"sealed", fmt.Sprintf("signed %s, encrypted %s for %d certificate%s by %s", signatureWords(s.signer), s.Encryption.Cipher,
			len(s.Certificates), plural(len(s.Certificates)), algorithmWords(s.Keys())),
	)
}

// progressReader tells how far a copy is, and stops it when ctx ends or the lease is lost.
type progressReader struct {
	r    io.Reader
	ctx  context.Context
	tell func(n int64) error
	n    int64
	last int64
}

func (p *progressReader) Read(b []byte) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := p.r.Read(b)
	p.n += int64(n)
	if p.n-p.last >= 1<<20 || err != nil {
		p.last = p.n
		if terr := p.tell(p.n); terr != nil {
			return n, terr
		}
	}
	return n, err
}
