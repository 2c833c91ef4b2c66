package store

import (
	"context"
	"fmt"
	"time"

	"carepost/internal/crash"
)

// most is how many transactions share a commit at most.
const most = 64

// batch is a group of transactions that share a commit, for the commit is what waits for the disk.
//
// Whoever has the writer runs his transaction inside the batch that is open, or opens one; then he lets the others go who are waiting for
// the writer already, and queues up again behind them. The first to have it back commits for all. So a transaction that is alone
// is committed at once, and those that came while a commit waited for the disk are the next batch. Patient transactions leave their batch open
// for a while: the next one in a hurry commits for them.
//
// Nobody is told of his outcome before the commit, not even of a failure: it may come from what a neighbour has written (a
// repeat of a message that is not yet on the disk). When the commit fails, its error is the outcome of all.
type batch struct {
	size int           // transactions that were begun in it
	done chan struct{} // closed when err is final
	err  error
}

func (e *sqlite) write(ctx context.Context, fn func(querier) error) (err error) {
	spare := e.hurry.spare(ctx)
	s, err := e.take(ctx, e.w)
	if err != nil {
		return err
	}
	b, err := s.join()
	if err != nil {
		e.w <- s
		return prefix(full(err))
	}
	kept := false
	defer func() {
		if !kept { // an error, a panic or an exit of the goroutine
			s.undo()
		}
		if end := e.settle(s, b, spare); end != nil {
			err = prefix(full(end)) // without the other: that one may be about rows which are not there
		}
	}()
	if err := fn(s); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil { // the last moment at which the answer is certain
		return prefix(err)
	}
	if b.size > 1 {
		if err := s.do("RELEASE part"); err != nil {
			return prefix(full(err))
		}
	}
	kept = true
	return nil
}

// join begins a transaction in the open batch, or in one of its own. The first of a batch needs no savepoint: nobody is there whom its
// rolling back could harm.
func (s *session) join() (*batch, error) {
	if s.batch == nil {
		if err := s.begin("BEGIN IMMEDIATE"); err != nil {
			return nil, err
		}
		s.batch = &batch{done: make(chan struct{})}
	} else if err := s.do("SAVEPOINT part"); err != nil {
		s.abandon(err)
		return nil, err
	}
	s.batch.size++
	return s.batch, nil
}

// undo takes back the last transaction of the batch.
func (s *session) undo() {
	if s.batch.size == 1 {
		s.abandon(nil)
		return
	}
	err := s.do("ROLLBACK TO part")
	if err == nil {
		err = s.do("RELEASE part")
	}
	if err != nil { // the engine has rolled back everything by itself, as on a full disk
		s.abandon(err)
	}
}

// abandon ends the batch without its commit.
func (s *session) abandon(err error) {
	_ = s.do("ROLLBACK") // the engine may have done it already
	if err != nil {
		err = fmt.Errorf("another transaction spoilt the commit: %w", err)
	}
	s.end(err)
}

// commit ends the batch.
func (s *session) commit() {
	crash.Point("store.commit")
	err := s.do("COMMIT")
	if err != nil {
		_ = s.do("ROLLBACK")
	}
	crash.Point("store.committed")
	s.end(err)
}

func (s *session) end(err error) {
	s.batch.err = err
	close(s.batch.done)
	s.batch = nil
}

// settle gives the writer back and waits for the end of b; it commits b when the writer comes round with b still open, not before there is no
// time to spare.
func (e *sqlite) settle(s *session, b *batch, spare time.Duration) error {
	if s.batch == b && b.size >= most {
		s.commit()
		e.trim(s)
	}
	e.w <- s
	if spare > 0 {
		timer := time.NewTimer(spare)
		defer timer.Stop()
		select {
		case <-b.done:
			return b.err
		case <-timer.C:
		}
	}
	for {
		select {
		case <-b.done:
			return b.err
		case s := <-e.w:
			if s.batch == b {
				s.commit()
				e.trim(s)
			}
			e.w <- s
		}
	}
}
