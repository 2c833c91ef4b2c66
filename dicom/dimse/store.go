package dimse

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// Item is an instance that a Client is to store.
type Item struct {
	Instance                               // what its data set says; zero = what its file meta information says, which should be the same
	Open     func() (io.ReadCloser, error) // a DICOM Part 10 file
}

// Store stores items and gives each its result; done, if there is one, is told of each as it comes. There is one association for
// every 128 pairs of class and transfer syntax. Where an association breaks, the next instance begins another; where none can be had,
// or the third in a row breaks, all that remain have that error. Nothing is sent twice.
func (c *Client) Store(ctx context.Context, items []Item, done func(i int, r Result)) []Result {
	s := &storing{c: c, items: items, know: make([]Instance, len(items)), results: make([]Result, len(items)), done: done}
	var rest []int
	for i := range items {
		if err := s.learn(i); err != nil {
			s.set(i, Result{Err: err})
		} else {
			rest = append(rest, i)
		}
	}
	for len(rest) > 0 {
		var err error
		if rest, err = s.batch(ctx, rest); err != nil {
			for _, i := range rest {
				s.set(i, Result{Err: err})
			}
			break
		}
	}
	return s.results
}

// storing is one call of Store.
type storing struct {
	c       *Client
	items   []Item
	know    []Instance
	results []Result
	done    func(int, Result)
	broken  int // associations in a row that broke
}

func (s *storing) set(i int, r Result) {
	s.results[i] = r
	if s.done != nil {
		s.done(i, r)
	}
}

// learn finds out what an item is.
func (s *storing) learn(i int) error {
	s.know[i] = s.items[i].Instance
	if s.know[i] != (Instance{}) {
		return nil
	}
	known, _, f, err := s.open(i)
	if err == nil {
		s.know[i] = known
		f.Close()
	}
	return err
}

func (s *storing) open(i int) (Instance, io.Reader, io.Closer, error) {
	f, err := s.items[i].Open()
	if err != nil {
		return Instance{}, nil, nil, errors.Join(ErrSource, err)
	}
	known, data, err := OpenPart10(f)
	if err != nil {
		f.Close()
		return Instance{}, nil, nil, err
	}
	return known, data, f, nil
}

// batch stores what one association can, and returns what is left over. An error holds for all of that.
func (s *storing) batch(ctx context.Context, rest []int) (left []int, err error) {
	contexts, now, left := s.contexts(rest)
	l, err := s.c.Associate(ctx, contexts)
	if err != nil {
		return rest, err
	}
	for n, i := range now {
		r, stands := s.one(l, i)
		s.set(i, r)
		if r.Err == nil || errors.Is(r.Err, ErrSource) { // our own fault
			s.broken = 0
		}
		if stands {
			continue
		}
		left = append(now[n+1:len(now):len(now)], left...)
		if s.broken++; s.broken >= maxBrokenInRow || ctx.Err() != nil {
			return left, r.Err
		}
		return left, nil
	}
	_ = l.Release() // all that was stored is stored
	return left, nil
}

// contexts gathers what one association may propose, and whom that serves.
func (s *storing) contexts(rest []int) (contexts []Context, now, left []int) {
	proposed := map[Context]bool{}
	for _, i := range rest {
		x := Context{s.know[i].SOPClass, s.know[i].TransferSyntax}
		if !proposed[x] && len(contexts) == maxContexts {
			left = append(left, i)
			continue
		}
		if !proposed[x] {
			proposed[x] = true
			contexts = append(contexts, x)
		}
		now = append(now, i)
	}
	return contexts, now, left
}

// one stores an item. stands says that the link may be used again.
func (s *storing) one(l *Link, i int) (r Result, stands bool) {
	known, data, f, err := s.open(i)
	if err != nil {
		return Result{Err: err}, true
	}
	defer f.Close()
	if given := s.items[i].Instance; given == (Instance{}) && known != s.know[i] || known.TransferSyntax != s.know[i].TransferSyntax {
		return Result{Err: fmt.Errorf("%w: it is another than it was", ErrSource)}, true
	}
	status, comment, err := l.Store(s.know[i], data)
	return Result{status, comment, err}, err == nil || errors.Is(err, ErrNotAccepted)
}
