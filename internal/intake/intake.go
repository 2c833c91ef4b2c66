// Package intake takes DICOM objects from devices and other programs of the house, collects them into studies, and hands each study as one
// mail with a File-set to package flow.
//
//	Store → (quiet for a while) → close: route, plan, compose, flow.Submit → spool emptied
//
// An object is in the sealed spool, and its row durable, before Store returns nil: an SCP may say success then (PS3.4 B.2.3, PS3.7 9.1.1).
// A study is what one peer hands in by one way for one purpose under one Study Instance UID, until nothing has come for Options.Quiet. It is
// submitted in the transaction that says so (flow.And), so it is sent once, however often the step is killed. Objects that come later go
// in a further mail, which says so. An object with the same bytes that comes again, because its sender has not heard the answer, is not
// taken twice, unless the mail that had it has failed for everybody.
//
// What cannot be sent as it is (no route, two patients under one study, a profile that does not fit, an account that is gone) is kept and
// waits for a person: Retry, or Drop.
//
// It departs from PS3.4 B in nothing that a peer sees; objects are kept byte for byte, no attribute is coerced (Level 2, PS3.4 B.4.1).
package intake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"carepost/addr"
	"carepost/internal/audit"
	"carepost/internal/blob"
	"carepost/internal/flow"
	"carepost/internal/queue"
	"carepost/internal/store"
	"carepost/internal/transit"
)

// Kinds of work, about a study.
const (
	kindClose  = "intake"        // is it quiet? Then send it
	kindForget = "intake-forget" // it was sent long enough ago
)

const actor = audit.Actor("intake")

// What an edge answers to who hands an object in. Errors that wrap none of these have no answer yet: the peer may try again.
var (
	ErrRoom     = errors.New("intake: no room for more")                           // PS3.4 B.2.3: A700, out of resources
	ErrMismatch = errors.New("intake: the object is not what its meta group says") // A900, the data set does not match the SOP Class
	ErrObject   = errors.New("intake: no DICOM object that a File-set could hold") // C000, cannot be understood
)

// Bounds of what is kept. What reaches one is ErrRoom.
const (
	maxObject  = 16 << 30 // octets of one object
	maxObjects = 50_000   // of one study: what comes then goes in a further mail
	maxStudies = 10_000   // that are neither sent nor dropped
)

// Options of a Service. Zero durations take the defaults in brackets.
type Options struct {
	Store  *store.Store
	Blobs  *blob.Store
	Flow   *flow.Flow
	Routes []Route // the first one that fits

	Quiet    time.Duration // after the last object, until a study is taken to be whole [1 minute]
	Remember time.Duration // how long an object that was sent is known when it comes again [24 hours]
	Keep     time.Duration // how long a study that was sent is known when further objects of it come [30 days]

	Tell addr.Address // our account that is told of studies that wait and that no account would send; zero: nobody

	Clock transit.Clock
	Log   *slog.Logger // default discards
}

// Service is for one installation and safe for concurrent use.
type Service struct {
	o      Options
	most   int64 // maxObjects
	routes atomic.Pointer[[]Route]
}

// New makes a Service. Its steps are run by a queue given its Handlers.
func New(o Options) *Service {
	o.Quiet = cmp.Or(o.Quiet, time.Minute)
	o.Remember = cmp.Or(o.Remember, 24*time.Hour)
	o.Keep = cmp.Or(o.Keep, 30*24*time.Hour)
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Service{o: o, most: maxObjects}
	s.routes.Store(&o.Routes)
	return s
}

// Use exchanges the routes, and has studies that no route fitted before looked at again.
func (s *Service) Use(ctx context.Context, routes []Route) error {
	s.routes.Store(&routes)
	return s.Start(ctx)
}

// Handlers are the steps. Packing takes long, and a study may wait for a disk: other studies go on meanwhile.
func (s *Service) Handlers() []queue.Handler {
	return []queue.Handler{
		{Kind: kindClose, Workers: 2, Stalled: 4, Do: s.close},
		{Kind: kindForget, Workers: 1, Do: s.forget},
	}
}

// Start has studies that no route fitted looked at again: the routes may be others now. Those that are to be sent get their work back,
// where an operator has taken it off the queue.
func (s *Service) Start(ctx context.Context) error {
	if err := s.each(ctx, func(i store.Intake) error {
		err := s.o.Store.Tx(ctx, func(tx *store.Tx) error {
			return tx.InsertWork(&store.Work{Kind: kindClose, Ref: i.ID, Unique: kindClose + ":" + i.ID})
		})
		if errors.Is(err, store.ErrDuplicate) {
			return nil
		}
		return err
	}, store.IntakeOpen, store.IntakeClosing); err != nil {
		return fmt.Errorf("intake: %w", err)
	}
	err := s.each(ctx, func(i store.Intake) error {
		d, err := read(i)
		if err != nil || d.Why != WhyRoute {
			return err
		}
		if _, ok := s.route(d); !ok {
			return nil
		}
		err = s.o.Store.Tx(ctx, func(tx *store.Tx) error { return s.again(tx, actor, i, d) })
		if errors.Is(err, store.ErrConflict) {
			return nil
		}
		return err
	}, store.IntakeHeld)
	if err != nil {
		return fmt.Errorf("intake: %w", err)
	}
	return nil
}

// page is how many rows are read at a time.
const page = 200

// each calls fn for all studies in one of the states.
func (s *Service) each(ctx context.Context, fn func(store.Intake) error, states ...store.IntakeState) error {
	for after := ""; ; {
		var list []store.Intake
		err := s.o.Store.View(ctx, func(tx *store.Tx) (err error) {
			list, err = tx.Intakes(after, page, states...)
			return err
		})
		if err != nil || len(list) == 0 {
			return err
		}
		for _, i := range list {
			if err := fn(i); err != nil {
				return err
			}
		}
		after = list[len(list)-1].ID
	}
}

// Origin says who hands an object in, and what for.
type Origin struct {
	Calling, Called string // AE titles; of HTTP: the name of the client certificate or account, and the path
	Via             string // "dimse", "stow"
	Peer            string // IP address; it groups nothing

	// Of a way that knows its user: the account that sends, and to whom. Zero: the routes say so.
	By      audit.Actor // who answers for the disclosure; empty: the route does
	From    addr.Address
	To      []addr.Address
	Subject string
}

// Stored is an object that was taken.
type Stored struct {
	Study       string // id of the intake
	SOPClass    string
	SOPInstance string
	Repeat      bool // it was here already
}
