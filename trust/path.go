package trust

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
)

// search looks for a path from the certificate to an anchor, first among what is at hand, then with what AIA brings (Direct 4.2.2:
// before concluding that there is none). start is the verdict so far.
func (in *inquiry) search(ctx context.Context, start Verdict) {
	in.pool = newPool(in.q, &in.watch)
	in.watch.moments(in.q.Certificate.NotBefore, in.q.Certificate.NotAfter)
	for {
		w := walk{inquiry: in, start: start}
		w.detour = Check{}
		if w.from(ctx, []*x509.Certificate{in.q.Certificate}) || in.best != nil && in.best.Status == Undecided {
			return
		}
		if !in.fetchIssuers(ctx, w.ends) {
			return
		}
	}
}

// walk is one pass over the candidates at hand: depth first, from the certificate upwards.
type walk struct {
	*inquiry
	start Verdict
	ends  []*x509.Certificate // where no issuer was at hand, then the other certificates that were met
}

// from tries every path that begins with path and says whether the search is over.
func (w *walk) from(ctx context.Context, path []*x509.Certificate) (over bool) {
	c := path[len(path)-1]
	if ctx.Err() != nil {
		return true
	}
	if w.pool.isAnchor(c) {
		v, final := w.validate(ctx, path, w.start)
		w.tell("path", w.course(path), v.Clause, fmt.Sprintf("%s: %s", v.Status, v.Reason))
		return w.tried(v, final)
	}
	if len(path) == 1 && selfIssued(c) && w.proves(c, c) {
		// Direct 4.2.3: a self-signed certificate is a path of its own, and must itself be an anchor.
		w.turn(Check{"path", Refused, clauseNoPath, "the certificate is self-signed and itself no anchor of this address"})
		return false
	}
	if check := checkAlgorithm(c, w.plain(path)); check.Status == Refused {
		w.turn(check)
		return false
	}
	if len(path) == maxPath {
		w.turn(Check{"path", Refused, clauseNoPath, fmt.Sprintf("the path has more than %d certificates", maxPath)})
		return false
	}
	met := false
	for _, issuer := range w.pool.issuers(c) {
		if slices.ContainsFunc(path, func(p *x509.Certificate) bool { return sameEntity(p, issuer) }) {
			continue
		}
		if w.signed++; w.signed > maxSignatures {
			w.detour = Check{"path", Refused, clauseNoPath, fmt.Sprintf("no path was found within %d signature checks", maxSignatures)}
			return true
		}
		if !w.proves(issuer, c) {
			w.turn(Check{"signature", Refused, clauseSignature,
				fmt.Sprintf("%s does not bear the signature of the issuer it names, %s", w.plain(path), nameOf(issuer))})
			w.tell("candidate", nameOf(issuer), clauseSignature, "did not sign "+w.plain(path)+", which names it")
			continue
		}
		w.tell("candidate", nameOf(issuer), clauseSignature, "signed "+w.plain(path))
		met = true
		if w.from(ctx, append(slices.Clip(path), issuer)) {
			return true
		}
	}
	if !met && !selfIssued(c) {
		w.ends = append([]*x509.Certificate{c}, w.ends...)
	} else {
		w.ends = append(w.ends, c)
	}
	return false
}

// course names the certificates of a path in their order.
func (w *walk) course(path []*x509.Certificate) string {
	names := make([]string, len(path))
	for i, c := range path {
		names[i] = nameOf(c)
	}
	return strings.Join(names, " ← ")
}

func (w *walk) plain(path []*x509.Certificate) string {
	if len(path) == 1 {
		return "the certificate"
	}
	return "the issuer " + nameOf(path[len(path)-1])
}

// turn notes why the search turned back; the first reason met is the one told.
func (in *inquiry) turn(c Check) {
	if c.Name != "signature" { // of which "candidate" tells
		in.tell("search", "", c.Clause, c.Evidence)
	}
	if in.detour.Name == "" {
		in.detour = c
	}
}

// sameEntity keeps paths from going in circles: one name with one key stands in a path once, however many certificates it has.
func sameEntity(a, b *x509.Certificate) bool {
	return bytes.Equal(a.RawSubjectPublicKeyInfo, b.RawSubjectPublicKeyInfo) && sameName(a.RawSubject, b.RawSubject)
}

// validate judges a whole path, from the certificate to its anchor: every certificate, the anchor included, must be valid
// (Direct 4.2.3). final says that no other path can come to a better end.
func (in *inquiry) validate(ctx context.Context, path []*x509.Certificate, v Verdict) (_ Verdict, final bool) {
	v.Path = slices.Clone(path)
	v.Checks = slices.Clone(v.Checks)
	refused := func(c Check) bool {
		v.Checks = append(v.Checks, c)
		return c.Status == Refused
	}
	below := 0 // RFC 5280 §4.2.1.9: authorities that are not self-issued, the certificate itself apart
	for i, c := range path {
		who := describe(path, i)
		if i+1 < len(path) { // checked on the way up
			v.Checks = append(v.Checks, Check{"signature", Trusted, clauseSignature, who + " bears the signature of " + nameOf(path[i+1])})
		}
		if i == 0 {
			continue // the rest was judged before the search
		}
		for _, check := range []Check{
			in.checkForm(c, who, in.q.Tolerant), checkDates(c, who, in.q.Now), checkKey(c, who, in.q.Policy), checkAuthority(c, who, below),
			checkCritical(c, who, false), checkAlgorithm(c, who),
		} {
			if refused(check) {
				return v.close(check), false
			}
		}
		if !selfIssued(c) {
			below++
		}
	}
	above, check := in.anchorIssuer(ctx, path)
	if refused(check) {
		return v.close(check), false
	}
	if check, applies := in.checkNames(path); applies && refused(check) {
		return v.close(check), false
	}
	if check, applies := checkPolicies(path, in.q.Policies); applies && refused(check) {
		return v.close(check), false
	}
	return in.revocations(ctx, path, above, v)
}

// anchorIssuer finds who signed the anchor: itself, or somebody above it. An intermediate anchor whose issuer is not at hand is
// taken by its configuration (RFC 5280 §6.1.1 (d)), which is noted.
func (in *inquiry) anchorIssuer(ctx context.Context, path []*x509.Certificate) (*x509.Certificate, Check) {
	i := len(path) - 1
	anchor, who := path[i], describe(path, i)
	if i == 0 {
		who = "the certificate, itself an anchor,"
	}
	if selfIssued(anchor) {
		switch {
		case in.proves(anchor, anchor):
			return anchor, Check{"signature", Trusted, clauseSignature, who + " bears its own signature"}
		case len(anchor.AuthorityKeyId) == 0 || bytes.Equal(anchor.AuthorityKeyId, anchor.SubjectKeyId):
			return nil, Check{"signature", Refused, clauseSignature, who + " claims to be self-signed and is not"}
		}
	}
	// Only a revocation check is worth fetching for: what an anchor says of its issuer needs no further proof.
	for first := true; first || hasPointer(anchor) && in.fetchIssuers(ctx, []*x509.Certificate{anchor}); first = false {
		for _, above := range in.pool.issuers(anchor) {
			if in.signed++; in.signed > maxSignatures {
				break
			}
			if !sameEntity(anchor, above) && in.proves(above, anchor) {
				return above, Check{"signature", Trusted, clauseSignature, who + " bears the signature of " + nameOf(above)}
			}
		}
	}
	return nil, Check{"signature", Undecided, clauseSignature, who + " is an anchor by configuration; its issuer is not at hand"}
}

// proves says whether issuer's key made the signature on c. A key that is too short is told apart later, by its own rule.
func (in *inquiry) proves(issuer, c *x509.Certificate) bool {
	if k, ok := issuer.PublicKey.(*rsa.PublicKey); ok && k.N.BitLen() > maxRSA {
		return false
	}
	return in.signatures.check(issuer.RawSubjectPublicKeyInfo, c.Raw, func() bool {
		return issuer.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
	})
}
