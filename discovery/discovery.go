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
// Limits: 32 records at a name, 4 of them by URL, 64 KiB for a certificate, 2048 octets for a URL.
//
// BUG(discovery): the LDAP half of Direct 2.3 (SRV, root DSE, mail=address, mail=domain) is owed.
package discovery

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"carepost/addr"
	"carepost/resolver"
	"carepost/trust"
)

// SourceCERT names the only source so far, in Found and Step.
const SourceCERT = "DNS CERT"

// ErrNotFetched says that what is published is a URL, and that there is no Fetcher to get it: no answer, rather than none found.
var ErrNotFetched = errors.New("discovery: the certificate is published by URL, and fetching is off")

// Found is a certificate published for an address. It names the address and is not yet trusted.
type Found struct {
	Certificate *x509.Certificate
	Source      string // "DNS CERT"
	Name        string // the domain name where it was published
	URL         string // where it was fetched, if the record was a URL
	Binding     trust.Binding
	TTL         time.Duration
}

// Step tells one thing that was tried, for people.
type Step struct {
	Name    string `json:"name"`    // the domain name asked for; empty where none could be made. It may tell the address: not for logs
	Source  string `json:"source"`  // "DNS CERT"
	Outcome string `json:"outcome"` // a clause without a full stop; never an address
}

// Finder looks for certificates. It is safe for concurrent use once its fields are set.
type Finder struct {
	Resolver       *resolver.Client
	Fetcher        trust.Fetcher // for certificates published by URL (type 4); nil = nothing is fetched
	NoOrganization bool          // Direct 5.2: policy forbids the domain's certificate where the address has none
}

// Lookup returns the certificates published for a, the steps taken, and an error where there is no answer yet. Nothing found is an
// answer: no certificates and no error. It follows Direct 5.1, then 5.2. The steps are good beside an error too.
func (f *Finder) Lookup(ctx context.Context, a addr.Address) (found []Found, steps []Step, err error) {
	s := search{Finder: f, address: a}
	if a.Endpoint != "" {
		name, err := Name(a)
		if err != nil {
			s.step("", "the local part cannot be written as a domain name (Direct 5.1): nothing to ask for")
		} else if found, err := s.at(ctx, name); err != nil || len(found) > 0 {
			return found, s.steps, err
		}
	}
	if f.NoOrganization {
		s.step(string(a.Domain), "not asked: policy forbids the organisation's certificate (Direct 5.2)")
		return nil, s.steps, nil
	}
	found, err = s.at(ctx, string(a.Domain))
	return found, s.steps, err
}

// search is one Lookup.
type search struct {
	*Finder
	address addr.Address
	steps   []Step
}

func (s *search) step(name, outcome string) {
	s.steps = append(s.steps, Step{Name: name, Source: SourceCERT, Outcome: outcome})
}

// at asks for the certificate records of one name. What cannot be fetched now is an error only where nothing else is there.
func (s *search) at(ctx context.Context, name string) ([]Found, error) {
	records, err := s.Resolver.CERT(ctx, name)
	switch {
	case errors.Is(err, resolver.ErrNotFound):
		s.step(name, "no certificate record")
		return nil, nil
	case err != nil:
		s.step(name, strings.TrimPrefix(err.Error(), "resolver: "))
		return nil, fmt.Errorf("discovery: %w", err)
	}
	h := haul{search: s, name: name, times: make(map[string]int)}
	for i, r := range records {
		if i == maxRecords {
			h.note("more than %d records: the rest is left aside", maxRecords)
			break
		}
		h.record(ctx, r)
	}
	s.step(name, h.outcome())
	if len(h.found) == 0 && h.pending != nil {
		return nil, h.pending
	}
	return h.found, nil
}
