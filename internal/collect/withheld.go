package collect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"carepost/imap"
	"carepost/pop3"
)

// round is what the sessions of one round share.
type round struct {
	f     *Fetched
	skip  map[string]bool // mails that the provider lists and does not give: their round is the next one
	first error           // of them
}

// missing is an error where mails were not given: not everything that lies there has been fetched.
func (r *round) missing() error {
	if r.first == nil {
		return nil
	}
	return fmt.Errorf("the provider does not give %d of the mails that it lists: %w", len(r.skip), r.first)
}

// withheld says that the provider does not give a mail. The session is over if lost.
type withheld struct {
	err  error
	lost bool
}

func (w *withheld) Error() string { return w.err.Error() }
func (w *withheld) Unwrap() error { return w.err }

// maxLast is of how many mails it is kept in mind that sessions broke off at them.
const maxLast = 1000

// withhold leaves a mail for the next round, so that it keeps back no other.
func (x *source) withhold(i item, w *withheld, r *round) {
	r.skip[i.name] = true
	r.first = cmp.Or(r.first, w.err)
	if w.lost {
		if x.last == nil || len(x.last) >= maxLast {
			x.last = map[string]bool{}
		}
		x.last[i.name] = true
	}
}

// order has mails at which sessions broke off come after all others.
func (x *source) order(all []item) []item {
	slices.SortStableFunc(all, func(a, b item) int {
		switch {
		case x.last[a.name] == x.last[b.name]:
			return 0
		case x.last[a.name]:
			return 1
		}
		return -1
	})
	return all
}

// witness remembers what went wrong on the provider's side while a mail was read.
type witness struct {
	r   io.Reader
	err error
}

func (w *witness) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if err != nil && err != io.EOF {
		w.err = err
	}
	return n, err
}

// blame is the error: the mail's, but for the end of our own time.
func (w *witness) blame(ctx context.Context) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &withheld{err: w.err, lost: !errors.Is(w.err, pop3.ErrNo) && !errors.Is(w.err, imap.ErrNo)}
}
