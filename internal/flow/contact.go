package flow

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"carepost/addr"
	"carepost/certificate"
	"carepost/internal/agent"
	"carepost/internal/audit"
	"carepost/internal/blob"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/trust"
)

// Request is mail that was set aside because no anchor speaks for its sender, and for no other reason: it was sealed for us, its signature
// holds, and its certificate names the sender. Who he is nobody knows, before somebody has asked him.
type Request struct {
	ID          string // of the recipient that it was set aside for
	Message     string
	Sender      addr.Address
	To          addr.Address // ours
	Certificate *x509.Certificate
	At          time.Time
}

// maxRequests is how many are shown, the newest; maxReadmitted how many letters of one sender are judged again at once.
const (
	maxRequests   = 1000
	maxReadmitted = 100
)

// introduced notes that nothing is missing for r but an anchor: were the signer's certificate believed for the one sender that it names,
// the message would be. judged is what was found without that: a certificate from which a path leads to an anchor does not lack one, and
// what speaks against that path, such as an authority that was revoked, is not for a telephone call to outweigh.
func (f *Flow) introduced(ctx context.Context, a *arrival, r store.Recipient, party agent.Party, judged agent.Judged, now time.Time) error {
	party.Introducing = true
	v := f.agent.Inbound(ctx, party, agent.Arrival{Envelope: a.Envelope, Opened: a.opened, Received: a.Received, Budget: a.budget}, now)
	if v.Verdict.Status == trust.Refused || v.Verdict.Certificate == nil || len(v.Senders) != 1 {
		return nil
	}
	if slices.ContainsFunc(judged.Signatures, func(s agent.Signature) bool {
		return s.Certificate != nil && s.Certificate.Equal(v.Verdict.Certificate) && len(s.Verdict.Path) > 0
	}) {
		return nil
	}
	v.Verdict.Status = trust.Trusted // else its status is not known yet: that is seen to when it is judged again
	v, err := f.ours(ctx, a, r, v)
	if err != nil || v.Verdict.Status != trust.Trusted {
		return err
	}
	a.strangers[r.ID] = store.Contact{Recipient: r.ID, Message: a.ID, Sender: v.Senders[0], To: r.Address, DER: v.Verdict.Certificate.Raw}
	return nil
}

// Requests lists what waits for somebody to say that he knows the sender, newest first.
func (f *Flow) Requests(ctx context.Context, by audit.Actor) (out []Request, err error) {
	err = f.Store.Tx(ctx, func(tx *store.Tx) error {
		out = nil
		all, err := tx.Contacts(maxRequests)
		if err != nil {
			return err
		}
		for _, c := range all {
			r, err := request(c)
			if err != nil {
				return err
			}
			out = append(out, r)
		}
		return audit.Write(tx, audit.Entry{Actor: by, Action: "request.list", Object: "request:all"})
	})
	if err != nil {
		return nil, fmt.Errorf("flow: requests: %w", err)
	}
	return out, nil
}

func request(c store.Contact) (Request, error) {
	cert, err := certificate.Parse(c.DER)
	return Request{c.Recipient, c.Message, c.Sender, c.To, cert, c.At}, err
}

// Readmit has what matches judged again, as if it had come just now. vouch runs in the same transaction, before that: it changes what
// is believed. What was set aside stays as it is, with its history; it is a copy that is judged. n is how many there are.
func (f *Flow) Readmit(ctx context.Context, by audit.Actor, matches func(Request) bool, vouch func(*store.Tx) error) (n int, err error) {
	all, err := f.Requests(ctx, by)
	if err != nil {
		return 0, err
	}
	var chosen []Request
	var made []blob.Ref
	for _, r := range all {
		if len(chosen) == maxReadmitted || !matches(r) {
			continue
		}
		ref, err := f.copyOf(ctx, r)
		if errors.Is(err, store.ErrNotFound) {
			continue // it has been let go
		}
		if err != nil {
			for _, ref := range made {
				_ = f.Blobs.Remove(ref)
			}
			return 0, err
		}
		chosen, made = append(chosen, r), append(made, ref)
	}
	err = f.commit(ctx, func(tx *store.Tx) error {
		n = 0
		if err := vouch(tx); err != nil {
			return err
		}
		for i, r := range chosen {
			switch err := f.readmit(tx, by, r, made[i]); {
			case errors.Is(err, store.ErrNotFound): // somebody was quicker
			case err != nil:
				return err
			default:
				n++
			}
		}
		return nil
	}, made...)
	if err != nil {
		return 0, fmt.Errorf("flow: readmit: %w", err)
	}
	return n, nil
}

// copyOf makes a body of its own for what is judged again: the one of before is let go in its own time.
func (f *Flow) copyOf(ctx context.Context, r Request) (blob.Ref, error) {
	var m store.Message
	if err := f.Store.View(ctx, func(tx *store.Tx) (err error) { m, err = tx.Message(r.Message); return err }); err != nil {
		return blob.Ref{}, fmt.Errorf("flow: readmit: %w", err)
	}
	b, err := f.body(ctx, m.Raw)
	if err != nil {
		return blob.Ref{}, err
	}
	defer b.Close()
	return f.keep(func(w io.Writer, _ string) error {
		_, err := io.Copy(w, &progressReader{r: io.NewSectionReader(b, 0, b.Size()), ctx: ctx, tell: func(int64) error { return nil }})
		return err
	})
}

func (f *Flow) readmit(tx *store.Tx, by audit.Actor, r Request, ref blob.Ref) error {
	if err := tx.RemoveContact(r.ID); err != nil {
		return err
	}
	before, err := tx.Message(r.Message)
	if err != nil {
		return err
	}
	env := before.Envelope
	env.To = []addr.Address{r.To}
	m := store.Message{Direction: transit.Inbound, Kind: transit.Mail, Envelope: env, Size: ref.Size, Raw: ref.ID, Received: before.Received,
		Expires: f.Clock().Add(f.Lifetime)}
	if err := f.record(tx, by, &m, ref, nil); err != nil {
		return err
	}
	return audit.Write(tx, audit.Entry{Actor: by, Action: "message.readmit", Object: "message:" + before.ID, Detail: map[string]string{"as": m.ID}})
}
