// Package agent is the Security/Trust Agent's judgement: who may get what, sealed for whom; what came in may be believed, and
// to whom the processed notice is owed. It decides and does nothing: every answer is a value.
//
// It follows the Direct Applicability Statement 2.2–2.4, 3.2 and 4. It departs from it in one point: one message is sealed per
// destination domain, so that no domain learns of another's recipients (docs/divergences.md).
package agent

import (
	"context"
	"time"

	"carepost/addr"
	"carepost/cms"
	"carepost/discovery"
	"carepost/trust"

	"crypto/x509"
)

// Directory finds the certificates of recipients (Direct 2.3). An error means no answer yet.
type Directory interface {
	Lookup(ctx context.Context, a addr.Address) ([]discovery.Found, []discovery.Step, error)
}

// Judge says whether a certificate may be trusted (Direct 4).
type Judge interface {
	Judge(ctx context.Context, q trust.Question) trust.Verdict
}

// Agent judges by what Directory finds and Judge proves.
type Agent struct {
	Directory Directory
	Judge     Judge
}

// Party is one of our own addresses or domains with whom it trusts.
type Party struct {
	Anchors       []*x509.Certificate // Direct 4.2.1
	Pinned        []Pin               // believed for one address each
	Intermediates []*x509.Certificate
	Policy        trust.Policy
	Filters       Filters
	Tolerant      bool           // odd certificates of others are judged (package certificate)
	Configured    cms.Algorithms // zero: what goes with Policy
	Revocation    Revocations
	SMIME         bool              // for mail with a partner of PS3.15 B.8 who knows nothing of Direct
	Introducing   bool              // every certificate is believed for the address that it names: to write, or to find, a first letter that says nothing
	Trace         func(trust.Event) // told of each step of judging; nil: nobody
}

// Judged is one recipient's or signer's verdict.
type Judged struct {
	Address addr.Address
	Senders []addr.Address // whom a signature must be bound to, Address first; signers only
	Verdict trust.Verdict
	Found   []discovery.Found // the trusted certificates; recipients only
	Steps   []discovery.Step  // how they were looked for

	Signatures []Signature // all there are, good and bad, in the order of the message; signers only
}

// undecided is the verdict where no answer is to be had yet.
func undecided(reason string) trust.Verdict {
	return trust.Verdict{Status: trust.Undecided, Reason: reason}
}

func refuse(clause, reason string) trust.Verdict {
	return trust.Verdict{Status: trust.Refused, Clause: clause, Reason: reason}
}

// deadline bounds the search for one recipient, and then the judging.
const deadline = 30 * time.Second
