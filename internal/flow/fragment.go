package flow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"carepost/internal/audit"
	"carepost/internal/blob"
	"carepost/internal/crash"
	"carepost/internal/queue"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/message"
)

const kindFragments = "fragments" // the rest has not come in time; about a transfer

// Bounds on messages that come in fragments, which anybody may send: nothing of them is opened before they are together.
const (
	maxRejoined      = 16 << 30           // octets of them together
	maxFragmented    = 1000               // messages of which fragments are missing
	keepFragments    = 3 * 24 * time.Hour // from the first that came
	clauseFragmented = "RFC 2046 §5.2.2"
)

// rejoin keeps a fragment until the others of its message have come, and puts them together: what results is taken like any other message that
// comes. is says that the arrival is a fragment. All of it has one envelope: nobody adds to what another sends.
func (f *Flow) rejoin(ctx context.Context, j *queue.Job, a *arrival) (is bool, err error) {
	raw, err := f.bodyOf(a.raw)
	if err != nil {
		return false, err
	}
	defer raw.Close()
	h, err := readHeader(raw)
	if err != nil {
		return false, nil // others say what is wrong with it
	}
	p, is, err := h.Fragment()
	if !is {
		return false, nil
	}
	if err != nil {
		return true, f.setAside(ctx, j, a, clauseFragmented, "a fragment of a message cannot be used: "+strings.TrimPrefix(err.Error(), message.ErrFragment.Error()+": "))
	}
	var t store.Transfer
	var all bool
	var reason string
	err = f.Store.Tx(ctx, func(tx *store.Tx) (err error) {
		t, all, reason, err = f.keepFragment(tx, a, p)
		if err != nil || reason != "" || all {
			return err
		}
		return j.Finish(tx)
	})
	switch {
	case err != nil:
		return true, fmt.Errorf("flow: fragment: %w", err)
	case reason != "":
		return true, f.setAside(ctx, j, a, clauseFragmented, reason)
	case !all:
		return true, nil
	}
	crash.Point("rejoin.kept")
	return true, f.together(ctx, j, t)
}

// keepFragment notes that a fragment is there. all says that none is missing.
func (f *Flow) keepFragment(tx *store.Tx, a *arrival, p message.Fragment) (t store.Transfer, all bool, reason string, err error) {
	t = store.Transfer{Kind: store.Fragments}
	fresh, err := tx.HoldTransfer(&t, a.fragmentKey(p.ID))
	if err != nil {
		return t, false, "", err
	}
	waiting := 0
	if fresh {
		if waiting, err = tx.CountTransfers(store.Fragments); err != nil {
			return t, false, "", err
		}
	}
	switch {
	case waiting > maxFragmented: // with this one
		return t, false, "too many messages wait for fragments of theirs", tx.RemoveTransfer(t.ID)
	case fresh:
		err = tx.InsertWork(&store.Work{Kind: kindFragments, Ref: t.ID, After: keepFragments, Unique: kindFragments + ":" + t.ID})
		if err != nil {
			return t, false, "", err
		}
	}
	i := slices.IndexFunc(t.Parts, func(q store.TransferPart) bool { return q.N == p.N })
	sum := int64(0)
	for _, q := range t.Parts {
		sum += q.Bytes
	}
	switch {
	case i >= 0 && t.Parts[i].Message == a.ID: // this step again
	case i >= 0:
		return t, false, "the same fragment of this message has come before", nil
	case p.Of > 0 && t.Of > 0 && p.Of != t.Of || t.Of > 0 && p.N > t.Of || p.Of > 0 && slices.ContainsFunc(t.Parts, func(q store.TransferPart) bool { return q.N > p.Of }):
		return t, false, "the fragments of the message do not agree about how many there are", nil
	case sum+a.Size > maxRejoined:
		return t, false, "the fragments of the message are too large together", nil
	default:
		t.Of = max(t.Of, p.Of)
		t.Parts = append(t.Parts, store.TransferPart{N: p.N, Message: a.ID, Bytes: a.Size, At: f.Clock()})
		if err := tx.SetTransfer(t); err != nil {
			return t, false, "", err
		}
		for _, r := range a.waiting {
			if err := tx.Remark(r, clauseFragmented, fragmentWords(p.N, t)); err != nil {
				return t, false, "", err
			}
		}
	}
	return t, t.Of > 0 && len(t.Parts) == t.Of, "", nil
}

func fragmentWords(n int, t store.Transfer) string {
	of := "an unknown number"
	if t.Of > 0 {
		of = strconv.Itoa(t.Of)
	}
	return fmt.Sprintf("fragment: %d of %s; %d have come", n, of, len(t.Parts))
}

// fragmentKey names the message that fragments are of.
func (a *arrival) fragmentKey(id string) string {
	var to []string
	for _, r := range a.waiting {
		to = append(to, r.Address.Key())
	}
	slices.Sort(to)
	return fmt.Sprintf("%s\n%q\n%s", a.Envelope.From, to, id)
}

// together makes one message of its fragments. It is taken before they are let go: a step that is stopped in between takes the same message
// again, which is known for a repeat.
func (f *Flow) together(ctx context.Context, j *queue.Job, t store.Transfer) error {
	slices.SortFunc(t.Parts, func(x, y store.TransferPart) int { return x.N - y.N })
	var ms []store.Message
	var bodies []*blob.Body
	defer func() {
		for _, b := range bodies {
			b.Close()
		}
	}()
	var env transit.Envelope
	for _, p := range t.Parts {
		var m store.Message
		err := f.Store.View(ctx, func(tx *store.Tx) (err error) {
			if m, err = tx.Message(p.Message); err != nil || p.N > 1 {
				return err
			}
			env = m.Envelope
			rs, err := tx.Recipients(m.ID)
			for _, r := range rs {
				env.To = append(env.To, r.Address)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("flow: fragments: %w", err)
		}
		b, err := f.body(ctx, m.Raw)
		if err != nil {
			return err
		}
		ms, bodies = append(ms, m), append(bodies, b)
	}
	pieces := make([]*io.SectionReader, len(bodies))
	for i, b := range bodies {
		pieces[i] = io.NewSectionReader(b, 0, b.Size())
	}
	whole, err := message.Join(pieces)
	if errors.Is(err, message.ErrFragment) {
		return f.apart(ctx, j, t, "the fragments make no message together")
	}
	if err != nil {
		return fmt.Errorf("flow: fragments: %w", err)
	}
	id, err := f.Accept(ctx, env, &progressReader{r: whole, ctx: ctx, tell: func(int64) error { return j.Progress() }})
	if refused := (*Refusal)(nil); errors.As(err, &refused) {
		return f.apart(ctx, j, t, "the fragments make no message together")
	}
	if err != nil {
		return err
	}
	crash.Point("rejoin.accepted")
	return f.Store.Tx(ctx, func(tx *store.Tx) error {
		for i, m := range ms {
			rs, err := tx.Recipients(m.ID)
			if err != nil {
				return err
			}
			for _, r := range rs {
				if r.State != transit.Accepted {
					continue
				}
				if err := f.move(tx, r, transit.TakeNote, clauseFragmented, fmt.Sprintf("fragment: %d of %d of message %s", i+1, len(ms), id)); err != nil {
					return err
				}
			}
			if err := f.decided(tx, m.ID, ""); err != nil {
				return err
			}
		}
		err := audit.Write(tx, audit.Entry{Actor: actor, Action: "message.rejoin", Object: "message:" + id, Detail: map[string]string{"fragments": strconv.Itoa(len(ms))}})
		if err != nil {
			return err
		}
		if err := tx.RemoveTransfer(t.ID); err != nil {
			return err
		}
		return j.Finish(tx)
	})
}

// apart sets the fragments of a message aside that cannot become one.
func (f *Flow) apart(ctx context.Context, j *queue.Job, t store.Transfer, reason string) error {
	return f.Store.Tx(ctx, func(tx *store.Tx) error {
		for _, p := range t.Parts {
			rs, err := tx.Recipients(p.Message)
			if err != nil {
				return err
			}
			for _, r := range rs {
				if r.State != transit.Accepted {
					continue
				}
				if err := f.aside(tx, r, clauseFragmented, reason, map[string]string{"clause": clauseFragmented, "reason": reason}); err != nil {
					return err
				}
			}
			if err := f.decided(tx, p.Message, clauseFragmented); err != nil {
				return err
			}
		}
		if err := tx.RemoveTransfer(t.ID); err != nil {
			return err
		}
		return j.Finish(tx)
	})
}

// late sets the fragments aside of a message of which the rest has not come in time. Nobody is answered: who sent them nobody knows.
func (f *Flow) late(ctx context.Context, j *queue.Job) error {
	var t store.Transfer
	err := f.Store.View(ctx, func(tx *store.Tx) (err error) {
		t, err = tx.Transfer(j.Ref)
		return err
	})
	if errors.Is(err, store.ErrNotFound) { // it is together
		return nil
	}
	if err != nil {
		return fmt.Errorf("flow: fragments: %w", err)
	}
	if t.Of > 0 && len(t.Parts) == t.Of { // it is being put together
		return f.Store.Tx(ctx, func(tx *store.Tx) error { return j.Retry(tx, time.Hour, "all fragments are there") })
	}
	return f.apart(ctx, j, t, "the other fragments of the message have not come in time")
}
