// Package admin looks after the people and the trust of an installation: accounts, their passwords and folders, anchors, and our own
// certificates.
//
// Documents: Direct 1.4 (the organisation vouches for existing, authenticated accounts: DIR-46) and 4.2.1 (anchors belong to an address
// or a domain), RFC 9106 (argon2id), RFC 8265 §4 (OpaqueString: how passwords are compared), RFC 4616 (what a mail program can send).
//
// Passwords are kept as PHC strings of argon2id with the second recommended parameters of RFC 9106 §4, in a sealed column. A sign-in costs
// the same work whether or not there is such an account, whether or not it has a password. No more than Options.Hashes are computed at
// once, however many clients come; others wait their turn for Options.Wait and are then told to come again. So sign-ins hold at most
// Options.Hashes times 64 MiB, and about as much again until the collector comes. Failures make a client wait, the longer the more there
// were: see tries.
//
// Every act is audited in its own transaction. What somebody typed as a name is kept nowhere, for it may be a password.
//
// BUG(admin): tries are counted by each process for itself, and from zero when it starts.
package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"carepost/internal/keyring"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/trust"
)

// Errors that callers branch on.
var (
	ErrNoAccount = errors.New("admin: there is no open account of that address")
	ErrNoDomain  = errors.New("admin: that domain is none of this installation")
	ErrNoAnchor  = errors.New("admin: there is no such anchor")
	ErrNoPin     = errors.New("admin: there is no such pin")
	ErrOpen      = errors.New("admin: there is an open account of that address already")

	ErrCredentials = errors.New("admin: name or password is wrong")
	ErrTooMany     = errors.New("admin: too many tries, wait before the next")
	ErrBusy        = errors.New("admin: too many sign-ins at once")
)

// Invalid says why what was given cannot be taken: cause and remedy, in one sentence.
type Invalid struct{ Reason string }

func (e *Invalid) Error() string { return "admin: " + e.Reason }

func invalid(format string, a ...any) error { return &Invalid{fmt.Sprintf(format, a...)} }

// What the methods give and take; edges need not import the store for them.
type (
	Account = store.Account
	Drops   = store.Drops
	Owner   = store.Owner
	Anchor  = store.Anchor

	Evaluation = store.Evaluation
	Pin        = store.Pin
)

// Options of a Service. Only Store is wanted; zero fields take the defaults in brackets.
type Options struct {
	Store   *store.Store
	Private []string      // directories that drops must stay out of: data, keys
	Clock   transit.Clock // [time.Now]

	Keys    *keyring.Keyring            // certificates need it
	Publish func(context.Context) error // has what the domains publish follow the store; nil: nothing is published
	Fetcher func() trust.Fetcher        // brings what is missing above an imported certificate; nil: nothing is fetched

	// Suits says why a folder that need not be there yet cannot take drops [every folder can].
	Suits func(dir string) error

	Hashes int           // passwords checked at once, 64 MiB each [a quarter of the processors, 1 to 4]
	Wait   time.Duration // for one's turn [10 s]
}

// Service is made by New and safe for concurrent use.
type Service struct {
	store   *store.Store
	keys    *keyring.Keyring
	publish func(context.Context) error
	fetcher func() trust.Fetcher
	private []string
	suits   func(dir string) error
	clock   transit.Clock
	turns   chan struct{} // one for each hash that is computed
	wait    time.Duration
	tries   *tries
}

// New makes a Service. Nothing runs.
func New(o Options) *Service {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Suits == nil {
		o.Suits = func(string) error { return nil }
	}
	hashes := cmp.Or(o.Hashes, min(max(runtime.GOMAXPROCS(0)/4, 1), 4))
	return &Service{
		store: o.Store, keys: o.Keys, publish: o.Publish, fetcher: o.Fetcher, private: o.Private, suits: o.Suits, clock: o.Clock, turns: make(chan struct{}, hashes), wait: cmp.Or(o.Wait, 10*time.Second),
		tries: newTries(),
	}
}

// prefix names the room in errors that are not its own.
func prefix(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("admin: %s: %w", what, err)
}
