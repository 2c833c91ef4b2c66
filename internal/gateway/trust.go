package gateway

import (
	"context"

	"carepost/internal/admin"
	"carepost/internal/audit"
	"carepost/internal/flow"
	"carepost/internal/store"
)

// remind logs and audits evaluations of anchors that are to be made again (DIR-59): each step once.
func (g *Gateway) remind(ctx context.Context) error {
	fresh, err := g.admin.Remind(ctx, actor)
	for _, r := range fresh {
		g.opts.Log.Warn("trust: evaluation due", "due", r.Due, "past", r.Past, "what", r.What)
	}
	return err
}

// trustWarnings are what status says of anchors.
func (g *Gateway) trustWarnings(ctx context.Context) (out []string, err error) {
	reviews, err := g.admin.Reviews(ctx)
	for _, r := range reviews {
		out = append(out, r.Words())
	}
	if err != nil {
		return out, err
	}
	bundles, err := g.bundles.Warnings(ctx)
	return append(out, bundles...), err
}

// Vouch pins a certificate, and has the mail of its holder that waits for that judged again. waiting is how much of it there is.
func (g *Gateway) Vouch(ctx context.Context, by audit.Actor, n admin.NewPin) (p admin.Pin, waiting int, err error) {
	matches := func(r flow.Request) bool {
		return r.Sender.Equal(n.Address) && r.Certificate.Equal(n.Certificate) &&
			(n.Owner.Address.IsZero() && (n.Owner.Domain == "" || n.Owner.Domain == r.To.Domain) || !n.Owner.Address.IsZero() && n.Owner.Address.Equal(r.To))
	}
	waiting, err = g.flow.Readmit(ctx, by, matches, func(tx *store.Tx) (err error) {
		p, err = g.admin.PinIn(tx, by, n)
		return err
	})
	return p, waiting, err
}
