package agent

import (
	"context"
	"errors"
	"slices"
	"time"

	"carepost/addr"
	"carepost/internal/transit"
	"carepost/message"
	"carepost/smime"
	"carepost/trust"
)

var errNoSender = errors.New("agent: no sender to bind the signature to")

// ahead is how far a signer's clock may be before ours. What a signer says of the time is no time to validate anything at: chains are
// judged at the time of receipt, and a signature of tomorrow is none (RFC 5652 §11.3 leaves this to us).
const ahead = 24 * time.Hour

// maxJudged is how many signatures of one message are judged. More is nobody's honest mail, and each may cost fetches.
const maxJudged = 16

// Arrival is what was opened and is to be believed or not.
type Arrival struct {
	Envelope transit.Envelope
	Opened   *smime.Opened
}

// Inbound judges the signer of an arrival by the anchors of one recipient (Direct 4.2.2): the best of its signatures decides.
//
// A signature counts for the envelope's sender (DIR-13) and for the From that the recipient is shown: the certificate must be
// bound to both, or a trusted stranger could speak in another's name.
func (a *Agent) Inbound(ctx context.Context, to Party, in Arrival, now time.Time) Judged {
	senders, err := in.senders()
	if err != nil {
		return Judged{Verdict: refuse("Direct 2.2", "the message names no sender that a signature could be bound to")}
	}
	j := Judged{Address: senders[0], Senders: senders}
	if len(in.Opened.Signatures) == 0 {
		j.Verdict = refuse("Direct 2.4", "the message is not signed")
		return j
	}
	for i, s := range in.Opened.Signatures[:min(len(in.Opened.Signatures), maxJudged)] {
		if v := a.signature(ctx, to, in, s, senders, now); i == 0 || rank(v) > rank(j.Verdict) {
			j.Verdict = v
		}
	}
	if bad := claimedTwice(in.Opened.Signatures); bad && j.Verdict.Status == trust.Trusted {
		j.Verdict = refuse("RFC 5652 §5.6", "one signature is good, but another of the same certificate is not")
	}
	return j
}

func (a *Agent) signature(ctx context.Context, to Party, in Arrival, s smime.Signature, senders []addr.Address, now time.Time) trust.Verdict {
	if s.Certificate == nil {
		return refuse("Direct 2.5.2", "the signature does not carry the signing certificate")
	}
	if s.Err != nil {
		return refuse("Direct 4 (2)", "the signature does not fit the content: the message was changed or damaged on its way")
	}
	if s.SigningTime.After(now.Add(ahead)) {
		return refuse("RFC 5652 §11.3", "the signature says that it was made more than a day from now")
	}
	var v trust.Verdict
	for i, sender := range senders {
		next := a.Judge.Judge(ctx, trust.Question{
			Certificate: s.Certificate, Address: sender, Anchors: to.Anchors,
			Intermediates: slices.Concat(in.Opened.Certificates, to.Intermediates),
			Use:           trust.Signing, Now: now, Policy: to.Policy,
		})
		if i == 0 || next.Status != trust.Trusted {
			v = next
		}
		if v.Status != trust.Trusted {
			break
		}
	}
	return v
}

// claimedTwice says that a certificate with a good signature also stands beside a bad one (facts: multiple signers).
func claimedTwice(all []smime.Signature) bool {
	return slices.ContainsFunc(all, func(good smime.Signature) bool {
		return good.Err == nil && good.Certificate != nil && slices.ContainsFunc(all, func(bad smime.Signature) bool {
			return bad.Err != nil && bad.Certificate != nil && bad.Certificate.Equal(good.Certificate)
		})
	})
}

// senders are the addresses that the signer must be bound to, the deciding one first.
func (in Arrival) senders() ([]addr.Address, error) {
	var out []addr.Address
	if !in.Envelope.From.IsNull() {
		out = append(out, in.Envelope.From.Address)
	}
	from, err := in.Opened.Header.Mailboxes("From")
	if err != nil || len(from) != 1 {
		// RFC 5322 allows several authors; a signer can be bound to one.
		return nil, errNoSender
	}
	if !slices.ContainsFunc(out, from[0].Address.Equal) {
		out = append(out, from[0].Address)
	}
	return out, nil
}

// Named are the addresses in To and Cc, each once.
func Named(h message.Header) (out []addr.Address) {
	for _, field := range []string{"To", "Cc"} {
		boxes, err := h.Mailboxes(field)
		if err != nil {
			continue
		}
		for _, b := range boxes {
			if !slices.ContainsFunc(out, b.Address.Equal) {
				out = append(out, b.Address)
			}
		}
	}
	return out
}

// IsReport says that a message is an MDN or DSN, which is never answered (Direct 3, RFC 3798 §2.1). A mail that merely calls itself
// automatic is a mail.
func IsReport(h message.Header) bool {
	kind, ok := message.IsReport(h)
	return ok && (kind == "" || kind == "disposition-notification" || kind == "delivery-status")
}

// Missing names the header fields that Direct 2.2 demands of every message and that h lacks, or that cannot be read.
func Missing(h message.Header) (fields []string) {
	if !h.Has("From") {
		fields = append(fields, "From")
	}
	if _, err := h.Date(); err != nil {
		fields = append(fields, "Date")
	}
	if h.MessageID() == "" {
		fields = append(fields, "Message-ID")
	}
	if !h.Has("To") && !h.Has("Cc") {
		fields = append(fields, "To")
	}
	return fields
}
