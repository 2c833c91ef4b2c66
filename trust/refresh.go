package trust

import (
	"cmp"
	"context"
	"encoding/binary"
	"slices"
	"time"
)

// Statuses are refreshed beforehand if they were used within a week: those used within the last hour when they are fifty minutes old, the
// others in the last tenth of their time. Both moments are earlier by up to a fifth, each source by its own part.
const (
	refreshAge  = 50 * time.Minute
	refreshUsed = 7 * 24 * time.Hour
	refreshRest = 5 * time.Minute // between two fetches of one source
	maxRefresh  = 64              // fetches of one round
)

// Refresh fetches anew what is kept and will soon be too old, so that nobody waits for it, and nobody is without it while a server is
// away for a while. It returns how many statuses it replaced, and how many could not be had; those are tried again by the next call.
// At most 64 are fetched by one call.
func (j *Judge) Refresh(ctx context.Context, now time.Time) (replaced, failed int) {
	if j.Fetcher == nil {
		return 0, 0
	}
	for _, d := range j.statuses.due(now) {
		if ctx.Err() != nil {
			break
		}
		if j.refresh(ctx, d, now) {
			replaced++
		} else {
			failed++
		}
	}
	return replaced, failed
}

type dueStatus struct {
	from source
	kept *kept
	next time.Time
	used time.Time
}

// due are the statuses to refresh, the most urgent first.
func (c *statusCache) due(now time.Time) (out []dueStatus) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for from, k := range c.all {
		if _, next := k.span(); k.due(from, now) {
			out = append(out, dueStatus{from, k, next, k.used})
		}
	}
	slices.SortFunc(out, func(a, b dueStatus) int { return cmp.Or(a.next.Compare(b.next), cmp.Compare(a.from.url, b.from.url)) })
	out = out[:min(len(out), maxRefresh)]
	for _, d := range out {
		d.kept.tried = now
	}
	return out
}

// due is called with the cache's lock held.
func (k *kept) due(from source, now time.Time) bool {
	this, next := k.span()
	name := from.name()
	early := func(d time.Duration) time.Duration { // up to a fifth less
		return d - time.Duration(float64(d)/5*float64(binary.BigEndian.Uint16(name[:]))/65536)
	}
	switch idle := now.Sub(k.used); {
	case idle > refreshUsed, now.Sub(k.at) < refreshRest, now.Sub(k.tried) < refreshRest:
		return false
	case idle < statusAge && now.Sub(k.at) >= early(refreshAge):
		return true
	}
	return now.Sub(this) >= early(next.Sub(this)-next.Sub(this)/10)
}

// refresh fetches one status as a question would. Use is what questions make of it, so it does not count as one.
func (j *Judge) refresh(ctx context.Context, d dueStatus, now time.Time) bool {
	from, k := d.from, d.kept
	in := j.inquiry(Question{Now: now})
	defer in.end()
	release := j.statuses.begin(in.crlsBy.within(ctx), from)
	if release == nil {
		return false
	}
	defer release()
	s := subject{Certificate: k.subject, issuer: k.issuer, who: "the certificate"}
	fresh := &kept{issuer: k.issuer, subject: k.subject, at: now, used: d.used}
	host := httpHost(from.url)
	if k.list != nil {
		fresh.list, _ = in.fetchNewCRL(ctx, from.url, host, k.issuer)
	} else {
		fresh.reply, _ = in.request(ctx, from.url, host, s)
	}
	if fresh.list == nil && fresh.reply == nil {
		return false
	}
	this, _ := fresh.span()
	if was, _ := k.span(); this.Before(was) && !was.After(now) {
		return false
	}
	j.shelve(ctx, from, fresh)
	j.statuses.put(from, fresh)
	return true
}
