package trust

import (
	"context"
	"crypto/x509"
	"fmt"
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
		check, blocks := in.revocation(ctx, subject{c, issuer, describe(path, i), false})
		in.tell("status", nameOf(c), check.Clause, check.Evidence)
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

// tell tells whoever listens of a step.
func (in *inquiry) tell(kind, subject, clause, outcome string) {
	if in.q.Trace != nil {
		in.q.Trace(Event{Kind: kind, Subject: subject, Clause: clause, Outcome: outcome})
	}
}

// hasPointer says that c names a place where its status can be asked, CRL or OCSP.
func hasPointer(c *x509.Certificate) bool { return has(c, oidCRLPoints) || len(c.OCSPServer) > 0 }

// subject is a certificate whose status is asked for.
type subject struct {
	*x509.Certificate
	issuer *x509.Certificate // nil if it is not at hand
	who    string            // for people
	listed bool              // lists alone are asked: it answers OCSP questions itself
}

// responders are the OCSP responders to ask.
func (s subject) responders() []string {
	if s.listed {
		return nil
	}
	return s.OCSPServer[:min(len(s.OCSPServer), maxResponders)]
}

// state of a certificate as one source tells it. What is not known is silence, and never good.
type state uint8

const (
	silent  state = iota
	good          // for the reasons that the answer covers
	onHold        // revoked for now (certificateHold): a later answer may say otherwise
	revoked       // for ever
)

// answer is what one list or responder says of one certificate.
type answer struct {
	state   state
	reasons reasons   // for which a good answer holds
	made    time.Time // thisUpdate
	overdue bool      // good by the grace of the question alone
	text    string    // evidence; of silence, the reason
}

func silence(text string) answer { return answer{text: text} }

// known says that nobody else need be asked. What is good by grace alone is not: it may be a replayed answer, and a newer one at hand
// elsewhere.
func (a answer) known() bool { return a.state != silent && !a.overdue }

// tally puts the answers about one certificate together: revoked by one is revoked, and between good and on hold the later counts.
// Lists for some reasons make a good answer together (RFC 5280 §6.3.3 (d) to (f)), which is as old as the oldest of them.
type tally struct {
	answer
	covered reasons
	part    answer // the good answers for some reasons so far
	why     string // of the latest silence
}

// add takes a, and says whether that settles it.
func (t *tally) add(a answer) (settled bool) {
	switch {
	case a.state == silent:
		t.why = a.text
		return false
	case a.state == good && a.reasons != allReasons:
		if t.covered != 0 && t.part.made.Before(a.made) {
			a.made = t.part.made
		}
		a.overdue = a.overdue || t.part.overdue
		t.part, t.covered = a, t.covered|a.reasons
		if t.covered != allReasons {
			t.why = "the CRL covers some reasons only"
			return false
		}
	}
	switch {
	case t.state == revoked:
	case t.state == silent, a.state == revoked, t.state == good && a.state == good && t.overdue && !a.overdue:
		t.answer = a
	case t.state == good && a.state == good && a.overdue && !t.overdue:
	case a.made.After(t.made):
		t.answer = a
	}
	return t.state == revoked
}

// revocation asks for the status of s. A Check that is Undecided blocks trust, except where the certificate gives no place to ask, and
// where the question takes what is not known: then it is a finding.
func (in *inquiry) revocation(ctx context.Context, s subject) (_ Check, blocks bool) {
	undecided := func(why string, blocks bool) (Check, bool) {
		return Check{"revocation", Undecided, clauseRevocation, "whether " + s.who + " is revoked is not known: " + why}, blocks
	}
	t := tally{why: "its issuer, who signs the CRL, is not at hand"}
	if s.issuer != nil {
		t = in.status(ctx, s)
	}
	switch {
	case t.state == revoked, t.state == onHold:
		return Check{"revocation", Refused, clauseRevocation, t.text}, true
	case t.state == good && t.overdue:
		return Check{"revocation", Undecided, clauseRevocation, t.text}, false
	case t.state == good:
		return Check{"revocation", Trusted, clauseRevocation, t.text}, false
	case !hasPointer(s.Certificate) && in.q.Revocation.Unknown == Demand:
		return Check{"revocation", Refused, clauseRevocation, s.who + " names no place to ask whether it is revoked, which is demanded"}, true
	case !hasPointer(s.Certificate):
		return undecided("it names no place to ask", false)
	case in.q.Revocation.Unknown == Accept:
		return undecided(t.why+"; accepted", false)
	}
	return undecided(t.why, true)
}

// status asks everybody who may know, in this order: the lists at hand, what was fetched before, the responders that the certificate
// names, its distribution points. Whatever is at hand is asked all; the network no longer than until somebody knows.
func (in *inquiry) status(ctx context.Context, s subject) (t tally) {
	for _, a := range in.atHand(s) {
		if t.add(a) {
			return t
		}
	}
	for _, a := range in.remembered(ctx, s) {
		if t.add(a) {
			return t
		}
	}
	if t.known() {
		return t
	}
	for _, u := range s.responders() {
		if t.add(in.askResponder(ctx, u, s)); t.known() {
			return t
		}
	}
	points := crlPoints(s.Certificate)
	for i := range points {
		for _, a := range in.askPoint(ctx, points[i], s) {
			if t.add(a); t.known() {
				return t
			}
		}
	}
	if t.why == "" && hasPointer(s.Certificate) {
		t.why = "it points to no CRL by a URL"
	}
	return t
}

// remembered are the answers of what was fetched before. What is out of date can still revoke, and nothing else.
func (in *inquiry) remembered(ctx context.Context, s subject) (out []answer) {
	take := func(a answer, fresh bool) {
		if fresh && a.state != silent || a.state == revoked {
			out = append(out, a)
		}
	}
	for _, u := range s.responders() {
		if k, fresh := in.recall(ctx, sourceOf(u, s.issuer).about(s), s); k != nil {
			take(in.consultReply(k.reply, s), fresh)
		}
	}
	for _, p := range crlPoints(s.Certificate) {
		for _, u := range p.urls {
			k, fresh := in.recall(ctx, sourceOf(u, s.issuer), s)
			if k == nil {
				continue
			}
			delta, whole := in.rememberedDelta(ctx, k.list, s)
			take(in.consult(k.list, delta, s, &p, "the CRL from "+httpHost(u)), fresh && whole)
		}
	}
	return out
}
