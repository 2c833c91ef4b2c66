package gateway

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// minTurn lies at least between two publications because of the time.
const minTurn = time.Second

// upkeep keeps our own certificates in date while the gateway runs: what is due is replaced, shown to those who deliver, and published.
// What fails is tried again the next time: certificates are replaced months before they end.
func (g *Gateway) upkeep(ctx context.Context) error {
	tick := time.NewTicker(g.opts.Upkeep)
	defer tick.Stop()
	if err := g.tellEndings(ctx); err != nil && ctx.Err() == nil { // who starts it anew every hour is told too
		g.opts.Log.Error("looking for what ends", "error", err)
	}
	for {
		turn := time.NewTimer(g.untilTurn())
		select {
		case <-ctx.Done():
			turn.Stop()
			return nil
		case <-g.turned:
			turn.Stop()
			continue
		case <-turn.C:
			if err := g.publish(ctx); err != nil && ctx.Err() == nil {
				g.opts.Log.Error("publishing", "error", err)
			}
			continue
		case <-tick.C:
			turn.Stop()
		}
		if err := g.renew(ctx); err != nil && ctx.Err() == nil {
			g.opts.Log.Error("upkeep of our own certificates", "error", err)
		}
	}
}

// untilTurn is how long what is published stays right: until a certificate ends or begins. A clock that stands still is not asked
// without end.
func (g *Gateway) untilTurn() time.Duration {
	at := g.turn.Load()
	if at == 0 {
		return math.MaxInt64
	}
	return max(time.Unix(0, at).Sub(g.opts.Clock()), minTurn)
}

// renew shows and publishes also what was replaced by somebody else, or by an earlier round that went no further. One that fails
// keeps none of the others: what expires must not be published on because a file of [tls] is broken.
func (g *Gateway) renew(ctx context.Context) error {
	var failed []error
	if g.authority != nil {
		had := g.authority.Anchor()
		failed = append(failed, g.authority.Renew(ctx, g.opts.Clock()))
		if !g.authority.Anchor().Equal(had) {
			g.opts.Log.Warn("the pilot authority has a new key: give partners its certificate as a second anchor (carepost cert authority)")
			failed = append(failed, g.trustOurs(ctx))
		}
	}
	failed = append(failed, g.showAgain(ctx), g.remind(ctx), g.tellEndings(ctx))
	if err := g.publish(ctx); err != nil {
		failed = append(failed, fmt.Errorf("publishing: %w", err))
	}
	return errors.Join(failed...)
}
