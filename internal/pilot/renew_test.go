package pilot_test

import (
	"slices"
	"sync"
	"testing"
	"time"
)

// Renew is for those who run for long: several at a time replace what is due once, and what is not due never. DIR-06, DIR-53.
func TestRenew(t *testing.T) {
	start := time.Now()
	p := newPlace(t, start)
	check(t, p.Renew(t.Context(), start.Add(200*day)))
	if got := p.issues(t); len(got) != 0 {
		t.Errorf("issued %q", got)
	}
	now := start.Add(250 * day)
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			if err := p.Renew(t.Context(), now); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got, want := p.issues(t), []string{"organisation: it ends soon", "server: it ends soon"}; !slices.Equal(got, want) {
		t.Errorf("issued %q, want %q", got, want)
	}
	p.organisation(t, now)
	check(t, p.server(t).VerifyHostname(p.opts.Hostname))
}
