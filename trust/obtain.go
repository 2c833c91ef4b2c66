package trust

import (
	"context"
	"fmt"
)

// recall is what is kept from there: in memory, else on the shelf. fresh says that it need not be fetched anew.
func (in *inquiry) recall(ctx context.Context, from source, s subject) (k *kept, fresh bool) {
	k, fresh = in.statuses.get(from, in.q.Now)
	if k == nil && in.Shelf != nil {
		if k = in.unshelve(ctx, from, s); k != nil {
			in.statuses.put(from, k)
			k, fresh = in.statuses.get(from, in.q.Now)
		}
	}
	in.watch.status(from, k, fresh)
	return k, fresh
}

// obtain gets the status from there: what is kept while it is fresh, else by fetch, which is asked by one inquiry at a time. If there
// is none, no tells why. count is of fetches by this inquiry, most how many there may be.
func (in *inquiry) obtain(ctx context.Context, from source, s subject, what string, count *int, most int,
	fetch func(context.Context) (*kept, string)) (_ *kept, no string) {
	if k, fresh := in.recall(ctx, from, s); fresh {
		return k, ""
	}
	old, _ := in.statuses.get(from, in.q.Now)
	late := func(no string) (*kept, string) {
		in.watch.fleeting = true
		if old != nil { // its dates say what it is still worth
			return old, ""
		}
		return nil, no
	}
	if in.Fetcher == nil {
		return late(what + " is not at hand, and nothing may be fetched")
	}
	if *count++; *count > most {
		return late(fmt.Sprintf("after %d fetches of its kind no more are made: %s is not at hand", most, what))
	}
	host := httpHost(from.url)
	release := in.statuses.begin(in.crlsBy.within(ctx), from)
	if release == nil {
		return late("there was no time to fetch " + what + " from " + host)
	}
	defer release()
	if k, fresh := in.statuses.get(from, in.q.Now); fresh { // while we waited
		in.watch.status(from, k, fresh)
		return k, ""
	}
	if !in.q.Budget.take() {
		return late("this message has had all its fetches: " + what + " is not at hand")
	}
	k, no := fetch(ctx)
	if k == nil {
		in.tell("fetch", host, "", no)
		return late(no)
	}
	k.issuer, k.at, k.used = s.issuer, in.q.Now, in.q.Now
	this, _ := k.span()
	in.tell("fetch", host, "", fmt.Sprintf("%s came from there, %d bytes, made on %s", what, k.size()-statusOverhead, this.UTC().Format(dateLayout)))
	if old != nil {
		was, _ := old.span()
		if this.Before(was) && !was.After(in.q.Now) {
			// Nobody turns the clock back with an older list; its dates are looked at. A list from the future has no such say: its
			// issuer's clock was wrong.
			return late("")
		}
	}
	in.shelve(ctx, from, k)
	in.statuses.put(from, k)
	in.watch.status(from, k, true)
	return k, ""
}
