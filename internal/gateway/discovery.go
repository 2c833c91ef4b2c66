package gateway

import (
	"context"

	"carepost/internal/audit"
)

// flush forgets what was found of others: answers of DNS and LDAP, certificates fetched by URL, servers that were dead.
func (g *Gateway) flush(ctx context.Context, by audit.Actor) error {
	if err := g.note(ctx, by, "discovery.flush", "domain:"+g.opts.Domain.String()); err != nil {
		return err
	}
	g.ways.now.Load().finder.Flush()
	return nil
}
