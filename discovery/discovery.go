// Package discovery finds the certificates of a Direct address before anything is sent to it.
//
// It follows Direct 2.3 and 5 (DNS CERT: by address, then by domain), RFC 4398 (CERT types) and RFC 2585 (certificates by URL),
// and for the order of steps the S&I Certificate Discovery guide, as its conformance tests show it: the first step that yields
// certificates is the last, and an expired or revoked certificate found there does not send the search further.
//
// Whether a certificate is trusted is for package trust to judge. One question is asked of it here, trust.Bind, because a name in
// DNS is not an address: john.smith@h.example and john@smith.h.example share one (Direct 5.1), and what is bound to the other
// address is no certificate of this one: it is no hit and does not end the search.
//
// It departs from Direct 5.3 in reading CERT type 253 as a URL too, since widespread publishers write that for type 4.
//
// BUG: the LDAP half of Direct 2.3 (SRV, root DSE, mail=address, mail=domain) is owed.
package discovery

import (
	"context"
	"crypto/x509"
	"time"

	"carepost/addr"
	"carepost/resolver"
)

// Fetcher gets what a URL names, at most max octets: a longer body is an error.
type Fetcher interface {
	Fetch(ctx context.Context, url string, max int64) ([]byte, error)
}

// Found is a certificate published for an address. It is not yet trusted.
type Found struct {
	Certificate *x509.Certificate
	Source      string // "DNS CERT", "DNS CERT URL"
	Name        string // where it was published: the domain name
	TTL         time.Duration
}

// Step tells one thing that was tried, for people.
type Step struct {
	Name    string // the domain name asked for; empty where none could be made
	Source  string // "DNS CERT"
	Outcome string // a clause without a full stop
}

// Finder looks for certificates. It is safe for concurrent use.
type Finder struct {
	Resolver       *resolver.Client
	Fetcher        Fetcher // for certificates published by URL (type 4); nil = nothing is fetched, and a URL is no answer
	NoOrganization bool    // Direct 5.2: policy forbids the domain's certificate where the address has none
}

// Lookup returns the certificates published for a, the steps taken, and an error where there is no answer yet. Nothing found is an
// answer: no certificates and no error. It follows Direct 5.1, then 5.2.
func (f *Finder) Lookup(ctx context.Context, a addr.Address) (found []Found, steps []Step, err error) {
	panic("unimplemented")
}

// Name is the domain name under which certificates of a are published (Direct 5.1): endpoint '.' domain, in RFC 1035 §5.1 text.
// An address without endpoint stands for its organisation: the domain itself (Direct 5.2). It returns ErrName for a local part
// that cannot be written as labels.
func Name(a addr.Address) (string, error) { panic("unimplemented") }
