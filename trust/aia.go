package trust

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"slices"

	"carepost/certificate"
)

// fetchIssuers follows caIssuers pointers (RFC 5280 §4.2.2.1), those of the certificates without an issuer at hand first, until one
// brings something new.
func (in *inquiry) fetchIssuers(ctx context.Context, ends []*x509.Certificate) (news bool) {
	for _, c := range ends {
		for _, u := range c.IssuingCertificateURL {
			host := httpHost(u)
			if host == "" || selfIssued(c) || slices.Contains(in.fetched, u) {
				continue
			}
			if in.Fetcher == nil {
				in.turn(Check{"issuer", Refused, clauseNoPath,
					"no path leads to an anchor of this address; a pointer to an issuer is there, but nothing may be fetched"})
				return false
			}
			if in.issuersFetched++; in.issuersFetched > maxIssuers {
				in.watch.fleeting = true
				in.turn(Check{"issuer", Refused, clauseNoPath, fmt.Sprintf("no path was found after %d issuers had been fetched", maxIssuers)})
				return false
			}
			in.fetched = append(in.fetched, u)
			for _, issuer := range in.fetchIssuer(ctx, c, u, host) {
				news = in.pool.add(issuer) || news
			}
			if news {
				return true
			}
		}
	}
	return false
}

// fetchIssuer gets what u, a pointer of c, says is c's issuer. What was kept counts if it is: plain HTTP brings anything, once.
func (in *inquiry) fetchIssuer(ctx context.Context, c *x509.Certificate, u, host string) []*x509.Certificate {
	if certs, ok := in.issuers.get(u, in.q.Now); ok && slices.ContainsFunc(certs, func(issuer *x509.Certificate) bool { return in.issued(issuer, c) }) {
		in.watch.issuers = append(in.watch.issuers, keptIssuers{u, certs})
		in.tell("fetch", host, clauseAIA, "not asked again: the issuer that it gave is remembered")
		return certs
	}
	fleeting := in.watch.fleeting
	in.watch.fleeting = true
	if !in.q.Budget.take() {
		in.unsure = Check{"issuer", Undecided, clauseAIA, "this message has had all its fetches: the issuer is not at hand"}
		return nil
	}
	body, err := in.issuersBy.fetch(ctx, in.Fetcher, u, maxIssuer)
	switch {
	case err == nil:
	case errors.Is(err, ErrAbsent):
		in.turn(Check{"issuer", Refused, clauseAIA, "the issuer that the certificate points to is not to be had from " + host})
		return nil
	default:
		in.unsure = Check{"issuer", Undecided, clauseAIA, "the issuer that the certificate points to could not be fetched from " + host}
		in.tell("fetch", host, clauseAIA, in.unsure.Evidence)
		return nil
	}
	certs, err := certificate.ParseSome(body, maxBundle)
	if err != nil {
		in.turn(Check{"issuer", Refused, clauseAIA, "what " + host + " calls an issuer's certificate is none"})
		return nil
	}
	in.tell("fetch", host, clauseAIA, fmt.Sprintf("gave %d certificates for the issuer of %s", len(certs), nameOf(c)))
	in.issuers.put(u, certs, len(body), in.q.Now)
	in.watch.issuers, in.watch.fleeting = append(in.watch.issuers, keptIssuers{u, certs}), fleeting
	return certs
}

// issued says whether issuer signed c, as long as signatures are checked at all.
func (in *inquiry) issued(issuer, c *x509.Certificate) bool {
	if !sameName(issuer.RawSubject, c.RawIssuer) {
		return false
	}
	in.signed++
	return in.signed <= maxSignatures && in.proves(issuer, c)
}

// httpHost is the host of an http or https URL, quoted if it needs to be; "" for any other.
func httpHost(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return ""
	}
	host := u.Hostname()
	if len(host) > 64 {
		host = host[:64] + "…"
	}
	if q := fmt.Sprintf("%+q", host); q[1:len(q)-1] != host {
		return q
	}
	return host
}

// maxBundle bounds the certificates that are read of one fetched body.
const maxBundle = 16
