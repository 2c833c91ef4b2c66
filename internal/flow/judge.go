package flow

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"slices"

	"carepost/addr"
	"carepost/internal/agent"
	"carepost/internal/blob"
	"carepost/internal/queue"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/trust"
)

// believe judges an arrival, and reads a report. A report comes from somebody to whom we may send, perhaps without trusting him to send to
// us (one-way trust): so anchors of both directions count for it. Only for what it says of our own mail: one that is about nothing
// of ours would be shown like a letter, and anybody can call his letter a report, so that it is believed as one.
func (f *Flow) believe(ctx context.Context, j *queue.Job, a *arrival, draft *blob.Draft) (undecided string, err error) {
	if a.report = agent.IsReport(a.opened.Header); !a.report {
		return f.judge(ctx, j, a, transit.Inbound)
	}
	undecided, err = f.judge(ctx, j, a, transit.Inbound, transit.Outbound)
	if err != nil || len(a.trusted) == 0 {
		return undecided, err
	}
	body, err := draft.Body()
	if err != nil {
		return "", fmt.Errorf("flow: inbound: %w", err)
	}
	defer body.Close()
	if a.notes, err = f.news(ctx, a, body); err != nil || len(a.notes) > 0 {
		return undecided, err
	}
	return f.judge(ctx, j, a, transit.Inbound)
}

// judge asks the agent for every recipient, once for those who hold the same anchors of these directions. undecided says why some have
// no answer yet.
func (f *Flow) judge(ctx context.Context, j *queue.Job, a *arrival, directions ...transit.Direction) (undecided string, err error) {
	limited, cancel := context.WithTimeout(ctx, judgeTime)
	defer cancel()
	now := f.Clock()
	known := map[string]agent.Judged{} // by anchors
	in := agent.Arrival{Envelope: a.Envelope, Opened: a.opened, Received: a.Received, Budget: a.budget}
	senders := in.Senders()
	a.trusted = nil
	clear(a.strangers)
	for _, r := range a.waiting {
		if err := j.Progress(); err != nil {
			return "", err
		}
		party, err := f.party(ctx, a.home(r), directions...)
		if err != nil {
			return "", err
		}
		party = f.of(party, a.home(r), transit.Inbound, senders...)
		key := anchorKey(party)
		v, ok := known[key]
		if !ok {
			v = f.agent.Inbound(limited, party, in, now)
			known[key] = v
		}
		if v, err = f.ours(ctx, a, r, v); err != nil {
			return "", err
		}
		v = party.Addressed(v, in, r.Address)
		a.judged[r.ID] = v
		if v.Verdict.Status == trust.Refused || v.Verdict.Status == trust.Undecided && expired(a.Message, now) {
			if err := f.introduced(limited, a, r, party, v, now); err != nil {
				return "", err
			}
		}
		switch v.Verdict.Status {
		case trust.Trusted:
			a.trusted = append(a.trusted, r)
		case trust.Undecided:
			undecided = or(v.Verdict.Reason, "there was no time to judge the signer")
		}
	}
	return undecided, ctx.Err()
}

// ours adds what only we can know: that a message was sealed for this recipient's own certificate, and not for somebody else's of
// our accounts; and that mail in the name of our own domain was signed by our own key, whoever else's authority says so.
func (f *Flow) ours(ctx context.Context, a *arrival, r store.Recipient, v agent.Judged) (agent.Judged, error) {
	if v.Verdict.Status != trust.Trusted {
		return v, nil
	}
	sealedFor, err := f.holds(ctx, r.Address, append(slices.Clip(a.opened.Others), a.opened.Own)...)
	if err != nil {
		return v, err
	}
	if !sealedFor {
		v.Verdict.Status, v.Verdict.Clause, v.Verdict.Reason = trust.Refused, "Direct 2.4", "the message is sealed for another recipient"
		return v, nil
	}
	for _, sender := range v.Senders {
		local, err := f.IsLocal(ctx, sender.Domain)
		if err != nil {
			return v, err
		}
		if !local {
			continue
		}
		own, err := f.holds(ctx, sender, v.Verdict.Certificate)
		if err != nil {
			return v, err
		}
		if !own {
			v.Verdict.Status, v.Verdict.Clause, v.Verdict.Reason = trust.Refused, "Direct 1.4", "the sender is of our own domain, and the signature is not"
			return v, nil
		}
	}
	return v, nil
}

// holds says whether one of some certificates is one of an address of ours.
func (f *Flow) holds(ctx context.Context, of addr.Address, any ...*x509.Certificate) (bool, error) {
	cs, err := f.certs(ctx, of)
	return slices.ContainsFunc(any, func(c *x509.Certificate) bool {
		return c != nil && slices.ContainsFunc(cs, func(own store.Cert) bool { return bytes.Equal(own.DER, c.Raw) })
	}), err
}

// anchorKey stands for everything in which two parties of ours differ.
func anchorKey(p agent.Party) string {
	h := sha256.New()
	h.Write([]byte{byte(p.Policy)}) // which says what is done with algorithms, too
	if p.SMIME {
		h.Write([]byte("PS3.15 B.8"))
	}
	for _, certs := range [][]*x509.Certificate{p.Anchors, p.Intermediates} {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(certs))))
		for _, c := range certs {
			sum := sha256.Sum256(c.Raw)
			h.Write(sum[:])
		}
	}
	for _, pin := range p.Pinned {
		sum := sha256.Sum256(append([]byte(pin.Address.Key()+"\n"), pin.Certificate.Raw...))
		h.Write(sum[:])
	}
	return string(h.Sum(nil))
}
