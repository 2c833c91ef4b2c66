package flow

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"carepost/addr"
	"carepost/dicom/zipmail"
	"carepost/internal/agent"
	"carepost/internal/audit"
	"carepost/internal/blob"
	"carepost/internal/crash"
	"carepost/internal/queue"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/mdn"
	"carepost/message"
	"carepost/smime"
)

// Submit takes a message of one of our own accounts, to be sealed and sent, and completes what a mail program left out. When it
// returns nil the message is ours: durable, and its sender will learn what becomes of it. A repeat gets the first one's id. *Refusal
// where the message cannot be taken as it is.
//
// What else is to happen in the transaction that makes the message ours is done by and; it is not called for a repeat.
func (f *Flow) Submit(ctx context.Context, by audit.Actor, env transit.Envelope, body io.Reader, and ...And) (id string, err error) {
	if err := f.submits(ctx, env); err != nil {
		return "", err
	}
	return f.submit(ctx, by, transit.Mail, env, body, and...)
}

// submits says whether somebody may submit. *Refusal.
func (f *Flow) submits(ctx context.Context, env transit.Envelope) error {
	ours, err := f.account(ctx, env.From.Address)
	switch {
	case err != nil:
		return err
	case env.From.IsNull() || !ours:
		// Direct 1.4: the organisation vouches for every address that its certificate speaks for.
		return &Refusal{"Direct 1.4", "the sender is no account of this installation"}
	case len(env.To) == 0:
		return &Refusal{"RFC 5321 §3.3", "the message is for nobody"}
	}
	return nil
}

// submit is Submit for mail of a kind; its sender is an account of ours.
func (f *Flow) submit(ctx context.Context, by audit.Actor, kind transit.Kind, env transit.Envelope, body io.Reader, and ...And) (string, error) {
	return f.take(ctx, by, transit.Outbound, kind, env, body, f.submittable(ctx, env), and...)
}

// submittable looks at the header of a message that is submitted. *Refusal.
func (f *Flow) submittable(ctx context.Context, env transit.Envelope) func(message.Header) error {
	return func(h message.Header) error {
		if missing := agent.Missing(h); len(missing) > 0 {
			return &Refusal{"Direct 2.2", "the header lacks " + strings.Join(missing, ", ")}
		}
		if err := f.author(ctx, h, env); err != nil {
			return err
		}
		if err := smime.Sealable(h); err != nil {
			return &Refusal{"Direct 2.1", "the message cannot be sealed as it is: " + err.Error()}
		}
		return nil
	}
}

// And is what happens together with the acceptance of the message with that id, or not at all.
type And func(tx *store.Tx, id string) error

// Accept takes a message from the network for our own domains. When it returns nil the message is durable. A repeat of a
// message taken before gets the first one's id and is not taken again.
func (f *Flow) Accept(ctx context.Context, env transit.Envelope, body io.Reader) (id string, err error) {
	return f.take(ctx, "smtpd", transit.Inbound, transit.Mail, env, body, func(message.Header) error { return nil })
}

// Collect is Accept for a message that lay at an e-mail provider, and was fetched by somebody. What else is to happen in the transaction that
// makes it ours is done by and; it is not called for a repeat.
func (f *Flow) Collect(ctx context.Context, by audit.Actor, env transit.Envelope, body io.Reader, and ...And) (id string, err error) {
	return f.take(ctx, by, transit.Inbound, transit.Mail, env, body, func(message.Header) error { return nil }, and...)
}

// take spools, checks the header and commits. The bodies are durable before the rows are, the rows before it returns. A set that is too large for
// one mail becomes several messages, of which the first stands for all.
func (f *Flow) take(ctx context.Context, by audit.Actor, dir transit.Direction, kind transit.Kind, env transit.Envelope, r io.Reader,
	check func(message.Header) error, and ...And) (string, error) {
	first, err := f.stage(ctx, by, dir, kind, env, r, check, false)
	if err != nil {
		return "", err
	}
	all := []*staged{first}
	defer func() {
		for _, x := range all {
			x.discard()
		}
	}()
	if d := first.ready.division; d != nil {
		first.ofDivision(d, 1)
		more, err := f.stageFurther(ctx, by, env, d, check)
		if all = append(all, more...); err != nil {
			return "", err
		}
	}
	return f.accept(ctx, by, all, first.ready.division, and...)
}

// staged is a message that is checked and ready, and not ours yet.
type staged struct {
	m      store.Message
	draft  *blob.Draft
	ready  prepared
	digest []byte // of what came
	header message.Header
}

func (x *staged) discard() {
	x.ready.discard()
	x.draft.Discard()
}

// stage spools a message, and makes it what it is to be. whole says that it is not to be divided. The caller discards it.
func (f *Flow) stage(ctx context.Context, by audit.Actor, dir transit.Direction, kind transit.Kind, env transit.Envelope, r io.Reader,
	check func(message.Header) error, whole bool) (x *staged, err error) {
	d, err := f.Blobs.Create()
	if err != nil {
		return nil, fmt.Errorf("flow: accept: %w", err)
	}
	x = &staged{draft: d}
	defer func() {
		if err != nil {
			x.discard()
		}
	}()
	digest := sha256.New()
	if dir == transit.Outbound {
		err = f.complete(d, digest, r, env.From.Address.Domain)
	} else {
		err = f.spool(d, digest, r)
	}
	if refused := (*Refusal)(nil); errors.As(err, &refused) {
		return x, err
	} else if err != nil {
		return x, fmt.Errorf("flow: accept: %w", err)
	}
	x.digest = digest.Sum(nil)
	if x.header, err = headerOf(d); err != nil {
		return x, err
	}
	if err := check(x.header); err != nil {
		return x, err
	}
	env.To = once(env.To)
	if dir == transit.Outbound && kind == transit.Mail && !agent.IsReport(x.header) {
		if x.ready, err = f.prepare(ctx, by, env, d, x.header, whole); err != nil {
			return x, err
		}
		if x.ready.draft != nil {
			if x.header, err = headerOf(x.ready.draft); err != nil {
				return x, err
			}
		}
	}
	x.m = store.Message{Direction: dir, Kind: kind, Envelope: env, Expires: f.Clock().Add(f.Lifetime)}
	if dir == transit.Outbound {
		x.m.Header = shown(x.header)
		x.m.Header.Attests = x.ready.attests
		x.m.Header.Named = slices.Contains(env.Overruled, string(zipmail.NamedSubject))
		if agent.IsReport(x.header) {
			x.m.Kind = transit.Report // a read receipt, say: nobody answers it, and nobody is told of its failure
		}
	}
	x.m.Dedupe = f.repeat(dir, env, x.header, x.digest)
	return x, nil
}

// accept makes what is staged ours, all of it or nothing. It gives the id of the first.
func (f *Flow) accept(ctx context.Context, by audit.Actor, all []*staged, d *division, and ...And) (string, error) {
	var refs []blob.Ref
	for _, x := range all {
		draft := x.draft
		if x.ready.draft != nil {
			draft = x.ready.draft
		}
		ref, err := draft.Commit()
		if err != nil {
			f.unmake(refs...)
			return "", fmt.Errorf("flow: accept: %w", err)
		}
		refs = append(refs, ref)
		x.m.Size, x.m.Raw = ref.Size, ref.ID
		crash.Point("accept.body-durable")
	}
	if d != nil {
		crash.Point("transfer.staged")
	}
	err := f.commit(ctx, func(tx *store.Tx) error {
		for i, x := range all {
			if err := f.record(tx, by, &x.m, refs[i], x.ready.detail); err != nil {
				return err
			}
		}
		if d != nil {
			if err := f.recordDivision(tx, by, all, d); err != nil {
				return err
			}
		}
		for _, do := range and {
			if err := do(tx, all[0].m.ID); err != nil {
				return err
			}
		}
		return nil
	}, refs...)
	if known := (*repeated)(nil); errors.As(err, &known) {
		return known.first, nil // the first copy is the one that counts
	}
	if refused := (*Refusal)(nil); errors.As(err, &refused) {
		return "", err
	}
	if err != nil {
		return "", fmt.Errorf("flow: accept: %w", err)
	}
	crash.Point("accept.rows-durable")
	return all[0].m.ID, nil
}

// record writes everything that makes a message ours, in one transaction.
func (f *Flow) record(tx *store.Tx, by audit.Actor, m *store.Message, ref blob.Ref, more map[string]string) error {
	if m.Direction == transit.Outbound {
		if err := used(tx, m); err != nil {
			return err
		}
	}
	if err := tx.InsertBlob(store.Blob(ref)); err != nil {
		return err
	}
	err := tx.InsertMessage(m)
	if twin := (*store.Duplicate)(nil); errors.As(err, &twin) {
		return &repeated{twin.First}
	}
	if err != nil {
		return err
	}
	for _, to := range m.Envelope.To {
		if err := tx.InsertRecipient(&store.Recipient{Message: m.ID, Address: to}); err != nil {
			return err
		}
	}
	kind := kindInbound
	if m.Direction == transit.Outbound {
		kind = kindOutbound
		if err := f.watch(tx, m); err != nil {
			return err
		}
	}
	if err := tx.InsertWork(&store.Work{Kind: kind, Ref: m.ID, Lane: queue.Lane(m.Size), Unique: kind + ":" + m.ID}); err != nil {
		return err
	}
	detail := map[string]string{"direction": kind, "size": strconv.FormatInt(m.Size, 10), "recipients": strconv.Itoa(len(m.Envelope.To))}
	if len(m.Envelope.Overruled) > 0 {
		detail["overruled"] = strings.Join(m.Envelope.Overruled, ", ")
	}
	maps.Copy(detail, more)
	err = audit.Write(tx, audit.Entry{Actor: by, Action: "message.accept", Object: "message:" + m.ID, Detail: detail})
	if err != nil || m.Envelope.Deidentified == "" {
		return err
	}
	return audit.Write(tx, audit.Entry{Actor: by, Action: "fileset.deidentify", Object: "message:" + m.ID, Detail: map[string]string{
		"profile": "PS3.15 E Basic Application Level Confidentiality", "options": m.Envelope.Deidentified}})
}

// headerOf reads the header of a draft.
func headerOf(d *blob.Draft) (message.Header, error) {
	b, err := d.Body()
	if err != nil {
		return message.Header{}, fmt.Errorf("flow: accept: %w", err)
	}
	defer b.Close()
	h, err := readHeader(b)
	if err != nil {
		return message.Header{}, &Refusal{"RFC 5322 §2.2", "the message has no readable header"}
	}
	return h, nil
}

func readHeader(b transit.Body) (message.Header, error) {
	return message.ReadHeader(bufio.NewReaderSize(io.NewSectionReader(b, 0, b.Size()), 4<<10), message.Limits{})
}

// shown is what lists show of a message.
func shown(h message.Header) store.Header {
	s := store.Header{MessageID: h.MessageID(), Subject: h.Text("Subject"), Sender: h.Text("From"), FinalDelivery: mdn.WantsDelivery(h)}
	if date, err := h.Date(); err == nil {
		s.Date = date
	}
	return s
}

// account says whether a is an account of ours.
func (f *Flow) account(ctx context.Context, a addr.Address) (bool, error) {
	err := f.Store.View(ctx, func(tx *store.Tx) error {
		_, err := tx.Account(a)
		return err
	})
	return found(err)
}

// found turns a look-up's error into an answer.
func found(err error) (bool, error) {
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, store.ErrNotFound):
		return false, nil
	}
	return false, fmt.Errorf("flow: %w", err)
}

// awake is how long everything is tried after a start, whatever its age: who was switched off for a week did not try for a week.
const awake = 15 * time.Minute

// allow gives a message that waited while we did not run the time that awake says.
func (f *Flow) allow(m *store.Message) {
	if least := f.since.Add(awake); !m.Expires.IsZero() && m.Expires.Before(least) {
		m.Expires = least
	}
}

// expired says whether a message's time in the queue is over.
func expired(m store.Message, now time.Time) bool { return !m.Expires.IsZero() && now.After(m.Expires) }
