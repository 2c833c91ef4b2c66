package gateway

import (
	"context"
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
