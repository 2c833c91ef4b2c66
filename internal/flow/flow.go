// Package flow moves messages: it accepts them, has them decided, sealed or opened, delivered and answered, and owns the
// transactions in which that happens. Each step is work on the queue; it may be run twice and takes effect once.
//
//	Submit → outbound → deliver → (notice of the other side, or deadline)
//	Accept → inbound  → notice (the processed MDN that is owed) → failure | delivery (the dispatched MDN that is asked for)
//
// It follows the Direct Applicability Statement 2 and 3, and RFC 5321 §4.5.4.1 for retrying. What it promises: a message is
// durable before Submit or Accept return; a local mailbox shows it once; one processed notice is made for each recipient, after
// the message is durable; the sender gets one final failure notice for each recipient at most.
package flow

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"carepost/addr"
	"carepost/cms"
	"carepost/internal/agent"
	"carepost/internal/audit"
	"carepost/internal/blob"
	"carepost/internal/keyring"
	"carepost/internal/mailbox"
	"carepost/internal/queue"
	"carepost/internal/rule"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/message"
	"carepost/trust"
)

// Kinds of work.
const (
	kindOutbound = "outbound" // decide and seal; about a message
	kindDeliver  = "deliver"  // hand over; about a delivery
	kindInbound  = "inbound"  // open and judge; about a message
	kindNotice   = "notice"   // answer with a processed MDN; about a recipient
	kindFailure  = "failure"  // answer with a failed DSN after that; about a recipient
	kindDelivery = "delivery" // answer with a dispatched MDN, once the mail is where it is read; about a recipient
	kindDeadline = "deadline" // no notice came; about a recipient
	kindSuccess  = "success"  // its sender asked to be told of it; about a recipient
	kindDelay    = "delay"    // not handed over yet: its sender is told; about a message
	kindPurge    = "purge"    // what was set aside has been kept long enough; about a message
	kindRelease  = "release"  // nobody has released it in time; about a recipient
	kindWarn     = "warn"     // it was released: look whether its file-set is whole; about a recipient
)

const actor = audit.Actor("flow")

// Transport hands sealed mail to other servers: relay.Client is one.
type Transport interface {
	Deliver(ctx context.Context, c transit.Consignment) transit.Outcome
}

// Options of a Flow. Zero durations take the defaults in brackets.
type Options struct {
	Store     *store.Store
	Blobs     *blob.Store
	Keys      *keyring.Keyring
	Mailboxes *mailbox.Service
	Directory agent.Directory // of strangers; our own domains are looked up in the store
	Judge     agent.Judge
	Transport Transport
	Hostname  string // our name in reports
	Clock     transit.Clock
	Log       *slog.Logger

	Policy     trust.Policy
	Filters    agent.Filters  // what is demanded of certificates
	Tolerant   bool           // odd certificates of others are judged
	Algorithms cms.Algorithms // what is done with each; zero: what goes with Policy
	Revocation agent.Revocations
	Rules      rule.Rules // what the operator demands besides
	OnBehalf   bool       // an account may write in the name of another, as its Sender
	Remember   bool       // certificates that signed mail brings are kept (Remembered)

	Lifetime time.Duration // how long a message is tried [4 days: RFC 5321 §4.5.4.1 asks for 4 to 5]
	Patience time.Duration // how long notices are awaited, from the hand-over [1 hour]
	Repeats  time.Duration // how long after its last try a message is still matched with notices about it [7 days]

	DelayNotice time.Duration // after how long a sender is told that a message has not been handed over yet [4 hours]; negative: never
	KeepAside   time.Duration // how long a message that was set aside is kept [30 days]
	KeepHeld    time.Duration // how long mail waits for a person to release it [3 days]

	// Heard, if set, is until when the mail of one of our domains is known to us, where it is fetched from a provider.
	Heard func(ctx context.Context, ours addr.Domain) (until time.Time, fetched bool, err error)

	// Progress, if set, is told how far long work is: "seal", "send", "open", "check".
	Progress func(what string, done, total int64)
}

// Flow is made by New and safe for concurrent use.
type Flow struct {
	Options
	since   time.Time
	agent   *agent.Agent
	readers sync.Pool // *bufio.Reader of 64 KiB, for what is accepted
	parsed  parsed
	local   sync.Map // addr.Domain → nothing: our own that have been asked for
}

// New makes a Flow. Its steps are run by a queue given its Handlers.
func New(o Options) *Flow {
	if o.Lifetime == 0 {
		o.Lifetime = 4 * 24 * time.Hour
	}
	if o.Patience == 0 {
		o.Patience = time.Hour
	}
	if o.Repeats == 0 {
		o.Repeats = 7 * 24 * time.Hour
	}
	if o.DelayNotice == 0 {
		o.DelayNotice = 4 * time.Hour
	}
	if o.KeepAside == 0 {
		o.KeepAside = 30 * 24 * time.Hour
	}
	if o.KeepHeld == 0 {
		o.KeepHeld = 3 * 24 * time.Hour
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Progress == nil {
		o.Progress = func(string, int64, int64) {}
	}
	f := &Flow{Options: o, since: o.Clock()}
	f.agent = &agent.Agent{Directory: directory{f}, Judge: o.Judge}
	return f
}

// yield is how long messages that were accepted wait for one another while more are being accepted.
const yield = 30 * time.Millisecond

// Handlers are the steps, for queue.New. Steps that ask strangers something (their servers, directories, authorities) may hang for
// minutes: then they keep no others waiting.
func (f *Flow) Handlers() []queue.Handler {
	both := func(h queue.Handler, ofHuge int, do func(context.Context, *queue.Job) error) []queue.Handler {
		h.Do = do
		other := h
		h.Lane, other.Lane = store.Small, store.Huge
		other.Workers, other.Stalled = ofHuge, min(h.Stalled, 4*ofHuge)
		return []queue.Handler{h, other}
	}
	hs := both(queue.Handler{Kind: kindOutbound, Workers: 2, Stalled: 16}, 1, f.outbound)
	hs = append(hs, both(queue.Handler{Kind: kindDeliver, Workers: 8, Stalled: 64}, 3, f.deliver)...)
	hs = append(hs, both(queue.Handler{Kind: kindInbound, Workers: 8, Yield: yield, Stalled: 16}, 1, f.inbound)...)
	hs = append(hs, both(queue.Handler{Kind: kindFailure, Workers: 1}, 1, f.failure)...) // it looks into the file-set again
	hs = append(hs,
		queue.Handler{Kind: kindNotice, Workers: 2, Do: f.notice},
		queue.Handler{Kind: kindDelivery, Workers: 1, Do: f.delivery},
		queue.Handler{Kind: kindDeadline, Workers: 1, Do: f.deadline},
		queue.Handler{Kind: kindSuccess, Workers: 1, Do: f.success},
	)
	for i := range hs {
		hs[i].Do = f.guarded(hs[i].Do)
	}
	// Nobody waits for these, so nobody fails with them.
	return append(hs,
		queue.Handler{Kind: kindDelay, Workers: 1, Do: f.delay},
		queue.Handler{Kind: kindPurge, Workers: 1, Do: f.purge},
		queue.Handler{Kind: kindFragments, Workers: 1, Do: f.late},
		queue.Handler{Kind: kindRelease, Workers: 1, Do: f.unreleased},
		queue.Handler{Kind: kindWarn, Workers: 1, Do: f.warnLate},
	)
}

// Refusal is the answer to a message that cannot be taken as it is.
type Refusal struct {
	Clause string // "Direct 2.2"
	Reason string // one sentence: cause and remedy; no content
}

func (r *Refusal) Error() string { return "refused by " + r.Clause + ": " + r.Reason }

// IsLocal says whether mail for d ends here. A domain that is ours stays ours.
func (f *Flow) IsLocal(ctx context.Context, d addr.Domain) (bool, error) {
	if _, ours := f.local.Load(d); ours {
		return true, nil
	}
	err := f.Store.View(ctx, func(tx *store.Tx) error {
		_, err := tx.Domain(d)
		return err
	})
	if err == nil {
		f.local.Store(d, nil)
	}
	return found(err)
}

// body opens a stored body by its id.
func (f *Flow) body(ctx context.Context, id string) (*blob.Body, error) {
	var row store.Blob
	err := f.Store.View(ctx, func(tx *store.Tx) (err error) {
		row, err = tx.Blob(id)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("flow: body: %w", err)
	}
	return f.bodyOf(row)
}

func (f *Flow) bodyOf(row store.Blob) (*blob.Body, error) {
	b, err := f.Blobs.Open(blob.Ref(row))
	if err != nil {
		return nil, fmt.Errorf("flow: body: %w", err)
	}
	return b, nil
}

// commit runs fn in one transaction. Bodies made for it that no row can refer to are removed again: all when it was surely rolled
// back, and those that fn had no use for. After an error of the commit itself the rows may be there: the bytes stay.
func (f *Flow) commit(ctx context.Context, fn func(*store.Tx) error, made ...blob.Ref) error {
	doubt := false
	err := f.Store.Tx(ctx, func(tx *store.Tx) error {
		doubt = false // an earlier try was rolled back
		err := fn(tx)
		doubt = err == nil
		return err
	})
	if err != nil && doubt {
		return err
	}
	for _, ref := range made {
		if ref.Key != "" && (err != nil || !f.referred(ctx, ref)) {
			f.unmake(ref)
		}
	}
	return err
}

// unmake removes bodies that no row refers to.
func (f *Flow) unmake(made ...blob.Ref) {
	for _, ref := range made {
		if ref.Key != "" {
			_ = f.Blobs.Remove(ref) // what cannot be removed is sealed, and its key is nowhere
		}
	}
}

// referred says whether a row refers to a body, or that nobody knows.
func (f *Flow) referred(ctx context.Context, ref blob.Ref) bool {
	err := f.Store.View(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		_, err := tx.Blob(ref.ID)
		return err
	})
	return !errors.Is(err, store.ErrNotFound)
}

// keep writes a small message made by us into a blob that the caller's transaction then refers to.
func (f *Flow) keep(compose func(w io.Writer, boundary string) error) (blob.Ref, error) {
	boundary, err := message.NewBoundary(rand.Reader)
	if err != nil {
		return blob.Ref{}, fmt.Errorf("flow: %w", err)
	}
	d, err := f.Blobs.Create()
	if err != nil {
		return blob.Ref{}, fmt.Errorf("flow: %w", err)
	}
	defer d.Discard()
	if err := compose(d, boundary); err != nil {
		return blob.Ref{}, fmt.Errorf("flow: composing: %w", err)
	}
	ref, err := d.Commit()
	if err != nil {
		return blob.Ref{}, fmt.Errorf("flow: %w", err)
	}
	return ref, nil
}
