package gateway

import (
	"context"
	"fmt"
	"time"
)

// upkeep keeps our own certificates in date while the gateway runs: what is due is replaced, shown to those who deliver, and published.
// What fails is tried again the next time: certificates are replaced months before they end.
func (g *Gateway) upkeep(ctx context.Context) error {
	tick := time.NewTicker(g.opts.Upkeep)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := g.renew(ctx); err != nil && ctx.Err() == nil {
			g.opts.Log.Error("upkeep of our own certificates", "error", err)
		}
	}
}

// renew shows and publishes also what was replaced by somebody else, or by an earlier round that went no further.
func (g *Gateway) renew(ctx context.Context) error {
	if g.authority != nil {
		if err := g.authority.Renew(ctx, g.opts.Clock()); err != nil {
			return err
		}
	}
	if err := g.Show(ctx, *g.tls.Load()); err != nil {
		return err
	}
	if err := g.publish(ctx); err != nil {
		return fmt.Errorf("publishing: %w", err)
	}
	return nil
}
