// Package bundle keeps the anchors of trust bundles as their givers would have them: it fetches each on its interval, and replaces what it
// brought before, all at once.
//
// It follows the Direct Trust Bundle Distribution guide 1.0 (the forms of a bundle are read by trust.ParseBundle) and Direct 4.2.1: a bundle
// belongs to a domain or an address of ours, for mail of one direction or both. It departs from the reference implementations where they
// would believe too much or lose too much: what comes is compared by SHA-256; a bundle that is empty, cannot be read, is not signed by the
// one who has to, or has lost more of its anchors than the owner allows changes nothing. The anchors before stay, and an alarm says why, in
// the status, the log and the audit, until a good one comes or somebody lets it through.
//
// URLs are the operator's, but what is behind them is a stranger's: the Fetcher is guarded, and sizes and numbers are bounded.
package bundle

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"carepost/certificate"
	"carepost/internal/audit"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/trust"
)

// Errors that callers branch on.
var (
	ErrNoBundle = errors.New("bundle: there is no bundle of that name")
	ErrTaken    = errors.New("bundle: there is a bundle of that name already")
)

// Invalid says why what was given cannot be taken: cause and remedy, in one sentence.
type Invalid struct{ Reason string }

func (e *Invalid) Error() string { return "bundle: " + e.Reason }

// Refused says why a bundle that came was not taken. The anchors before stay.
type Refused struct{ Reason string }

func (e *Refused) Error() string { return "bundle: " + e.Reason }

// ErrUnreached goes with a *Refused where the network gave no answer: another time it may.
var ErrUnreached = errors.New("bundle: no answer")

// Limits of what an operator may ask for.
const (
	maxName     = 64
	maxURL      = 2048
	maxBundles  = 100
	minInterval = time.Minute
	maxInterval = 366 * 24 * time.Hour
	maxSigners  = 8
	// maxBody is one octet more than trust.ParseBundle reads: it says what is too much.
	maxBody = 2<<20 + 1
)

// defaultShrink is how many percent of a bundle's anchors may go at once: a third, rounded up.
const defaultShrink = 34

// Options of a Service.
type Options struct {
	Store   *store.Store
	Fetcher trust.Fetcher
	Clock   transit.Clock
	Log     *slog.Logger
}

// Service is made by New and safe for concurrent use.
type Service struct{ o Options }

// New makes a Service. Nothing runs.
func New(o Options) *Service {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{o}
}

// Wanted is a bundle as an operator asks for it.
type Wanted struct {
	Name       string
	Owner      store.Owner       // whose anchors they are; checked by the caller
	Direction  transit.Direction // 0: both
	URL        string
	Every      time.Duration // 0: fetched by hand alone
	Signers    []*x509.Certificate
	Shrink     int // percent; 0: a third; 100: any
	Evaluation *store.Evaluation
}

func (n *Wanted) check() error {
	u, err := url.Parse(n.URL)
	switch {
	case len(n.Name) > maxName || !regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*$`).MatchString(n.Name):
		return &Invalid{"the name of a bundle is made of small letters, digits, dots and hyphens"}
	case err != nil || len(n.URL) > maxURL || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil:
		return &Invalid{"a bundle is fetched from a URL that begins with https:// or http://"}
	case n.Every != 0 && (n.Every < minInterval || n.Every > maxInterval):
		return &Invalid{"the interval is between a minute and a year, or 0: by hand"}
	case u.Scheme == "http" && len(n.Signers) == 0:
		return &Invalid{"over plain http anybody on the way could change the bundle: use https, or name the certificate that signs it"}
	case len(n.Signers) > maxSigners:
		return &Invalid{fmt.Sprintf("no more than %d certificates may sign it", maxSigners)}
	case n.Shrink < 0 || n.Shrink > 100:
		return &Invalid{"the share that may go at once is 1 to 100 percent"}
	}
	if n.Shrink == 0 {
		n.Shrink = defaultShrink
	}
	return nil
}

// Add takes a bundle on. It brings nothing before it has been fetched. ErrTaken, *Invalid.
func (s *Service) Add(ctx context.Context, by audit.Actor, n Wanted) (b store.Bundle, err error) {
	if err := n.check(); err != nil {
		return b, err
	}
	b = store.Bundle{Name: n.Name, Owner: n.Owner, Direction: n.Direction, Detail: store.BundleDetail{URL: n.URL, Every: n.Every, Shrink: n.Shrink,
		Evaluation: n.Evaluation, Next: s.o.Clock()}}
	for _, c := range n.Signers {
		b.Detail.Signers = append(b.Detail.Signers, c.Raw)
	}
	err = s.o.Store.Tx(ctx, func(tx *store.Tx) error {
		all, err := tx.Bundles()
		if err != nil {
			return err
		}
		if len(all) >= maxBundles {
			return &Invalid{fmt.Sprintf("there are %d bundles already, and no more are kept", len(all))}
		}
		b.ID = ""
		err = tx.InsertBundle(&b)
		if errors.Is(err, store.ErrDuplicate) {
			return ErrTaken
		}
		if err != nil {
			return err
		}
		detail := map[string]string{"name": b.Name, "url": n.URL, "every": n.Every.String(), "signers": strings.Join(prints(b.Detail.Signers), " "),
			"shrink": strconv.Itoa(n.Shrink)}
		if e := n.Evaluation; e != nil {
			detail["evaluation"], detail["evaluated by"] = e.Assured, e.By
		}
		return audit.Write(tx, audit.Entry{Actor: by, Action: "bundle.add", Object: "bundle:" + b.ID, Detail: detail})
	})
	return b, known("add", err)
}

// Listed is a bundle with the number of its anchors.
type Listed struct {
	store.Bundle
	Anchors int
	Expired int // of them
}

// List lists all bundles, by name.
func (s *Service) List(ctx context.Context, by audit.Actor) (out []Listed, err error) {
	err = s.o.Store.Tx(ctx, func(tx *store.Tx) error {
		out = nil
		all, err := tx.Bundles()
		if err != nil {
			return err
		}
		for _, b := range all {
			ders, err := tx.BundleAnchors(b.ID)
			if err != nil {
				return err
			}
			out = append(out, Listed{b, len(ders), expired(ders, s.o.Clock())})
		}
		return audit.Write(tx, audit.Entry{Actor: by, Action: "bundle.list", Object: "bundle:all"})
	})
	return out, known("list", err)
}

// Remove gives a bundle up, with the anchors that it brought. ErrNoBundle.
func (s *Service) Remove(ctx context.Context, by audit.Actor, name string) error {
	return known("remove", s.o.Store.Tx(ctx, func(tx *store.Tx) error {
		b, err := tx.Bundle(name)
		if err != nil {
			return err
		}
		ders, err := tx.BundleAnchors(b.ID)
		if err != nil {
			return err
		}
		if err := tx.RemoveBundle(b.ID); err != nil {
			return err
		}
		return audit.Write(tx, audit.Entry{Actor: by, Action: "bundle.remove", Object: "bundle:" + b.ID,
			Detail: map[string]string{"name": name, "removed": strings.Join(prints(ders), " ")}})
	}))
}

// Evaluate says what was found about who gives a bundle out, in the place of what was said before. ErrNoBundle.
func (s *Service) Evaluate(ctx context.Context, by audit.Actor, name string, e store.Evaluation) error {
	return known("evaluate", s.o.Store.Tx(ctx, func(tx *store.Tx) error {
		b, err := tx.Bundle(name)
		if err != nil {
			return err
		}
		b.Detail.Evaluation = &e
		if err := tx.SetBundle(b.ID, b.Detail); err != nil {
			return err
		}
		return audit.Write(tx, audit.Entry{Actor: by, Action: "bundle.evaluate", Object: "bundle:" + b.ID,
			Detail: map[string]string{"name": name, "evaluation": e.Assured, "evaluated by": e.By}})
	}))
}

// Warnings tells people what needs a look: bundles that were not taken.
func (s *Service) Warnings(ctx context.Context) (out []string, err error) {
	err = s.o.Store.View(ctx, func(tx *store.Tx) error {
		out = nil
		all, err := tx.Bundles()
		for _, b := range all {
			if b.Detail.Alarm != "" {
				out = append(out, fmt.Sprintf("the trust bundle %s was not taken, the anchors before stay: %s", b.Name, b.Detail.Alarm))
			}
		}
		return err
	})
	return out, known("warnings", err)
}

// known leaves our own errors as they are and prefixes the others.
func known(what string, err error) error {
	var invalid *Invalid
	var refused *Refused
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrNotFound):
		return ErrNoBundle
	case errors.As(err, &invalid), errors.As(err, &refused), errors.Is(err, ErrTaken):
		return err
	}
	return fmt.Errorf("bundle: %s: %w", what, err)
}

func prints(ders [][]byte) (out []string) {
	for _, der := range ders {
		sum := sha256.Sum256(der)
		out = append(out, hex.EncodeToString(sum[:]))
	}
	return out
}

func expired(ders [][]byte, now time.Time) (n int) {
	for _, der := range ders {
		if c, err := certificate.Parse(der); err == nil && now.After(c.NotAfter) {
			n++
		}
	}
	return n
}

// due is when a bundle is fetched next: after its interval, or sooner after failures, a tenth earlier or later so that not all come at once.
func due(now time.Time, every time.Duration, failures int) time.Time {
	if every == 0 {
		return time.Time{}
	}
	wait := every
	if failures > 0 {
		wait = min(every, retryAfter<<min(failures-1, 6))
	}
	spread := big.NewInt(int64(wait/5) + 1)
	n, err := rand.Int(rand.Reader, spread)
	if err != nil {
		return now.Add(wait)
	}
	return now.Add(wait - wait/10 + time.Duration(n.Int64()))
}

// retryAfter is the first wait after a failure; each further one doubles it, up to the interval.
const retryAfter = 5 * time.Minute
