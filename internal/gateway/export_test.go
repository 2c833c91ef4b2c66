package gateway

import (
	"context"

	"carepost/internal/pilot"
)

// Authority is the pilot authority itself.
func (g *Gateway) Authority() *pilot.Authority { return g.authority }

// PublishNow publishes what is in use.
func (g *Gateway) PublishNow(ctx context.Context) error { return g.publish(ctx) }
