package flow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"syscall"
	"time"

	"carepost/addr"
	"carepost/internal/audit"
	"carepost/internal/blob"
	"carepost/internal/crash"
	"carepost/internal/queue"
	"carepost/internal/store"
	"carepost/internal/transit"
)

// parcel is a delivery as one attempt sees it.
type parcel struct {
	store.Delivery
	message    store.Message
	recipients []store.Recipient // still to be handed over
	body       *blob.Body
}

// settleTime is how long what a server said is tried to be written down, when our own stop has come in between.
const settleTime = 10 * time.Second

// deliver hands a sealed message to the servers of its domain. The bytes are the same at every attempt, so that a repeat after a
// lost reply is known to the other side for what it is.
//
// What was handed over is written down first, in a transaction of its own, whatever becomes of the rest.
func (f *Flow) deliver(ctx context.Context, j *queue.Job) error {
	p, err := f.parcel(ctx, j.Ref)
	if err != nil {
		return err
	}
	if len(p.recipients) == 0 {
		return nil
	}
	defer p.body.Close()
	outcome, err := f.handOver(ctx, j, p)
	if err != nil {
		return err
	}
	crash.Point("deliver.answered")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
	defer cancel()
	err = f.insist(ctx, func(tx *store.Tx) error {
		for _, r := range p.recipients {
			if err := f.noteAnswer(tx, p, r, outcome); err != nil {
				return err
			}
		}
		if err := f.learnSize(tx, p.Domain, outcome.Most); err != nil {
			return err
		}
		return f.settled(tx, p.Message)
	})
	if err != nil {
		return err
	}
	crash.Point("deliver.noted")
	failed, deferred := p.missed(outcome, f.Clock())
	bounced, err := f.bounce(ctx, p.message, failed, f.Clock())
	if err != nil {
		return err
	}
	err = f.commit(ctx, func(tx *store.Tx) error {
		if err := f.fail(tx, p.message, bounced, failed); err != nil {
			return err
		}
		if deferred != "" {
			return j.Retry(tx, -1, deferred)
		}
		return j.Finish(tx)
	}, bounced.ref)
	crash.Point("deliver.settled")
	return err
}

// insist is Store.Tx for what the other side knows already: while the disk is full it is tried again, until ctx ends. What is not written
// down is sent once more.
func (f *Flow) insist(ctx context.Context, fn func(*store.Tx) error) error {
	for wait := 50 * time.Millisecond; ; wait *= 2 {
		err := f.Store.Tx(ctx, fn)
		if !errors.Is(err, syscall.ENOSPC) {
			return err
		}
		again := time.NewTimer(wait)
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return err
		}
	}
}

// missed names the recipients that a delivery failed for, and why it is to be tried again for others.
func (p *parcel) missed(o transit.Outcome, now time.Time) (failed []failure, deferred string) {
	for _, r := range p.recipients {
		a := answerFor(o, r.Address)
		r.Text = answerWords(a)
		switch {
		case a.Result == transit.Rejected:
			failed = append(failed, failure{r, transit.Reject, or(a.Enhanced, "5.0.0"), "RFC 5321 §4.2.1", "the server of the recipient refused it: " + r.Text, nil})
		case a.Result == transit.Deferred && expired(p.message, now):
			failed = append(failed, failure{r, transit.Expire, "4.4.7", "RFC 5321 §4.5.4.1", "it could not be handed over in time: " + r.Text, nil})
		case a.Result == transit.Deferred:
			deferred = r.Text
		}
	}
	return failed, deferred
}

func (f *Flow) parcel(ctx context.Context, id string) (*parcel, error) {
	p := &parcel{}
	var all []store.Recipient
	err := f.Store.View(ctx, func(tx *store.Tx) (err error) {
		if p.Delivery, err = tx.Delivery(id); err != nil {
			return err
		}
		if p.message, err = tx.Message(p.Message); err != nil {
			return err
		}
		f.allow(&p.message)
		all, err = tx.RecipientsOf(id)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("flow: deliver: %w", err)
	}
	for _, r := range all {
		if r.State == transit.Sealed {
			p.recipients = append(p.recipients, r)
		}
	}
	if len(p.recipients) == 0 {
		return p, nil // its body may be gone already
	}
	p.body, err = f.body(ctx, p.Blob)
	return p, err
}

// handOver sends to the network, or straight to ourselves when the domain is ours.
func (f *Flow) handOver(ctx context.Context, j *queue.Job, p *parcel) (transit.Outcome, error) {
	var to []addr.Address
	for _, r := range p.recipients {
		to = append(to, r.Address)
	}
	local, err := f.IsLocal(ctx, p.Domain)
	if err != nil {
		return transit.Outcome{}, err
	}
	if local {
		env := transit.Envelope{From: p.message.Envelope.From, To: to}
		if _, err := f.Accept(ctx, env, io.NewSectionReader(p.body, 0, p.body.Size())); err != nil {
			return transit.Outcome{}, err
		}
		crash.Point("deliver.local")
		out := transit.Outcome{Host: f.Hostname, TLS: "within this installation"}
		for _, a := range to {
			out.At = append(out.At, transit.Answer{To: a, Result: transit.Delivered, Code: 250})
		}
		return out, nil
	}
	size := p.body.Size()
	c := transit.Consignment{
		ID: p.ID, From: p.message.Envelope.From, To: to, Domain: p.Domain, Body: p.body,
		Progress: func(sent int64) error {
			f.Progress("send", sent, size)
			if sent >= size {
				err := j.Beat(ctx) // the last look before the final dot
				crash.Point("deliver.before-dot")
				return err
			}
			return j.Progress()
		},
	}
	most, err := f.fragmentSize(ctx, p)
	if err != nil {
		return transit.Outcome{}, err
	}
	if most > 0 && size > most {
		return f.inFragments(ctx, j, p, c, most)
	}
	return f.Transport.Deliver(ctx, c), nil
}

// noteAnswer writes down what a server said of one recipient, and what follows where it took the message.
func (f *Flow) noteAnswer(tx *store.Tx, p *parcel, r store.Recipient, o transit.Outcome) error {
	a := answerFor(o, r.Address)
	if err := tx.NoteAnswer(r.ID, a); err != nil {
		return err
	}
	if a.Result != transit.Delivered {
		return nil
	}
	wire := or(o.TLS, "in clear")
	r, err := tx.Recipient(r.ID)
	if err != nil {
		return err
	}
	if r.State == transit.Sealed { // else the processed notice was quicker than the reply to our own final dot
		event := transit.HandOver
		if _, ok := f.awaits(p.message, r); !ok {
			event = transit.Relay
		}
		err = f.move(tx, r, event, "RFC 5321 §6.1", lines("sent", fmt.Sprintf("%s, %s, %d", o.Host, wire, a.Code)))
		if err != nil {
			return err
		}
	}
	detail := map[string]string{"host": o.Host, "tls": wire, "code": strconv.Itoa(a.Code)}
	if slices.Contains(p.message.Header.Unprotected, r.ID) {
		detail["protection"] = "none"
	}
	if err := disclosure(detail, p.message, p.message.Header, p.message.Envelope.From.Address, r.Address, ownNotice(p.message)); err != nil {
		return err
	}
	err = audit.Write(tx, audit.Entry{Actor: actor, Action: "recipient.hand-over", Object: "recipient:" + r.ID, Detail: detail})
	if err != nil || p.message.Kind == transit.Report || r.State != transit.Sealed {
		return err
	}
	if r, err = tx.Recipient(r.ID); err != nil {
		return err
	}
	if r.State == transit.Relayed {
		return f.promise(tx, p.message, r)
	}
	return f.await(tx, p.message, r)
}

// answerFor picks the answer about one recipient; where the transport said nothing, it is tried again.
func answerFor(o transit.Outcome, to addr.Address) transit.Answer {
	for _, a := range o.At {
		if a.To == to {
			return a
		}
	}
	return transit.Answer{To: to, Text: "no answer"}
}

func answerWords(a transit.Answer) string {
	if a.Code == 0 {
		return or(a.Text, "no answer")
	}
	return fmt.Sprintf("%d %s %s", a.Code, a.Enhanced, a.Text)
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
