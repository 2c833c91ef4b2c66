package flow

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"slices"
	"time"

	"carepost/addr"
	"carepost/internal/agent"
	"carepost/internal/audit"
	"carepost/internal/blob"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/smime"
	"carepost/trust"
)

// Explanation is how a verdict was reached, for a person who asks why.
type Explanation struct {
	Ours    addr.Address // in whose eyes; without endpoint a whole domain
	Address addr.Address // for whom the certificate is to speak
	Use     trust.Use    // Signing: as a sender's. Encryption: as a recipient's
	At      time.Time
	Anchors []*x509.Certificate // of Ours, for that use
	Verdict trust.Verdict
	Events  []trust.Event // each step, as it was taken

	Signatures []agent.Signature // of a message
}

// maxEvents bounds what is told of one inquiry: each fetch and signature check is an event, and both are bounded.
const maxEvents = 1000

// tell has the steps of judging told to e.
func (e *Explanation) tell(ev trust.Event) {
	if len(e.Events) < maxEvents {
		e.Events = append(e.Events, ev)
	}
}

// Explain judges a certificate as it would be judged with a message, and tells each step. What is looked up on the way is looked up
// anew or taken from what is remembered, as for a message. e has Ours, Address, Use and At; a zero At is now. beside are certificates that
// came with it. The question is audited.
func (f *Flow) Explain(ctx context.Context, by audit.Actor, e Explanation, cert *x509.Certificate, beside []*x509.Certificate) (Explanation, error) {
	party, err := f.explaining(ctx, by, &e)
	if err != nil {
		return e, err
	}
	ctx, cancel := context.WithTimeout(ctx, judgeTime)
	defer cancel()
	e.Verdict = f.agent.Examine(ctx, party, e.Address, e.Use, cert, beside, e.At)
	return e, nil
}

// ExplainMail is Explain for the signatures of a sealed message to one of our addresses, which is read as mail from the network is; what
// it holds is told to nobody. A message that cannot be opened is Refused by the clause that says why.
func (f *Flow) ExplainMail(ctx context.Context, by audit.Actor, e Explanation, sealed io.Reader) (Explanation, error) {
	e.Use = trust.Signing
	party, err := f.explaining(ctx, by, &e)
	if err != nil {
		return e, err
	}
	draft, err := f.Blobs.Create()
	if err != nil {
		return e, fmt.Errorf("flow: explain: %w", err)
	}
	defer draft.Discard()
	opened, err := f.openFor(ctx, party, e.Ours, draft, sealed)
	if err != nil {
		clause, reason := unopenable(err)
		if clause == "" {
			return e, err
		}
		e.Verdict = trust.Verdict{Status: trust.Refused, Clause: clause, Reason: reason}
		return e, nil
	}
	ctx, cancel := context.WithTimeout(ctx, judgeTime)
	defer cancel()
	judged := f.agent.Inbound(ctx, party, agent.Arrival{Envelope: transit.Envelope{From: addr.Path{Address: e.Address}}, Opened: opened, Received: e.At}, e.At)
	e.Address, e.Verdict, e.Signatures = judged.Address, judged.Verdict, judged.Signatures
	return e, nil
}

// explaining completes what is asked and notes that it was.
func (f *Flow) explaining(ctx context.Context, by audit.Actor, e *Explanation) (agent.Party, error) {
	if e.At.IsZero() {
		e.At = f.Clock()
	}
	direction := transit.Inbound
	if e.Use == trust.Encryption {
		direction = transit.Outbound
	}
	party, err := f.party(ctx, e.Ours, direction)
	if err != nil {
		return party, err
	}
	party = f.of(party, e.Ours, direction, e.Address)
	e.Anchors, party.Trace = slices.Clone(party.Anchors), e.tell
	err = f.Store.Tx(ctx, func(tx *store.Tx) error {
		return audit.Write(tx, audit.Entry{Actor: by, Action: "trust.explain", Object: "domain:" + e.Ours.Domain.String()})
	})
	if err != nil {
		return party, fmt.Errorf("flow: explain: %w", err)
	}
	return party, nil
}

// openFor opens a message by the keys of one of our addresses, as party reads, into a hidden draft.
func (f *Flow) openFor(ctx context.Context, party agent.Party, ours addr.Address, draft *blob.Draft, sealed io.Reader) (*smime.Opened, error) {
	cs, err := f.certs(ctx, ours)
	if err != nil {
		return nil, err
	}
	keys, err := f.openers(ctx, cs)
	if err != nil {
		return nil, err
	}
	opened, err := smime.Open(draft, sealed, keys, party.Open())
	if err != nil {
		return nil, fmt.Errorf("flow: explain: %w", err)
	}
	return opened, nil
}
