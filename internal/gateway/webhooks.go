package gateway

import (
	"context"
	"errors"
	"net/http"
	"time"

	"carepost/internal/admind"
	"carepost/internal/audit"
	"carepost/internal/hook"
)

// hookHost lets operators see and try their webhooks.
func (g *Gateway) hookHost() admind.HookHost {
	return admind.HookHost{List: g.listHooks, Test: g.testHook}
}

func (g *Gateway) listHooks(ctx context.Context) ([]admind.Webhook, error) {
	all, err := g.hooks.List(ctx)
	out := []admind.Webhook{}
	for _, h := range all {
		out = append(out, admind.Webhook{
			URL: h.URL, Events: h.Events, Sent: known(h.Sent), Behind: h.Behind, Dropped: h.Dropped, Error: h.Error, Next: known(h.Next),
		})
	}
	return out, err
}

func (g *Gateway) testHook(ctx context.Context, by audit.Actor, url string) (refused, err error) {
	refused, err = g.hooks.Test(ctx, by, url)
	if errors.Is(err, hook.ErrUnknown) {
		err = &admind.Error{Status: http.StatusNotFound, Code: admind.NotFound, Reason: "carepost.toml names no webhook of that URL: carepost webhook list shows them"}
	}
	return refused, err
}

// known is a time for JSON: the zero one is none.
func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
