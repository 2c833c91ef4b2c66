package discovery_test

import (
	"context"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"carepost/addr"
	"carepost/discovery"
	"carepost/ldap/ldaptest"
	"carepost/resolver/resolvertest"
	"carepost/trust/certtest"
)

// cached is a Finder whose clock the test sets.
func cached(s *resolvertest.Server) (f *discovery.Finder, pass func(time.Duration)) {
	now := time.Unix(1e9, 0)
	var mu sync.Mutex
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	f = &discovery.Finder{Resolver: s.Client(), Dial: (&dialer{}).Dial, Cache: discovery.NewCache(0, 0, clock)}
	f.Resolver.Timeout, f.Resolver.Tries = 2*time.Second, 1
	return f, func(d time.Duration) { mu.Lock(); defer mu.Unlock(); now = now.Add(d) }
}

func TestCacheLife(t *testing.T) {
	ca := certtest.NewCA(t, "Trial CA")
	lab := ca.Issue(t, "lab@h.example", certtest.Key(certtest.ECDSA(t))).Certificate
	s := resolvertest.Start(t)
	f, pass := cached(s)
	look := func() ([]discovery.Found, []discovery.Step, error) {
		return f.Lookup(t.Context(), addressOf(t, "lab@h.example"))
	}
	queries := func() int { return len(s.Queries()) }

	if found, _, err := look(); err != nil || len(found) != 0 || queries() != 3 {
		t.Fatalf("nothing there: %v, %v, %d queries", found, err, queries())
	}
	s.AddCERT(t, "lab.h.example", 1, lab.Raw) // for 60 seconds
	if found, steps, _ := look(); len(found) != 0 || queries() != 3 || !steps[0].Cached {
		t.Errorf("that nothing is there is known for a minute: %v, %d queries", found, queries())
	}
	pass(61 * time.Second)
	if found, _, err := look(); err != nil || len(found) != 1 || queries() != 4 {
		t.Fatalf("published: %v, %v", found, err)
	}
	pass(40 * time.Second)
	if found, steps, err := look(); err != nil || len(found) != 1 || found[0].TTL != 20*time.Second || !steps[0].Cached || steps[0].Stale || queries() != 4 {
		t.Errorf("within its TTL: %+v, %+v, %v", found, steps, err)
	}
	s.Fail(t, "lab.h.example", "SERVFAIL")
	pass(21 * time.Second)
	for range 2 {
		if found, steps, err := look(); err != nil || len(found) != 1 || !found[0].Stale || found[0].TTL != 0 || !strings.Contains(outcomes(steps), "no newer answer") || queries() != 5 {
			t.Errorf("no answer now: %+v, %+v, %v, %d queries", found, steps, err, queries())
		}
	}
	pass(23 * time.Hour)
	if found, _, err := look(); err != nil || len(found) != 1 || !found[0].Stale {
		t.Errorf("within a day: %v, %v", found, err)
	}
	pass(2 * time.Hour)
	if found, _, err := look(); err == nil || len(found) != 0 {
		t.Errorf("after a day: %v, %v", found, err)
	}
	s.Fail(t, "lab.h.example", "")
	pass(6 * time.Second)
	if found, _, err := look(); err != nil || len(found) != 1 || found[0].Stale {
		t.Errorf("it answers again: %v, %v", found, err)
	}
	s.Fail(t, "lab.h.example", "SERVFAIL")
	f.Flush()
	if found, _, err := look(); err == nil || len(found) != 0 {
		t.Errorf("flushed: %v, %v", found, err)
	}
}

// That nothing is published is an answer only as long as it lasts: it never stands in for one that cannot be had. Otherwise the
// domain's certificate would be taken for an address that has its own.
func TestNothingIsNotStale(t *testing.T) {
	org := certtest.NewCA(t, "Trial CA").Issue(t, "h.example", certtest.Key(certtest.ECDSA(t))).Certificate
	s := resolvertest.Start(t)
	s.AddCERT(t, "h.example", 1, org.Raw)
	f, pass := cached(s)
	if found, _, err := f.Lookup(t.Context(), addressOf(t, "lab@h.example")); err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	s.Fail(t, "lab.h.example", "SERVFAIL")
	pass(61 * time.Second)
	if found, _, err := f.Lookup(t.Context(), addressOf(t, "lab@h.example")); err == nil || len(found) != 0 {
		t.Errorf("%v, %v", found, err)
	}
}

// What LDAP said serves too where the servers are dead, and a server that comes back is asked again.
func TestStaleDirectory(t *testing.T) {
	lab := certtest.NewCA(t, "Trial CA").Issue(t, "lab@h.example", certtest.Key(certtest.ECDSA(t))).Certificate
	server := ldaptest.Start(t, []string{"ou=x"}, ldaptest.Root("ou=x"), ldaptest.Entry("ou=x", "lab", "lab@h.example", lab))
	s := resolvertest.Start(t)
	srv(t, s, "h.example", 0, 0, server.Address)
	f, pass := cached(s)
	look := func(who string) ([]discovery.Found, error) {
		found, _, err := f.Lookup(t.Context(), addressOf(t, who))
		return found, err
	}
	if found, err := look("lab@h.example"); err != nil || len(found) != 1 || found[0].Stale {
		t.Fatal(found, err)
	}
	server.Stop()
	if found, err := look("lab@h.example"); err != nil || len(found) != 1 || found[0].Stale {
		t.Errorf("within its time: %v, %v", found, err)
	}
	pass(10 * time.Minute)
	if found, err := look("lab@h.example"); err != nil || len(found) != 1 || !found[0].Stale {
		t.Errorf("the server is dead: %v, %v", found, err)
	}
	if found, err := look("desk@h.example"); !errors.Is(err, discovery.ErrDirectory) || len(found) != 0 {
		t.Errorf("somebody who was not asked about before: %v, %v", found, err)
	}
}

// A flush holds for what is under way too: whoever asks after it gets what is published after it.
func TestFlushDuringLookup(t *testing.T) {
	ca := certtest.NewCA(t, "Trial CA")
	old, fresh := ca.Issue(t, "lab@h.example", certtest.Key(certtest.ECDSA(t))).Certificate, ca.Issue(t, "lab@h.example", certtest.Key(certtest.ECDSA(t))).Certificate
	s := resolvertest.Start(t)
	s.AddCERT(t, "lab.h.example", 4, []byte("http://h.example/lab.cer"))
	asked, answer := make(chan struct{}), make(chan *x509.Certificate)
	f, _ := cached(s)
	f.Fetcher = fetch(func(string) ([]byte, error) { asked <- struct{}{}; return (<-answer).Raw, nil })
	type result struct {
		found []discovery.Found
		err   error
	}
	look := func() chan result {
		c := make(chan result, 1)
		go func() {
			found, _, err := f.Lookup(t.Context(), addressOf(t, "lab@h.example"))
			c <- result{found, err}
		}()
		return c
	}
	first := look()
	<-asked
	f.Flush()
	second := look()
	<-asked // its own fetch: it did not join
	answer <- fresh
	answer <- old
	a, b := <-first, <-second
	if a.err != nil || b.err != nil || len(a.found) != 1 || len(b.found) != 1 || a.found[0].Certificate.Equal(b.found[0].Certificate) {
		t.Fatalf("%v, %v", a, b)
	}
	kept := <-look()
	if kept.err != nil || len(kept.found) != 1 || !kept.found[0].Certificate.Equal(b.found[0].Certificate) {
		t.Errorf("what was flushed is back: %v", kept)
	}
}

// Who leaves takes nobody along: a look-up goes on as long as one waits for it, and one that all have left is not kept as a failure.
func TestLeaving(t *testing.T) {
	lab := certtest.NewCA(t, "Trial CA").Issue(t, "lab@h.example", certtest.Key(certtest.ECDSA(t))).Certificate
	s := resolvertest.Start(t)
	s.AddCERT(t, "lab.h.example", 4, []byte("http://h.example/lab.cer"))
	asked, answer := make(chan struct{}, 9), make(chan struct{})
	f, _ := cached(s)
	f.Fetcher = contextual(func(ctx context.Context) ([]byte, error) {
		asked <- struct{}{}
		select {
		case <-answer:
			return lab.Raw, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	})
	ctx, leave := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, _, err := f.Lookup(ctx, addressOf(t, "lab@h.example")); !errors.Is(err, context.Canceled) {
			t.Errorf("who left: %v", err)
		}
	})
	<-asked
	leave()
	wg.Wait()
	close(answer)
	if found, _, err := f.Lookup(t.Context(), addressOf(t, "lab@h.example")); err != nil || len(found) != 1 {
		t.Errorf("who came after: %v, %v", found, err)
	}
}

type contextual func(context.Context) ([]byte, error)

func (f contextual) Fetch(ctx context.Context, _ string, _ int64) ([]byte, error) { return f(ctx) }

// What was remembered comes last, where nothing was found or nothing answers, and never in place of
// what is published, be that of no use.
func TestRememberedLast(t *testing.T) {
	ca := certtest.NewCA(t, "Trial CA")
	issue := func(edits ...certtest.Edit) *x509.Certificate {
		return ca.Issue(t, "lab@h.example", append(edits, certtest.Key(certtest.ECDSA(t)))...).Certificate
	}
	expired, mine, john := issue(certtest.Until(past)), issue(), ca.Issue(t, "john@h.example").Certificate
	for _, tc := range []struct {
		name       string
		published  *x509.Certificate
		rcode      string
		remembered []*x509.Certificate
		broken     error
		want       *x509.Certificate
		source     string
		err        bool
	}{
		{name: "remembered, nothing published", remembered: []*x509.Certificate{mine}, want: mine, source: "remembered"},
		{name: "remembered, no answer", rcode: "SERVFAIL", remembered: []*x509.Certificate{mine}, want: mine, source: "remembered"},
		{name: "remembered, an expired one published", published: expired, remembered: []*x509.Certificate{mine}, want: expired, source: "DNS CERT"},
		{name: "remembered, of somebody else", remembered: []*x509.Certificate{john}},
		{name: "nothing published, and what is remembered cannot be read", broken: errors.New("disk"), err: true},
		{name: "published, and what is remembered cannot be read", published: mine, broken: errors.New("disk"), want: mine, source: "DNS CERT"},
		{name: "remembered, of somebody else, no answer", rcode: "SERVFAIL", remembered: []*x509.Certificate{john}, err: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := resolvertest.Start(t)
			if tc.published != nil {
				s.AddCERT(t, "lab.h.example", 1, tc.published.Raw)
			}
			s.Fail(t, "lab.h.example", tc.rcode)
			f, _ := cached(s)
			f.Remembered = func(context.Context, addr.Address) ([]*x509.Certificate, error) { return tc.remembered, tc.broken }
			found, steps, err := f.Lookup(t.Context(), addressOf(t, "lab@h.example"))
			if (err != nil) != tc.err || (len(found) == 1) != (tc.want != nil) {
				t.Fatalf("%v, %v", found, err)
			}
			if tc.want != nil && (!found[0].Certificate.Equal(tc.want) || found[0].Source != tc.source || !slices.ContainsFunc(steps, func(s discovery.Step) bool { return s.Source == tc.source })) {
				t.Errorf("%+v, %+v", found, steps)
			}
		})
	}
}
