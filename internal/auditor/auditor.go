// Package auditor tells an audit repository what the audit log holds: as messages of DICOM PS3.15 A.5, by syslog over TLS (RFC 5424,
// RFC 5425; IHE ITI-20).
//
// The audit log itself is what waits to be sent: the auditor follows it in its order and keeps in the database how far the repository has
// it. Nothing is lost and something may be told twice, the same to the octet. For syslog has no replies: what was written to a connection
// that breaks may or may not have arrived. So a connection stays open for a while after the last message, and is then ended in order:
// who sends close_notify gets one back when everything before has been read (RFC 5425 §4.4). Only then is it written down that the
// messages have arrived; of a connection that ends in another way, all are sent once more.
//
// It departs from RFC 5425 in one thing: of a server that ends the connection without a close_notify of its own, after ours, the end is
// taken for the answer. rsyslog does so.
package auditor

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"carepost/atna"
	"carepost/internal/audit"
)

// Log is the audit log, and how far of it has been told.
type Log interface {
	Told(ctx context.Context) (seq int64, err error)                                // 0: nothing
	After(ctx context.Context, seq int64, limit int) (rs []audit.Record, err error) // in the order of the log, without gaps
	Tell(ctx context.Context, seq int64) error                                      // all up to seq has arrived
}

// Options of an Auditor. Log, Server and Source are wanted.
type Options struct {
	Log    Log
	Server string // host:port
	// TLS is asked before each connection: certificates are replaced while we run. nil: the authorities of this host.
	TLS    func() (*tls.Config, error)
	Source Source
	Events Events // zero: all
	Out    *slog.Logger
	Clock  func() time.Time // nil: time.Now

	Times Times
}

// Times of an Auditor; a zero field takes the value in brackets.
type Times struct {
	Poll    time.Duration // between two looks at the log [1 s]
	Quiet   time.Duration // how long a connection stays open after the last message [2 s]
	Session time.Duration // after how long one is ended at the latest, and begun anew [1 min]
	Dial    time.Duration // for a connection with its handshake [30 s]
	Write   time.Duration // for one batch [30 s]
	End     time.Duration // for the server's answer to the end of a connection [30 s]
	Least   time.Duration // until the next try, after the first failure [1 s]
	Most    time.Duration // between two tries [5 min]
	Alarm   time.Duration // what waits for longer is an alarm [10 min]
}

func (t Times) withDefaults() Times {
	t.Poll = cmp.Or(t.Poll, time.Second)
	t.Quiet = cmp.Or(t.Quiet, 2*time.Second)
	t.Session = cmp.Or(t.Session, time.Minute)
	t.Dial = cmp.Or(t.Dial, 30*time.Second)
	t.Write = cmp.Or(t.Write, 30*time.Second)
	t.End = cmp.Or(t.End, 30*time.Second)
	t.Least = cmp.Or(t.Least, time.Second)
	t.Most = cmp.Or(t.Most, 5*time.Minute)
	t.Alarm = cmp.Or(t.Alarm, 10*time.Minute)
	return t
}

const (
	maxBatch   = 50    // entries that are read at once
	maxSession = 10000 // entries of one connection: so many are told twice at most when it breaks
	maxIdle    = 10000 // entries that make no message, until it is written down that they are behind us
)

// State is how far an Auditor is.
type State struct {
	Server string    // host:port
	Told   int64     // entries of the log that have arrived, or are not for the repository
	Since  time.Time // when the oldest entry was written that waits; zero: none does
	Behind bool      // that is longer ago than Times.Alarm
	Reason string    // why the last try failed; "" if it did not
}

// Auditor is made by New.
type Auditor struct {
	o     Options
	ahead int64 // of Run alone: up to here nothing waits, written down or not

	mu    sync.Mutex
	state State
	told  bool // that it is behind
}

// New makes an Auditor. Run starts it.
func New(o Options) (*Auditor, error) {
	if o.Log == nil || o.Server == "" || o.Source.ID == "" {
		return nil, errors.New("auditor: options: want a Log, a Server and a Source")
	}
	o.Times = o.Times.withDefaults()
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Out == nil {
		o.Out = slog.New(slog.DiscardHandler)
	}
	if _, err := atna.Frame(o.Source.header(o.Clock()), nil); err != nil {
		return nil, fmt.Errorf("auditor: %w", err)
	}
	return &Auditor{o: o, state: State{Server: o.Server}}, nil
}

// State tells how far it is.
func (a *Auditor) State() State {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.state
	s.Behind = a.behind(s)
	return s
}

func (a *Auditor) behind(s State) bool {
	return !s.Since.IsZero() && a.o.Clock().Sub(s.Since) > a.o.Times.Alarm
}

// Run follows the log until ctx ends. What fails is tried again, later and later.
func (a *Auditor) Run(ctx context.Context) error {
	wait := time.Duration(0)
	for {
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-t.C:
		}
		err := a.follow(ctx)
		if ctx.Err() != nil {
			return nil
		}
		a.note(ctx, err)
		if err == nil {
			wait = a.o.Times.Poll
			continue
		}
		wait = a.later(wait)
	}
}

// later is the wait after another failure: twice the last one, and a bit less or more, for many may wait for one server.
func (a *Auditor) later(last time.Duration) time.Duration {
	next := min(max(2*last, a.o.Times.Least), a.o.Times.Most)
	return next*3/4 + rand.N(next/4+1)
}

// note keeps what a try has come to, and tells the log when the alarm begins and ends.
func (a *Auditor) note(ctx context.Context, err error) {
	waits := a.waits(ctx)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.state.Since, a.state.Reason = waits, ""
	if err != nil {
		a.state.Reason = err.Error()
	}
	switch behind := a.behind(a.state); {
	case behind && !a.told:
		a.o.Out.Error("audit messages wait for their repository", "server", a.o.Server, "since", waits, "error", a.state.Reason)
		a.told = true
	case !behind && a.told && err == nil:
		a.o.Out.Info("audit messages reach their repository again", "server", a.o.Server)
		a.told = false
	}
}

// waits is when the oldest entry was written that has not arrived; zero where none waits, or nobody knows.
func (a *Auditor) waits(ctx context.Context) time.Time {
	a.mu.Lock()
	told := a.state.Told
	a.mu.Unlock()
	rs, err := a.o.Log.After(ctx, told, 1)
	if err != nil || len(rs) == 0 {
		return time.Time{}
	}
	return rs[0].At
}

// follow tells what there is to tell: nil when all has arrived. At the end of ctx it still ends the connection in order.
func (a *Auditor) follow(ctx context.Context) error {
	told, err := a.o.Log.Told(ctx)
	if err != nil {
		return fmt.Errorf("auditor: %w", err)
	}
	t := &telling{a: a, from: told, to: max(told, a.ahead)}
	a.arrived(t.to)
	defer t.abandon()
	for more := true; more && t.n < maxSession && !t.old(); {
		if more, err = t.batch(ctx); err != nil {
			return fmt.Errorf("auditor: %w", err)
		}
	}
	if t.session != nil {
		if err := t.finish(ctx); err != nil {
			return fmt.Errorf("auditor: %w", err)
		}
	}
	a.ahead = t.to
	a.arrived(t.to)
	if t.session == nil && t.to-told < maxIdle {
		return nil // none of them was for the repository: this can be found out again
	}
	if err := a.o.Log.Tell(context.WithoutCancel(ctx), t.to); err != nil {
		return fmt.Errorf("auditor: %w", err)
	}
	return nil
}

func (a *Auditor) arrived(seq int64) {
	a.mu.Lock()
	a.state.Told = seq
	a.mu.Unlock()
}
