package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"carepost/addr"
	"carepost/internal/admind"
	"carepost/internal/audit"
	"carepost/internal/collect"
)

// newCollect makes the room that fetches mail from providers.
func (g *Gateway) newCollect() *collect.Service {
	return collect.New(collect.Options{Store: g.store, Flow: g.flow, Sources: g.opts.Collects, Hostname: g.opts.Hostname, Clock: g.opts.Clock, Log: g.opts.Log})
}

// heard is until when the mail of a domain is known to us.
func (g *Gateway) heard(ctx context.Context, d addr.Domain) (time.Time, bool, error) {
	if g.collect == nil {
		return time.Time{}, false, nil
	}
	return g.collect.Heard(ctx, d)
}

// collectHost lets operators fetch, and see how that goes.
func (g *Gateway) collectHost() admind.CollectHost {
	return admind.CollectHost{
		List: func(ctx context.Context) (out []admind.Collecting, err error) {
			all, err := g.collect.List(ctx)
			for _, t := range all {
				one := admind.Collecting{Name: t.Name, For: t.For.String(), Manual: t.Manual, Tried: known(t.Tried), Heard: known(t.Heard), Error: t.Error,
					Since: known(t.Since), Next: known(t.Next), Kept: t.Taken, Refused: []admind.NotTaken{}}
				for _, r := range t.Refused {
					one.Refused = append(one.Refused, admind.NotTaken(r))
				}
				out = append(out, one)
			}
			return out, err
		},
		Now: g.fetchNow,
		Retry: func(ctx context.Context, by audit.Actor, name string) (int64, error) {
			n, err := g.collect.Retry(ctx, by, name)
			if errors.Is(err, collect.ErrUnknown) {
				err = &admind.Error{Status: http.StatusNotFound, Code: admind.NotFound, Reason: "carepost.toml has no [[collect]] of that name: carepost fetch list shows them"}
			}
			return n, err
		},
	}
}

// fetchNow uses a connection that may be short: mail is fetched, and what waits is sent. It returns when nothing more moves, or time is up.
func (g *Gateway) fetchNow(ctx context.Context, by audit.Actor, patience time.Duration) (out admind.Fetched, err error) {
	if g.started.Load() == nil {
		return out, &admind.Error{Status: http.StatusConflict, Code: admind.Conflict, Reason: "no gateway runs that could open and send mail: carepost serve starts it"}
	}
	if out.Flushed, err = g.flow.Flush(ctx, by); err != nil {
		return out, err
	}
	until := time.Now().Add(patience)
	within, cancel := context.WithDeadline(ctx, until)
	results := g.collect.Now(within)
	cancel()
	if err := ctx.Err(); err != nil {
		return out, err
	}
	for _, r := range results {
		out.Mailboxes = append(out.Mailboxes, admind.FetchedFrom{Name: r.Name, Taken: r.Taken, Refused: r.Refused, Removed: r.Removed, Error: r.Error})
	}
	for quiet := 0; quiet < 3 && time.Now().Before(until); { // what was opened is answered a moment later
		if out.Due, out.Waiting, err = g.flow.Busy(ctx); err != nil {
			return out, err
		}
		if quiet++; out.Due > 0 {
			quiet = 0
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return out, ctx.Err()
		}
	}
	out.Due, out.Waiting, err = g.flow.Busy(ctx)
	return out, err
}

// collectWarnings tell the operator of mailboxes from which nothing comes.
func (g *Gateway) collectWarnings(ctx context.Context) (out []string, err error) {
	all, err := g.collect.List(ctx)
	for _, t := range all {
		if t.Error != "" {
			out = append(out, fmt.Sprintf("no mail is fetched from %q since %s: %s", t.Name, t.Since.Local().Format("2006-01-02 15:04"), t.Error))
		}
		if n := len(t.Refused); n > 0 {
			out = append(out, fmt.Sprintf("mails (%d) stay at the provider, for they cannot be taken as they are (%q): carepost fetch list tells why", n, t.Name))
		}
	}
	return out, err
}
