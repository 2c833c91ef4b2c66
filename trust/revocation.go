package trust

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
)

// revocations asks for the status of every certificate of the path (Direct 4 (3), 4.2.3) and closes the verdict. above is who
// signed the anchor, nil if that is not known. A revoked certificate outweighs one whose status is not known; if it is the one
// asked about, no other path helps.
func (in *inquiry) revocations(ctx context.Context, path []*x509.Certificate, above *x509.Certificate, v Verdict) (_ Verdict, final bool) {
	var open *Check
	for i, c := range path {
		issuer := above
		if i+1 < len(path) {
			issuer = path[i+1]
		}
		if i > 0 && issuer == c && !hasPointer(c) && len(in.q.CRLs) == 0 {
			continue // a root without a pointer: there is nobody above it to ask, which is no finding
		}
		check, blocks := in.revocation(ctx, c, issuer, describe(path, i))
		v.Checks = append(v.Checks, check)
		if check.Status == Refused {
			return v.close(check), i == 0
		}
		if blocks && open == nil {
			open = &check
		}
	}
	if open != nil {
		return v.close(*open), false
	}
	v.Anchor = path[len(path)-1]
	return v.close(Check{"path", Trusted, clauseNoPath,
		fmt.Sprintf("the certificate is %s, and its path of %d ends at the anchor %s", v.Binding, len(path), nameOf(v.Anchor))}), false
}

// hasPointer says that c names a place where its status can be asked, CRL or OCSP.
func hasPointer(c *x509.Certificate) bool { return has(c, oidCRLPoints) || len(c.OCSPServer) > 0 }

// revocation asks for the status of c. A Check that is Undecided blocks trust, except where the certificate gives no place to ask:
// then it is a finding.
func (in *inquiry) revocation(ctx context.Context, c, issuer *x509.Certificate, who string) (_ Check, blocks bool) {
	undecided := func(why string) Check {
		return Check{"revocation", Undecided, clauseRevocation, "whether " + who + " is revoked is not known: " + why}
	}
	if issuer == nil {
		if !hasPointer(c) {
			return undecided("it names no place to ask"), false
		}
		return undecided("its issuer, who signs the CRL, is not at hand"), true
	}
	why := ""
	for _, given := range in.q.CRLs {
		if given == nil || !bytes.Equal(given.RawIssuer, c.RawIssuer) {
			continue
		}
		l, err := parseCRL(given.Raw)
		if err != nil {
			why = "the CRL at hand is none"
			continue
		}
		check, no := in.consult(l, c, issuer, who)
		if no == "" {
			return check, false
		}
		why = "the CRL at hand " + no
	}
	for _, u := range c.CRLDistributionPoints {
		l, no := in.fetchCRL(ctx, u, issuer)
		if no == "" {
			var check Check
			if check, no = in.consult(l, c, issuer, who); no == "" {
				return check, false
			}
			no = "the CRL from " + httpHost(u) + " " + no
		}
		why = no
	}
	switch {
	case !hasPointer(c):
		return undecided("it names no place to ask"), false
	case why == "" && len(c.OCSPServer) > 0:
		why = "it points to OCSP only, which is not asked"
	case why == "":
		why = "it points to no CRL by a URL"
	}
	return undecided(why), true
}

// consult reads what l says of c. If l says nothing that counts, no tells why (RFC 5280 §6.3.3).
func (in *inquiry) consult(l *list, c, issuer *x509.Certificate, who string) (_ Check, no string) {
	authority := c.BasicConstraintsValid && c.IsCA
	switch {
	case !bytes.Equal(l.RawIssuer, issuer.RawSubject):
		return Check{}, "is of another issuer"
	case l.unusable != "":
		return Check{}, "is not used: " + l.unusable
	case l.scope.userOnly && authority, l.scope.caOnly && !authority:
		return Check{}, "does not cover this kind of certificate"
	case l.scope.named && !slices.ContainsFunc(l.scope.urls, func(u string) bool { return slices.Contains(c.CRLDistributionPoints, u) }):
		return Check{}, "is for another distribution point"
	case has(issuer, oidKeyUsage) && issuer.KeyUsage&x509.KeyUsageCRLSign == 0:
		return Check{}, "is signed by an issuer that may not sign CRLs"
	case !in.provesCRL(issuer, l):
		return Check{}, "does not bear the issuer's signature"
	}
	now := in.q.Now
	day := func(t time.Time) string { return t.UTC().Format(dateLayout) }
	since, listed := l.find(c.SerialNumber)
	in.watch.moments(since, l.ThisUpdate, l.NextUpdate)
	switch {
	case listed && !since.After(now): // also on a list that is out of date: what is revoked stays so
		return Check{"revocation", Refused, clauseRevocation,
			fmt.Sprintf("%s, serial %x, was revoked on %s (CRL of %s)", who, c.SerialNumber, day(since), day(l.ThisUpdate))}, ""
	case listed:
		return Check{}, "revokes it, but only later, on " + day(since)
	case l.NextUpdate.IsZero():
		return Check{}, "does not say how long it is good"
	case now.After(l.NextUpdate):
		return Check{}, "was good until " + day(l.NextUpdate) + " only"
	case l.ThisUpdate.After(now) && c.NotAfter.Before(l.ThisUpdate):
		// A later list speaks for an earlier day too, as long as it would still name the certificate (RFC 5280 §5: entries may go
		// once a certificate has expired).
		return Check{}, "was made after the certificate had expired"
	}
	return Check{"revocation", Trusted, clauseRevocation,
		fmt.Sprintf("%s is not on the CRL of %s, good until %s", who, day(l.ThisUpdate), day(l.NextUpdate))}, ""
}

func (in *inquiry) provesCRL(issuer *x509.Certificate, l *list) bool {
	if !soundAlgorithm(l.SignatureAlgorithm) {
		return false
	}
	return in.signatures.check(issuer.RawSubjectPublicKeyInfo, l.digest[:], func() bool {
		return issuer.CheckSignature(l.SignatureAlgorithm, l.signed, l.Signature) == nil
	})
}

// fetchCRL gets the list at u, from the cache while it is good. If there is none, no tells why.
func (in *inquiry) fetchCRL(ctx context.Context, u string, issuer *x509.Certificate) (_ *list, no string) {
	host := httpHost(u)
	if host == "" {
		return nil, "its CRL is not to be had by HTTP"
	}
	from := sourceOf(u, issuer)
	kept := func(l *list) (*list, string) {
		in.watch.lists = append(in.watch.lists, keptList{from, l})
		return l, ""
	}
	if l, ok := in.crls.get(from, in.q.Now); ok {
		return kept(l)
	}
	if in.Fetcher == nil {
		return nil, "its CRL is not at hand, and nothing may be fetched"
	}
	if in.crlsFetched++; in.crlsFetched > maxCRLs {
		in.watch.fleeting = true
		return nil, fmt.Sprintf("after %d CRLs no more are fetched", maxCRLs)
	}
	release := in.crls.begin(in.crlsBy.within(ctx), from)
	if release == nil {
		in.watch.fleeting = true
		return nil, "there was no time to fetch its CRL from " + host
	}
	defer release()
	if l, ok := in.crls.get(from, in.q.Now); ok { // while we waited
		return kept(l)
	}
	l, no := in.fetchNewCRL(ctx, u, host, issuer)
	old := in.crls.old(from)
	if old != nil && (l == nil || l.ThisUpdate.Before(old.ThisUpdate) && !old.ThisUpdate.After(in.q.Now)) {
		// Nobody turns the clock back with an older list; consult looks at its dates. A list from the future has no such say: its
		// issuer's clock was wrong.
		in.watch.fleeting = true
		return old, ""
	}
	if l == nil {
		in.watch.fleeting = true
		return nil, no
	}
	in.crls.put(from, l, in.q.Now)
	return kept(l)
}

func (in *inquiry) fetchNewCRL(ctx context.Context, u, host string, issuer *x509.Certificate) (_ *list, no string) {
	body, err := in.crlsBy.fetch(ctx, in.Fetcher, u, maxCRL)
	switch {
	case errors.Is(err, ErrAbsent):
		return nil, "its CRL is not to be had from " + host
	case err != nil:
		return nil, "its CRL could not be fetched from " + host
	}
	l, err := parseCRL(body)
	if err != nil {
		return nil, "what " + host + " calls a CRL is none"
	}
	if !in.provesCRL(issuer, l) { // kept out of the cache: plain HTTP brings anything
		return nil, "the CRL from " + host + " does not bear the issuer's signature"
	}
	return l, ""
}
