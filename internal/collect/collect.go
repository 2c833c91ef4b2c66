// Package collect fetches mail that lies in mailboxes at e-mail providers, for installations that the network cannot call (PS3.12 Z.2.2): by IMAP4 or
// POP3, on the way that mail by SMTP goes too. flow makes it durable, opens it, judges it and shows it; a mail is removed at the provider
// only then.
//
// Exactly once: that a mail was taken is written in the transaction that makes it ours, by the provider's own name for it (UIDL; UIDVALIDITY and
// UID). Whoever dies between that and the removal finds the row and removes only. Where a provider names its mails anew, flow knows the
// same content to the same recipient again.
//
// What cannot be taken as it is stays at the provider, with a row that says why, until the operator has it tried again.
package collect

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"carepost/addr"
	"carepost/imap"
	"carepost/internal/audit"
	"carepost/internal/flow"
	"carepost/internal/store"
	"carepost/pop3"
	"carepost/sasl"
)

// Source is a mailbox at a provider.
type Source struct {
	Name        string
	For         addr.Address // whose mail lies there
	POP3        bool         // else IMAP
	Address     string       // host:port
	Implicit    bool         // TLS from the first byte; else STARTTLS
	TLS         *tls.Config
	Credentials sasl.Credentials
	Folder      string        // of IMAP
	Interval    time.Duration // [5 min]
	Manual      bool          // only when somebody asks
	Keep        time.Duration // how long what was fetched stays there; less than zero: for ever
	Largest     int64         // octets of a mail [4 GiB]
}

// Times and sizes.
const (
	every      = 5 * time.Minute
	longest    = time.Hour        // between two tries of what fails, unless the interval is longer
	unknown    = 15 * time.Minute // at least, after a password was not taken: providers shut accounts that guess
	largest    = 4 << 30
	remembered = 30 * 24 * time.Hour // how long it is known that a mail was taken which is gone there
	roundTime  = 12 * time.Hour      // for one round
	idle       = 2 * time.Minute     // for which a server may say nothing
	connecting = 30 * time.Second
	maxSources = 20
	maxAgain   = 20 // sessions in one round: each mail that breaks one off wants another
)

// Options of a Service.
type Options struct {
	Store    *store.Store
	Flow     *flow.Flow
	Sources  []Source
	Hostname string // of ours, in the trace field
	Clock    func() time.Time
	Log      *slog.Logger // default discards
	Dial     func(ctx context.Context, network, address string) (net.Conn, error)
}

// Service fetches. Run does it at intervals, Now at once.
type Service struct {
	o       Options
	sources []*source
}

// source is a Source with what its rounds share.
type source struct {
	Source
	id    string
	round chan struct{}   // holds one thing while a round is done
	wake  chan struct{}   // somebody else has done a round
	last  map[string]bool // mails at which sessions broke off; in a round only
}

// New makes a Service; nothing runs yet.
func New(o Options) *Service {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{Timeout: connecting}).DialContext
	}
	s := &Service{o: o}
	for _, x := range o.Sources[:min(len(o.Sources), maxSources)] {
		x.Interval, x.Largest = cmp.Or(x.Interval, every), cmp.Or(x.Largest, largest)
		what := fmt.Sprintf("%t\n%s\n%s\n%s", x.POP3, x.Address, x.Credentials.User, x.Folder)
		s.sources = append(s.sources, &source{Source: x, id: hex.EncodeToString(o.Store.Box().Hash("collect", what)), round: make(chan struct{}, 1), wake: make(chan struct{}, 1)})
	}
	return s
}

// Run fetches at the intervals of the sources until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	var all sync.WaitGroup
	for _, x := range s.sources {
		if !x.Manual {
			all.Go(func() { s.tend(ctx, x) })
		}
	}
	<-ctx.Done()
	all.Wait()
	return nil
}

// tend fetches from one source at its interval.
func (s *Service) tend(ctx context.Context, x *source) {
	for {
		wait := s.due(ctx, x)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-x.wake:
			timer.Stop()
			continue
		case <-timer.C:
		}
		if _, err := s.fetch(ctx, x); err != nil && ctx.Err() == nil {
			s.o.Log.Warn("mail could not be fetched", "collect", x.Name, "error", err)
		}
	}
}

// due is how long it is until the next round, by what the store knows of the last.
func (s *Service) due(ctx context.Context, x *source) time.Duration {
	c, err := s.state(ctx, x)
	if err != nil {
		return x.Interval
	}
	wait := pause(x.Interval, c.Detail)
	return min(max(c.Detail.Tried.Add(wait).Sub(s.o.Clock()), 0), wait) // a clock that was fast is no reason to wait for years
}

// wrongPassword begins what is kept of a password that was not taken.
const wrongPassword = "the provider does not take user and password"

// pause lies between two rounds.
func pause(interval time.Duration, d store.CollectDetail) time.Duration {
	if d.Failed == 0 {
		return interval
	}
	first, most := interval, max(interval, longest)
	if len(d.Error) >= len(wrongPassword) && d.Error[:len(wrongPassword)] == wrongPassword {
		first, most = max(interval, unknown), max(interval, 4*longest)
	}
	return min(first<<min(d.Failed-1, 10), most)
}

func (s *Service) state(ctx context.Context, x *source) (c store.Collect, err error) {
	err = s.o.Store.View(ctx, func(tx *store.Tx) (err error) {
		c, err = tx.Collect(x.id)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return store.Collect{ID: x.id}, nil
	}
	return c, err
}

// Fetched is what came of a round.
type Fetched struct {
	Taken   int // new mails that are ours now
	Refused int // mails that stay at the provider
	Removed int // at the provider
}

// fetch is one round, and writes down how it went.
func (s *Service) fetch(ctx context.Context, x *source) (f Fetched, err error) {
	select {
	case x.round <- struct{}{}:
		defer func() { <-x.round }()
	case <-ctx.Done():
		return f, ctx.Err()
	}
	began := s.o.Clock()
	within, cancel := context.WithTimeout(ctx, roundTime)
	defer cancel()
	again, r := true, &round{f: &f, skip: map[string]bool{}}
	for n := 0; again && err == nil; n++ {
		if n == maxAgain {
			err = errors.New("too many mails break the session off")
			break
		}
		again, err = s.pass(within, x, r)
	}
	if err == nil {
		err = r.missing()
	}
	if ctx.Err() != nil {
		return f, ctx.Err() // we stop: it says nothing of the provider
	}
	reason := told(err)
	werr := s.o.Store.Tx(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		c, err := tx.Collect(x.id)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		c.ID, c.Detail.Tried = x.id, began
		switch {
		case reason == "":
			c.Heard, c.Detail.Error, c.Detail.Failed, c.Detail.Since = began, "", 0, time.Time{}
		default:
			if c.Detail.Failed == 0 {
				c.Detail.Since = began
			}
			c.Detail.Error, c.Detail.Failed = reason, c.Detail.Failed+1
		}
		if _, err := tx.PruneCollected(x.id, began.Add(-remembered)); err != nil {
			return err
		}
		return tx.PutCollect(c)
	})
	if err != nil {
		return f, fmt.Errorf("collect: %s", reason)
	}
	return f, werr
}

// told is an error in words for people; "" for none.
func told(err error) string {
	var dns *net.DNSError
	var dial *net.OpError
	switch {
	case err == nil:
		return ""
	case errors.Is(err, pop3.ErrCredentials), errors.Is(err, imap.ErrCredentials):
		return wrongPassword + ": " + err.Error()
	case errors.As(err, &dns):
		return "the provider's host is not found; perhaps there is no connection to the network"
	case errors.As(err, &dial) && dial.Op == "dial":
		return "the provider's host is not reached; perhaps there is no connection to the network: " + dial.Err.Error()
	}
	return strings.TrimPrefix(err.Error(), "collect: ")
}

// Told is how a source stands.
type Told struct {
	Name    string
	For     addr.Address
	Manual  bool
	Tried   time.Time // zero: never
	Heard   time.Time // everything that lay there then has been fetched; zero: never
	Error   string
	Since   time.Time // of the error
	Next    time.Time // zero: when somebody asks
	Taken   int64     // and still there, because they are to be kept
	Refused []Refused
}

// Refused is a mail that stays at the provider.
type Refused struct {
	Reason string
	Size   int64
	At     time.Time
}

// mostTold is how many refused mails of a source are listed.
const mostTold = 100

// List tells how all sources stand.
func (s *Service) List(ctx context.Context) (out []Told, err error) {
	for _, x := range s.sources {
		c, err := s.state(ctx, x)
		if err != nil {
			return nil, fmt.Errorf("collect: %w", err)
		}
		t := Told{Name: x.Name, For: x.For, Manual: x.Manual, Tried: c.Detail.Tried, Heard: c.Heard, Error: c.Detail.Error, Since: c.Detail.Since}
		if !x.Manual {
			t.Next = c.Detail.Tried.Add(pause(x.Interval, c.Detail))
		}
		err = s.o.Store.View(ctx, func(tx *store.Tx) (err error) {
			t.Refused = nil
			rows, err := tx.CollectedIn(x.id, store.CollectRefused, mostTold)
			for _, r := range rows {
				t.Refused = append(t.Refused, Refused{r.Reason, r.Size, r.At})
			}
			if err == nil {
				t.Taken, err = tx.CountCollected(x.id, store.CollectTaken)
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("collect: %w", err)
		}
		out = append(out, t)
	}
	return out, nil
}

// Result is what came of fetching from one source.
type Result struct {
	Name string
	Fetched
	Error string // "" where all is well
}

// Now fetches from all sources at once, whatever they wait for.
func (s *Service) Now(ctx context.Context) []Result {
	out := make([]Result, len(s.sources))
	var all sync.WaitGroup
	for i, x := range s.sources {
		all.Go(func() {
			f, err := s.fetch(ctx, x)
			out[i] = Result{Name: x.Name, Fetched: f, Error: told(err)}
			select {
			case x.wake <- struct{}{}:
			default:
			}
		})
	}
	all.Wait()
	return out
}

// ErrUnknown says that no source has that name.
var ErrUnknown = errors.New("collect: no such mailbox")

// Retry has mails that were refused looked at again at the next round, and tells how many. ErrUnknown.
func (s *Service) Retry(ctx context.Context, by audit.Actor, name string) (n int64, err error) {
	i := slices.IndexFunc(s.sources, func(x *source) bool { return x.Name == name })
	if i < 0 {
		return 0, ErrUnknown
	}
	err = s.o.Store.Tx(ctx, func(tx *store.Tx) (err error) {
		if n, err = tx.RetryCollected(s.sources[i].id); err != nil {
			return err
		}
		return audit.Write(tx, audit.Entry{Actor: by, Action: "collect.retry", Object: "collect:" + name, Detail: map[string]string{"mails": fmt.Sprint(n)}})
	})
	if err != nil {
		return 0, fmt.Errorf("collect: %w", err)
	}
	return n, nil
}

// Heard is until when the mail of a domain is known to us, where it is fetched; fetched is false where others hand it over.
func (s *Service) Heard(ctx context.Context, d addr.Domain) (until time.Time, fetched bool, err error) {
	for _, x := range s.sources {
		if x.For.Domain != d {
			continue
		}
		c, err := s.state(ctx, x)
		if err != nil {
			return time.Time{}, false, fmt.Errorf("collect: %w", err)
		}
		if !fetched || c.Heard.Before(until) {
			until = c.Heard
		}
		fetched = true
	}
	return until, fetched, nil
}
