package discovery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"carepost/certificate"
	"carepost/resolver"
	"carepost/trust"
)

// CERT types (RFC 4398 §2.1).
const (
	typePKIX  = 1   // the certificate itself
	typeIPKIX = 4   // a URL to it
	typeURI   = 253 // a URI, then private data
)

const (
	maxRecords     = 32
	maxFetches     = 4
	maxCertificate = 64 << 10
	maxURL         = 2048
)

// at asks for the certificate records of one name.
func (f *Finder) at(ctx context.Context, name string) (*answer, error) {
	records, err := f.Resolver.CERT(ctx, name)
	a := &answer{ttl: shortly}
	switch {
	case errors.Is(err, resolver.ErrNotFound):
		return a, nil
	case err != nil:
		a.note("%s", strings.TrimPrefix(err.Error(), "resolver: "))
		return a, fmt.Errorf("discovery: %w", err)
	}
	h := haul{Finder: f, answer: a}
	a.dnssec = true
	for i, r := range records {
		if i == maxRecords {
			a.note("more than %d records: the rest is left aside", maxRecords)
			break
		}
		a.ttl, a.dnssec = min(r.TTL, longest), a.dnssec && r.DNSSEC
		h.record(ctx, r)
	}
	return a, nil
}

// haul gathers what the records of one name yield.
type haul struct {
	*Finder
	*answer
	fetches int
}

// record reads one record. Direct 5.3: the other fields of the record mean nothing.
func (h *haul) record(ctx context.Context, r resolver.CERT) {
	switch r.Type {
	case typePKIX:
		h.certificate(r.Data, published{})
	case typeIPKIX, typeURI:
		target, _, _ := bytes.Cut(r.Data, []byte{0}) // RFC 4398 §2.1: a URI of type 253 ends in a null octet
		if err := usableURL(string(target)); err != nil {
			h.note("a record of type %d %v", r.Type, err)
			return
		}
		if body, ok := h.fetch(ctx, string(target)); ok {
			h.certificate(body, published{url: string(target)})
		}
	default:
		h.note("a record of type %d, which Direct 5.3 does not know", r.Type)
	}
}

func (h *haul) fetch(ctx context.Context, target string) ([]byte, bool) {
	if h.Fetcher == nil {
		h.note("a URL, not fetched")
		h.pending = ErrNotFetched
		return nil, false
	}
	if h.fetches++; h.fetches > maxFetches {
		h.note("more than %d URLs: the rest is left aside", maxFetches)
		return nil, false
	}
	body, err := h.Fetcher.Fetch(ctx, target, maxCertificate)
	switch {
	case errors.Is(err, trust.ErrAbsent):
		h.note("a URL with nothing behind it")
		return nil, false
	case err != nil:
		h.note("a URL that does not answer now")
		h.pending = &fetchError{err}
		return nil, false
	}
	return body, true
}

// fetchError keeps its cause to itself: an error of HTTP tells the URL, and a URL may tell the person.
type fetchError struct{ cause error }

func (*fetchError) Error() string {
	return "discovery: the URL of a published certificate does not answer now"
}
func (e *fetchError) Unwrap() error { return e.cause }

// certificate takes a DER certificate (Direct 5.3, RFC 2585 §3, RFC 4523).
func (a *answer) certificate(der []byte, p published) {
	if len(der) > maxCertificate {
		a.note("a certificate of more than %d octets", maxCertificate)
		return
	}
	var err error
	if p.cert, err = certificate.Parse(der); err != nil {
		a.note("a record that is no readable X.509 certificate")
		return
	}
	a.add(p)
}

// usableURL says why s is no URL to fetch.
func usableURL(s string) error {
	if len(s) > maxURL {
		return errors.New("whose URL is too long")
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return errors.New("without an http or https URL")
	}
	return nil
}
