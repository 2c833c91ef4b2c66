package discovery

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

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

// haul gathers what the records of one name yield.
type haul struct {
	*search
	name    string
	found   []Found
	notes   []string
	times   map[string]int // how often each note was made
	fetches int
	pending error // a certificate is published here, and could not be got now
}

func (h *haul) note(format string, a ...any) {
	text := fmt.Sprintf(format, a...)
	if h.times[text]++; h.times[text] == 1 {
		h.notes = append(h.notes, text)
	}
}

// record reads one record. Direct 5.3: the other fields of the record mean nothing.
func (h *haul) record(ctx context.Context, r resolver.CERT) {
	switch r.Type {
	case typePKIX:
		h.certificate(r, r.Data, "")
	case typeIPKIX, typeURI:
		target, _, _ := bytes.Cut(r.Data, []byte{0}) // RFC 4398 §2.1: a URI of type 253 ends in a null octet
		if err := usableURL(string(target)); err != nil {
			h.note("a record of type %d %v", r.Type, err)
			return
		}
		if body, ok := h.fetch(ctx, string(target)); ok {
			h.certificate(r, body, string(target))
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

// certificate takes a DER certificate (Direct 5.3, RFC 2585 §3) if it is one of the address.
func (h *haul) certificate(r resolver.CERT, der []byte, source string) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		h.note("a record that is no readable X.509 certificate")
		return
	}
	if slices.ContainsFunc(h.found, func(f Found) bool { return f.Certificate.Equal(cert) }) {
		return
	}
	binding, why := trust.Names(cert, h.address)
	if binding == trust.Unbound {
		h.note("a certificate of somebody else (Direct 4.1, 5.1): %s", why)
		return
	}
	h.found = append(h.found, Found{cert, SourceCERT, h.name, source, binding, r.TTL})
}

// outcome tells what came of the name.
func (h *haul) outcome() string {
	first := "no certificate of use"
	if n := len(h.found); n > 0 {
		kinds := make([]string, 0, n)
		for _, f := range h.found {
			kinds = append(kinds, f.Binding.String())
		}
		slices.Sort(kinds)
		first = "1 certificate, "
		if n > 1 {
			first = fmt.Sprintf("%d certificates, ", n)
		}
		first += strings.Join(slices.Compact(kinds), " and ")
	}
	parts := []string{first}
	for _, note := range h.notes {
		if n := h.times[note]; n > 1 {
			note += fmt.Sprintf(" (%d times)", n)
		}
		parts = append(parts, note)
	}
	return strings.Join(parts, "; ")
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
