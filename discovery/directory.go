package discovery

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"carepost/addr"
	"carepost/ldap"
	"carepost/resolver"
	"carepost/trust"
)

const (
	maxServers   = 8               // LDAP servers of a domain
	maxAddresses = 4               // of one of them
	maxSessions  = 8               // with one server at a time
	serverTime   = 5 * time.Second // for connecting and where the directory begins, and for one search
)

// ErrDirectory says that a domain names LDAP servers (SRV), and none of them answers now.
var ErrDirectory = errors.New("discovery: no LDAP server of the domain answers now")

// What is kept, by kind.
const (
	kindCERT   = "CERT"
	kindSRV    = "SRV"
	kindServer = "server"
	kindMail   = "mail"
)

// servers asks where the directory of a domain is (RFC 2782): by priority, then the heavier first, always in this order.
func (f *Finder) servers(ctx context.Context, d addr.Domain) (*answer, error) {
	srv, err := f.Resolver.SRV(ctx, service(d))
	a := &answer{ttl: shortly}
	switch {
	case errors.Is(err, resolver.ErrNotFound):
		return a, nil
	case err != nil:
		a.note("%s", strings.TrimPrefix(err.Error(), "resolver: "))
		return a, fmt.Errorf("discovery: %w", err)
	}
	if len(srv) > maxServers {
		srv = srv[:maxServers]
		a.note("more than %d servers: the rest is left aside", maxServers)
	}
	a.servers, a.ttl, a.dnssec = srv, min(srv[0].TTL, longest), srv[0].DNSSEC
	return a, nil
}

func service(d addr.Domain) string { return "_ldap._tcp." + string(d) }

func hostPort(s resolver.SRV) string { return net.JoinHostPort(s.Host, strconv.Itoa(int(s.Port))) }

// describe tells servers in the order in which they are asked.
func describe(servers []resolver.SRV) string {
	var parts []string
	for _, s := range servers {
		parts = append(parts, fmt.Sprintf("%s (priority %d, weight %d)", hostPort(s), s.Priority, s.Weight))
	}
	return counted(len(servers), "server") + ": " + strings.Join(parts, ", ")
}

// inDirectory asks the servers in turn for the certificates of one mail value. The first that answers has said all: they are copies of one
// directory. Each server's time is its own, and one that does not answer is left alone for a minute, by everybody.
func (f *Finder) inDirectory(ctx context.Context, c *Cache, servers []resolver.SRV, mail string) (*answer, error) {
	a := &answer{}
	for _, s := range servers {
		at := hostPort(s)
		say := func(outcome string) {
			a.steps = append(a.steps, Step{Name: at, Source: SourceLDAP, Server: at, Outcome: outcome})
		}
		dse := c.do(ctx, key{kindServer, at}, serverTime, func(ctx context.Context) (*answer, error) { return f.begin(ctx, s) })
		if dse.err != nil {
			if ctx.Err() != nil {
				return a, fmt.Errorf("discovery: %w", ctx.Err())
			}
			text := plain(dse.err)
			if dse.cached {
				text += ", as it turned out a moment ago"
			}
			say(text + ": the next one is asked")
			continue
		}
		if len(dse.bases) == 0 {
			say("the server says not where its directory begins (namingContexts): nothing to search")
			a.ttl, a.server = shortly, at
			return a, nil
		}
		say("the directory begins at " + strings.Join(dse.bases, ", "))
		err := f.ask(ctx, c, s, dse.bases, mail, a)
		if err == nil {
			return a, nil
		}
		if ctx.Err() != nil {
			return a, fmt.Errorf("discovery: %w", ctx.Err())
		}
		say(plain(err) + ": the next one is asked")
	}
	return a, ErrDirectory
}

// begin reads where the directory of a server begins.
func (f *Finder) begin(ctx context.Context, s resolver.SRV) (*answer, error) {
	session, err := f.open(ctx, s)
	if err != nil {
		return nil, err
	}
	defer session.Close()
	bases, err := session.Bases(ctx)
	if err != nil {
		return nil, err
	}
	return &answer{bases: bases, ttl: directory}, nil
}

// open connects with a server and binds.
func (f *Finder) open(ctx context.Context, s resolver.SRV) (*ldap.Session, error) {
	addresses, err := f.Resolver.Addrs(ctx, s.Host)
	if err != nil {
		return nil, errors.New("the name of the server has no address")
	}
	addresses = addresses[:min(len(addresses), maxAddresses)]
	var last error
	for i, ip := range addresses {
		session, err := func() (*ldap.Session, error) {
			attempt, cancel := context.WithTimeout(ctx, serverTime/time.Duration(len(addresses)))
			defer cancel()
			conn, err := f.Dial(attempt, "tcp", net.JoinHostPort(ip.String(), strconv.Itoa(int(s.Port))))
			switch {
			case errors.Is(err, trust.ErrAbsent): // as with a Fetcher: asking again will not help
				return nil, errNotAllowed
			case err != nil:
				return nil, errConnect
			}
			return ldap.Open(attempt, conn)
		}()
		if err == nil || i == len(addresses)-1 || ctx.Err() != nil {
			return session, err
		}
		last = err
	}
	return nil, last
}

var (
	errConnect    = errors.New("there is no connection to the server")
	errNotAllowed = errors.New("the server's address is not public, or its port is not one of a directory")
)

// ask searches one server, all its bases at once.
func (f *Finder) ask(ctx context.Context, c *Cache, s resolver.SRV, bases []string, mail string, a *answer) error {
	at := hostPort(s)
	defer f.sessions.take(ctx, at)()
	k := key{kindServer, at}
	if err := c.failure(k); err != nil || ctx.Err() != nil { // it died while we waited for our turn
		return cmpOr(err, ctx.Err())
	}
	mine, cancel := context.WithTimeout(ctx, serverTime)
	defer cancel()
	results := make([]ldap.Result, len(bases))
	errs := make([]error, len(bases))
	session, err := f.open(mine, s)
	if err == nil {
		defer session.Close()
		var wg sync.WaitGroup
		for i, base := range bases {
			wg.Go(func() { results[i], errs[i] = session.Certificates(mine, base, mail) })
		}
		wg.Wait()
		err = errors.Join(errs...)
	}
	if err != nil {
		var code *ldap.ResultError
		if !errors.As(err, &code) && ctx.Err() == nil { // its own time ended, not ours
			c.fail(k, firstOf(err))
		}
		return firstOf(err)
	}
	a.server, a.ttl = at, shortly
	for _, r := range results {
		a.entries(r)
	}
	if len(a.certs) > 0 {
		a.ttl = directory
	}
	return nil
}

// entries takes the certificates of a search: of every entry, all that it has.
func (a *answer) entries(r ldap.Result) {
	if r.Cut {
		a.note("the server has more entries than are read")
	}
	if r.Referred {
		a.note("the server refers to others, which are not asked")
	}
	for _, e := range r.Entries {
		for _, der := range e.Values {
			if len(a.certs) == maxRecords {
				a.note("more than %d certificates: the rest is left aside", maxRecords)
				return
			}
			a.certificate(der, published{entry: e.DN})
		}
	}
}

// firstOf takes one of joined errors.
func firstOf(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()[0]
	}
	return err
}

func cmpOr(errs ...error) error {
	i := slices.IndexFunc(errs, func(err error) bool { return err != nil })
	return errs[i]
}

// plain is a reason without the prefix of its room.
func plain(err error) string {
	text := strings.TrimPrefix(strings.TrimPrefix(err.Error(), "ldap: "), "discovery: ")
	text, _, _ = strings.Cut(text, ": context deadline exceeded")
	return text
}

// turns lets so many at a time speak with one server. The zero value is ready.
type turns struct {
	mu sync.Mutex
	m  map[string]*turn
}

type turn struct {
	slots chan struct{}
	users int
}

// take waits for a turn, or the end of ctx; the function returned gives it back.
func (t *turns) take(ctx context.Context, at string) func() {
	t.mu.Lock()
	if t.m == nil {
		t.m = map[string]*turn{}
	}
	q := t.m[at]
	if q == nil {
		q = &turn{slots: make(chan struct{}, maxSessions)}
		t.m[at] = q
	}
	q.users++
	t.mu.Unlock()
	taken := false
	select {
	case q.slots <- struct{}{}:
		taken = true
	case <-ctx.Done():
	}
	return func() {
		if taken {
			<-q.slots
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		if q.users--; q.users == 0 {
			delete(t.m, at)
		}
	}
}
