package queue

import (
	"context"
	"time"
)

// place is what a piece of work takes up of its handler: a worker, or a place among those that hang.
//
// Servers that take a connection and say nothing hold their work for minutes each. Were that to hold the workers too, a handful of
// dead destinations would keep everybody's mail waiting. So who does not move gives its worker back; only the number of those that hang
// is bounded then, by Handler.Stalled.
type place struct {
	busy, stalled chan struct{}
	hangs         bool // set by watch, which has ended when leave is called
}

// watch begins when j has been at it for brisk. It moves j to the stalled when it has not moved for that long, as soon as there is room among
// them.
func (p *place) watch(ctx context.Context, brisk time.Duration, j *Job) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if rest := brisk - time.Since(time.Unix(0, j.moved.Load())); rest > 0 {
			timer.Reset(rest)
			continue
		}
		select {
		case p.stalled <- struct{}{}:
			p.hangs = true
			<-p.busy
			return
		default:
			timer.Reset(brisk)
		}
	}
}

// leave gives the place back.
func (p *place) leave() {
	if p.hangs {
		<-p.stalled
		return
	}
	<-p.busy
}
