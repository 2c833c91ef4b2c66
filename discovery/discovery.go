// Package discovery finds the certificates of a Direct address before anything is sent to it.
//
// It follows Direct 2.3 and 5 (DNS CERT: by address, then by domain), RFC 4398 (CERT types) and RFC 2585 (certificates by URL),
// and for the order of steps the S&I Certificate Discovery guide, as its conformance tests show it: the first step that yields
// certificates is the last, and an expired or revoked certificate found there does not send the search further.
//
// Whether a certificate is trusted is for package trust to judge. One question is asked of it here, trust.Names, because a name in
// DNS is not an address: john.smith@h.example and john@smith.h.example share one (Direct 5.1), and what names the other address is
// no certificate of this one: it is no hit and does not end the search. Neither is a record that cannot be read. A certificate that
// names the address and contradicts itself (Direct 4.1.1, legacy emailAddress) is a hit, and refused by who judges.
//
// It departs from Direct 5.3 in reading CERT type 253 as a URL too, since widespread publishers write that for type 4.
//
// In LDAP (the guide, RFC 2782, RFC 4511) the servers are asked by priority, then the heavier first, always in this order; the first
// that answers has said all. Where servers are named and none of them answers, that is no answer; no servers is one.
//
// What was remembered from verified signed mail comes last: where nothing was found, or nothing answered, and marked by its Source.
//
// Limits: 32 records at a name or certificates of a search, 4 of them by URL, 64 KiB for a certificate, 2048 octets for a URL, 8 servers,
// 4 addresses of each, 8 sessions with one at a time, 5 seconds for each step with it, 20 seconds for one address in all.
package discovery

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"carepost/addr"
	"carepost/resolver"
	"carepost/trust"
)

// Sources, in Found and Step.
const (
	SourceLocal      = "local store" // our own domains: not looked for here
	SourceCERT       = "DNS CERT"
	SourceSRV        = "DNS SRV" // where the directory is; Step alone
	SourceLDAP       = "LDAP"
	SourceRemembered = "remembered" // from signed mail that was verified when it came
)

// ErrNotFetched says that what is published is a URL, and that there is no Fetcher to get it: no answer, rather than none found.
var ErrNotFetched = errors.New("discovery: the certificate is published by URL, and fetching is off")

// Found is a certificate published for an address. It names the address and is not yet trusted.
type Found struct {
	Certificate *x509.Certificate
	Source      string // SourceCERT, SourceLDAP …
	Name        string // the domain name where it was published, the mail value it was searched by
	URL         string // where it was fetched, if the record was a URL
	Binding     trust.Binding
	TTL         time.Duration // for how long it may be believed yet; zero where it is not known

	Server string // of LDAP, host:port
	Entry  string // of LDAP, its distinguished name; it may tell a person: not for logs
	Stale  bool   // its time has ended, and there was no answer to a newer question
	DNSSEC bool   // DNSSEC proves the record, says our DNS server: evidence, no ground for trust
}

// Step tells one thing that was tried, for people.
type Step struct {
	Name    string `json:"name"`             // the domain name asked for, the server, the mail value; empty where none could be made. It may tell the address: not for logs
	Source  string `json:"source"`           // SourceCERT …
	Server  string `json:"server,omitempty"` // of LDAP, host:port
	Outcome string `json:"outcome"`          // a clause without a full stop; never an address
	Cached  bool   `json:"cached,omitempty"` // it was known from before
	Stale   bool   `json:"stale,omitempty"`  // its time has ended, and there was no answer to a newer question
	DNSSEC  bool   `json:"dnssec,omitempty"` // as in Found
}

// Finder looks for certificates. It is safe for concurrent use once its fields are set.
type Finder struct {
	Resolver       *resolver.Client
	Fetcher        trust.Fetcher // for certificates published by URL (type 4); nil = nothing is fetched
	NoOrganization bool          // Direct 5.2: policy forbids the domain's certificate where the address has none

	// Dial connects with LDAP servers, IP address and port; nil = LDAP is not asked.
	Dial     func(ctx context.Context, network, address string) (net.Conn, error)
	Cache    *Cache        // nil = nothing is kept from one Lookup to the next
	Deadline time.Duration // for one Lookup; zero = 20 s

	// Remembered, if set, gives the certificates of signed mail from an address.
	Remembered func(context.Context, addr.Address) ([]*x509.Certificate, error)

	sessions turns
}

const defaultDeadline = 20 * time.Second

func (f *Finder) deadline() time.Duration {
	if f.Deadline > 0 {
		return f.Deadline
	}
	return defaultDeadline
}

// Flush forgets what the Finder and its Resolver keep.
func (f *Finder) Flush() {
	if f.Cache != nil {
		f.Cache.Flush()
	}
	if f.Resolver.Cache != nil {
		f.Resolver.Cache.Flush()
	}
}

// Lookup returns the certificates published for a, the steps taken, and an error where there is no answer yet. Nothing found is an
// answer: no certificates and no error. The order is: CERT at the address's name (Direct 5.1), at the domain (5.2); SRV of
// the domain, and by LDAP mail=address, mail=domain; remembered. The first step with certificates of the address is the last. The
// steps are good beside an error too.
func (f *Finder) Lookup(ctx context.Context, a addr.Address) (found []Found, steps []Step, err error) {
	s := &search{Finder: f, address: a, cache: f.Cache}
	if s.cache == nil { // a passing one: the steps of this Lookup share servers, and the time stands still
		s.cache = NewCache(0, -1, func() time.Time { return time.Time{} })
	}
	bounded, cancel := context.WithTimeout(ctx, f.deadline())
	defer cancel()
	if found, err = s.published(bounded); len(found) > 0 {
		return found, s.steps, nil
	}
	old, unread := s.remembered(ctx)
	switch {
	case unread == nil && len(old) > 0:
		return old, s.steps, nil
	case err == nil:
		err = unread // what could not be read may be there: nothing found is an answer no more
	}
	return nil, s.steps, err
}

// search is one Lookup.
type search struct {
	*Finder
	address addr.Address
	cache   *Cache
	steps   []Step
}

func (s *search) step(step Step) { s.steps = append(s.steps, step) }

// remembered asks a source of our own.
func (s *search) remembered(ctx context.Context) ([]Found, error) {
	if s.Remembered == nil {
		return nil, nil
	}
	domain := string(s.address.Domain)
	certs, err := s.Remembered(ctx, s.address)
	if err != nil {
		s.step(Step{Name: domain, Source: SourceRemembered, Outcome: "it could not be read"})
		return nil, fmt.Errorf("discovery: %s: %w", SourceRemembered, err)
	}
	var a answer
	for _, c := range certs {
		a.add(published{cert: c})
	}
	if len(a.certs) == 0 {
		return nil, nil
	}
	return s.take(reply{answer: &a}, Step{Name: domain, Source: SourceRemembered})
}

// published asks where certificates are published, in the fixed order.
func (s *search) published(ctx context.Context) ([]Found, error) {
	domain := string(s.address.Domain)
	if s.address.Endpoint != "" {
		name, err := Name(s.address)
		if err != nil {
			s.step(Step{Source: SourceCERT, Outcome: "the local part cannot be written as a domain name (Direct 5.1): nothing to ask for"})
		} else if found, err := s.cert(ctx, name); err != nil || len(found) > 0 {
			return found, err
		}
	}
	if s.NoOrganization {
		s.step(Step{Name: domain, Source: SourceCERT, Outcome: "not asked: policy forbids the organisation's certificate (Direct 5.2)"})
	} else if found, err := s.cert(ctx, domain); err != nil || len(found) > 0 {
		return found, err
	}
	if s.Dial == nil {
		return nil, nil
	}
	return s.directory(ctx)
}

func (s *search) cert(ctx context.Context, name string) ([]Found, error) {
	k := key{kindCERT, name}
	r := s.cache.do(ctx, k, s.deadline(), func(ctx context.Context) (*answer, error) { return s.at(ctx, name) })
	if r.err == nil && r.pending != nil { // not all of it is there: what was there before is worth more
		if mine, _, _ := r.of(s.address); len(mine) == 0 {
			r = s.cache.outdated(k, r)
		}
	}
	return s.take(r, Step{Name: name, Source: SourceCERT})
}

// directory asks where the domain's LDAP servers are, and then these.
func (s *search) directory(ctx context.Context) ([]Found, error) {
	d := s.address.Domain
	srv := s.cache.do(ctx, key{kindSRV, string(d)}, s.deadline(), func(ctx context.Context) (*answer, error) { return s.servers(ctx, d) })
	step := Step{Name: service(d), Source: SourceSRV, Cached: srv.cached, Stale: srv.stale, DNSSEC: srv.dnssec}
	switch {
	case srv.err != nil:
		return s.take(srv, step)
	case len(srv.servers) == 0:
		step.Outcome = "no LDAP server is named"
		s.step(step)
		return nil, nil
	}
	step.Outcome = strings.Join(append([]string{describe(srv.answer.servers)}, srv.notes...), "; ")
	s.step(step)
	mails := []string{s.address.String(), string(d)}
	if s.address.Endpoint == "" {
		mails = mails[1:]
	} else if s.NoOrganization {
		mails = mails[:1]
	}
	for _, mail := range mails {
		k := key{kindMail, describe(srv.answer.servers) + "\x00" + mail}
		r := s.cache.do(ctx, k, s.deadline(), func(ctx context.Context) (*answer, error) {
			return s.inDirectory(ctx, s.cache, srv.answer.servers, mail)
		})
		if found, err := s.take(r, Step{Name: "mail=" + mail, Source: SourceLDAP}); err != nil || len(found) > 0 {
			return found, err
		}
	}
	return nil, nil
}

// take tells the step and picks the certificates of the address. What could not be got now is an error only where nothing else is there.
func (s *search) take(r reply, step Step) ([]Found, error) {
	step.Cached, step.Stale, step.DNSSEC, step.Server = r.cached, r.stale, r.dnssec, r.server
	for _, on := range r.steps {
		on.Cached, on.Stale = r.cached, r.stale
		if !slices.Contains(s.steps, on) { // mail=address and mail=domain pass the same servers
			s.step(on)
		}
	}
	if r.err != nil {
		step.Outcome = strings.Join(append([]string{"no answer"}, r.notes...), ": ")
		if errors.Is(r.err, context.DeadlineExceeded) {
			step.Outcome = "no answer in time"
			r.err = fmt.Errorf("discovery: no answer in time: %w", context.DeadlineExceeded)
		}
		s.step(step)
		return nil, r.err
	}
	mine, bindings, outcome := r.of(s.address)
	if step.Outcome = outcome; len(mine) == 0 && len(r.certs) == 0 && len(r.notes) == 0 {
		step.Outcome = map[string]string{SourceCERT: "no certificate record", SourceLDAP: "no entry with a certificate"}[step.Source]
	}
	if r.stale {
		step.Outcome += "; found earlier, and its time has ended: there is no newer answer"
	}
	s.step(step)
	if len(mine) == 0 && r.pending != nil {
		return nil, r.pending
	}
	var out []Found
	for i, p := range mine {
		out = append(out, Found{
			Certificate: p.cert, Source: step.Source, Name: strings.TrimPrefix(step.Name, "mail="), URL: p.url, Binding: bindings[i], TTL: r.left,
			Server: r.server, Entry: p.entry, Stale: r.stale, DNSSEC: r.dnssec,
		})
	}
	return out, nil
}
