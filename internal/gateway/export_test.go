package gateway

import (
	"context"
	"time"

	"carepost/addr"
	"carepost/discovery"
	"carepost/internal/admind"
	"carepost/internal/audit"
	"carepost/internal/pilot"
	"carepost/trust"
)

// Authority is the pilot authority itself.
func (g *Gateway) Authority() *pilot.Authority { return g.authority }

// SetPassword lets an account sign in.
func (g *Gateway) SetPassword(ctx context.Context, a addr.Address, password string) error {
	return g.admin.SetPassword(ctx, actor, a, password)
}

// PublishNow publishes what is in use.
func (g *Gateway) PublishNow(ctx context.Context) error { return g.publish(ctx) }

// Told is what the operator is told of what is published.
func (g *Gateway) Told(ctx context.Context, check bool) (admind.Publication, error) {
	return g.tellPublication(ctx, "", check)
}

// Lookup finds certificates of strangers as mail that goes out does.
func (g *Gateway) Lookup(ctx context.Context, a addr.Address) ([]discovery.Found, []discovery.Step, error) {
	return g.ways.Lookup(ctx, a)
}

// Shelf is where statuses outlive the process.
func (g *Gateway) Shelf() trust.Shelf { return shelf{g.store} }

// RestoreStatuses is the start of what tends them.
func (g *Gateway) RestoreStatuses(ctx context.Context) { g.restore(ctx) }

// TendStatuses is one of its rounds.
func (g *Gateway) TendStatuses(ctx context.Context, swept time.Time) time.Time {
	return g.tendStatuses(ctx, swept)
}

// ToldOf is Told of one of several domains.
func (g *Gateway) ToldOf(ctx context.Context, of addr.Domain) (admind.Publication, error) {
	return g.tellPublication(ctx, of, false)
}

// FetchNow is what carepost fetch asks for.
func (g *Gateway) FetchNow(ctx context.Context, by audit.Actor, patience time.Duration) (admind.Fetched, error) {
	return g.fetchNow(ctx, by, patience)
}

// Collecting is what carepost fetch list asks for.
func (g *Gateway) Collecting(ctx context.Context) ([]admind.Collecting, error) {
	return g.collectHost().List(ctx)
}
