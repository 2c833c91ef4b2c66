package trust

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// Reasons that are not for ever (RFC 5280 §5.3.1).
const (
	reasonHold   = 6
	reasonRemove = 8 // removeFromCRL, in delta CRLs alone
)

// lifts says that a reason may be taken back, or takes one back.
func lifts(reason int) bool { return reason == reasonHold || reason == reasonRemove }

// because names a reason for people; the empty reason and those that are none are not told.
func because(reason int) string {
	names := map[int]string{1: "keyCompromise", 2: "cACompromise", 3: "affiliationChanged", 4: "superseded", 5: "cessationOfOperation",
		reasonHold: "certificateHold", 9: "privilegeWithdrawn", 10: "aACompromise"}
	if n := names[reason]; n != "" {
		return " for " + n
	}
	return ""
}

// atHand are the answers of the lists that came with the question.
func (in *inquiry) atHand(s subject) (out []answer) {
	if in.given == nil {
		in.given = make([]*list, 0, len(in.q.CRLs))
		for _, l := range in.q.CRLs {
			if l == nil {
				continue
			}
			if read, err := parseCRL(l.Raw); err == nil {
				in.given = append(in.given, read)
			} else if sameName(l.RawIssuer, s.RawIssuer) {
				out = append(out, silence("the CRL at hand is none"))
			}
		}
	}
	for _, l := range in.given {
		if !sameName(l.RawIssuer, s.RawIssuer) {
			continue
		}
		var delta *list
		for _, d := range in.given {
			if d.updates(l) && in.provesCRL(s.issuer, d) && (delta == nil || delta.Number.Cmp(d.Number) < 0) {
				delta = d
			}
		}
		out = append(out, in.consult(l, delta, s, nil, "the CRL at hand"))
	}
	return out
}

// consult reads what l, brought up to date by delta if that is not nil, says of s (RFC 5280 §6.3.3). via is the distribution point that
// it is from; name is what to call it.
func (in *inquiry) consult(l, delta *list, s subject, via *point, name string) answer {
	if delta != nil && delta.unusable != "" {
		delta = nil
	}
	covers, no := in.covers(l, s, via)
	if no != "" {
		return silence(name + " " + no)
	}
	now := in.q.Now
	found, listed := l.find(s.SerialNumber)
	newest := l
	if delta != nil && !delta.ThisUpdate.After(now) {
		newest = delta
		if d, ok := delta.find(s.SerialNumber); ok && d.reason == reasonRemove {
			listed = listed && !lifts(found.reason) // only what was on hold is given back
		} else if ok && !(listed && !lifts(found.reason)) {
			found, listed = d, true
		}
	}
	in.watch.moments(found.since, l.ThisUpdate, newest.ThisUpdate, newest.NextUpdate, newest.NextUpdate.Add(in.q.Revocation.Grace))
	if delta != nil {
		in.watch.moments(delta.ThisUpdate)
	}
	a := answer{reasons: covers, made: newest.ThisUpdate}
	kind := "CRL"
	if newest.base != nil {
		kind = "delta CRL"
	}
	return in.dated(a, s, found, listed, span{newest.ThisUpdate, newest.NextUpdate}, label{kind, name})
}

// span is from when to when a status is good.
type span struct{ this, next time.Time }

// label names a status for people.
type label struct{ kind, name string }

// dated closes a by the dates: what was found, and whether it still counts. A status made later speaks for an earlier day too, as long
// as it would still name the certificate (RFC 5280 §5: entries may go once a certificate has expired).
func (in *inquiry) dated(a answer, s subject, found entry, listed bool, valid span, from label) answer {
	now := in.q.Now
	day := func(t time.Time) string { return t.UTC().Format(dateLayout) }
	grace := in.q.Revocation.Grace
	switch {
	case listed && !lifts(found.reason) && !found.since.After(now): // also on a list that is out of date: what is revoked stays so
		a.state = revoked
		a.text = fmt.Sprintf("%s, serial %x, was revoked on %s%s (%s of %s)", s.who, s.SerialNumber, day(found.since), because(found.reason),
			from.kind, day(valid.this))
		return a
	case listed && found.since.After(now):
		return silence(from.name + " revokes it, but only later, on " + day(found.since))
	case valid.next.IsZero():
		return silence(from.name + " does not say how long it is good")
	case now.After(valid.next.Add(grace)):
		return silence(from.name + " was good until " + day(valid.next) + " only")
	case valid.this.After(now) && s.NotAfter.Before(valid.this):
		return silence(from.name + " was made after the certificate had expired")
	case listed:
		a.state = onHold
		a.text = fmt.Sprintf("%s, serial %x, is on hold since %s (%s of %s)", s.who, s.SerialNumber, day(found.since), from.kind, day(valid.this))
		return a
	}
	a.state, a.overdue = good, now.After(valid.next)
	until := "good until " + day(valid.next)
	if a.overdue {
		until += fmt.Sprintf(" and accepted for %v longer", grace)
	}
	a.text = fmt.Sprintf("%s is not on the %s of %s, %s", s.who, from.kind, day(valid.this), until)
	if from.kind == "OCSP" {
		a.text = fmt.Sprintf("%s is good by OCSP of %s, %s", s.who, day(valid.this), until)
	}
	return a
}

// covers says for which reasons l speaks of s; if for none, no tells why.
func (in *inquiry) covers(l *list, s subject, via *point) (_ reasons, no string) {
	authority := s.BasicConstraintsValid && s.IsCA
	covers := l.scope.point.reasons
	if l.scope.der == nil {
		covers = allReasons
	}
	switch {
	case !sameName(l.RawIssuer, s.issuer.RawSubject):
		return 0, "is of another issuer"
	case l.base != nil:
		return 0, "is not used: it is a delta CRL, and none that it belongs to is at hand"
	case l.unusable != "":
		return 0, "is not used: " + l.unusable
	case l.scope.userOnly && authority, l.scope.caOnly && !authority:
		return 0, "does not cover this kind of certificate"
	}
	if via == nil && l.scope.named {
		points := crlPoints(s.Certificate)
		for i := range points {
			if !points[i].indirect && points[i].shares(l.scope.point.names) {
				via = &points[i]
				break
			}
		}
	}
	switch {
	case l.scope.named && (via == nil || !via.shares(l.scope.point.names)):
		return 0, "is for another distribution point"
	case has(s.issuer, oidKeyUsage) && s.issuer.KeyUsage&x509.KeyUsageCRLSign == 0:
		return 0, "is signed by an issuer that may not sign CRLs"
	case !in.provesCRL(s.issuer, l):
		return 0, "does not bear the issuer's signature"
	}
	if via != nil {
		covers &= via.reasons
	}
	return covers, ""
}

func (in *inquiry) provesCRL(issuer *x509.Certificate, l *list) bool {
	if !soundAlgorithm(l.SignatureAlgorithm) {
		return false
	}
	return in.signatures.check(issuer.RawSubjectPublicKeyInfo, l.digest[:], func() bool {
		return issuer.CheckSignature(l.SignatureAlgorithm, l.signed, l.Signature) == nil
	})
}

// askPoint fetches the lists of a distribution point, until one answers.
func (in *inquiry) askPoint(ctx context.Context, p point, s subject) (out []answer) {
	if p.indirect {
		return []answer{silence("its CRL is an indirect one, signed by somebody else, which is not used")}
	}
	for _, u := range p.urls {
		l, no := in.fetchCRL(ctx, u, s)
		if no != "" {
			out = append(out, silence(no))
			continue
		}
		a := in.consult(l, in.fetchDelta(ctx, l, s), s, &p, "the CRL from "+httpHost(u))
		if out = append(out, a); a.known() {
			break
		}
	}
	return out
}

// freshest is where the deltas of l are: its own word, else the certificate's (RFC 5280 §4.2.1.15, §5.2.6).
func freshest(l *list, s subject) (urls []string) {
	for _, points := range [][]point{l.freshest, pointsOf(s.Extensions, oidFreshest, s.RawIssuer)} {
		for _, p := range points {
			if !p.indirect {
				urls = append(urls, p.urls...)
			}
		}
	}
	return urls[:min(len(urls), maxDeltas)]
}

// fetchDelta gets the delta CRL of l; nil if none is named, or none is to be had: a complete list is good by itself (RFC 5280 §5.2.4).
func (in *inquiry) fetchDelta(ctx context.Context, l *list, s subject) *list {
	for _, u := range freshest(l, s) {
		if d, no := in.fetchCRL(ctx, u, s); no == "" && d.updates(l) {
			return d
		}
	}
	return nil
}

// rememberedDelta is the delta CRL of l that was fetched before. whole says that no newer one need be asked for.
func (in *inquiry) rememberedDelta(ctx context.Context, l *list, s subject) (_ *list, whole bool) {
	urls := freshest(l, s)
	for _, u := range urls {
		if k, fresh := in.recall(ctx, sourceOf(u, s.issuer), s); k != nil && k.list.base != nil {
			if k.list.updates(l) {
				return k.list, fresh
			}
			whole = whole || fresh // there is one, and the list is as new as it
		}
	}
	return nil, whole || len(urls) == 0
}

// fetchCRL gets the list at u, from what is kept while it is good. If there is none, no tells why.
func (in *inquiry) fetchCRL(ctx context.Context, u string, s subject) (_ *list, no string) {
	host := httpHost(u)
	if host == "" {
		return nil, "its CRL is not to be had by HTTP"
	}
	from := sourceOf(u, s.issuer)
	k, no := in.obtain(ctx, from, s, "its CRL", &in.crlsFetched, maxCRLs, func(ctx context.Context) (*kept, string) {
		l, no := in.fetchNewCRL(ctx, u, host, s.issuer)
		if l == nil {
			return nil, no
		}
		return &kept{list: l}, ""
	})
	if k == nil {
		return nil, no
	}
	return k.list, ""
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
