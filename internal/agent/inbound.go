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

// Arrival is what was opened and is to be believed or not.
type Arrival struct {
	Envelope transit.Envelope
	Opened   *smime.Opened
	Received time.Time // when it came; zero: at the time of judging
	// Budget of fetches, one for all who judge the message; nil: this judging has its own.
	Budget *trust.Budget
}

func (in Arrival) received(now time.Time) time.Time {
	if in.Received.IsZero() {
		return now
	}
	return in.Received
}

// Inbound judges the signers of an arrival by the anchors of one recipient (Direct 4.2.2): each of its signatures is judged, and the
// best decides.
//
// A signature counts for the envelope's sender (DIR-13) and for the From that the recipient is shown: the certificate must be
// bound to both, or a trusted stranger could speak in another's name.
func (a *Agent) Inbound(ctx context.Context, to Party, in Arrival, now time.Time) Judged {
	senders, err := in.senders()
	if err != nil {
		return Judged{Verdict: refuse("Direct 2.2", "the message names no sender that a signature could be bound to")}
	}
	if in.Budget == nil {
		in.Budget = NewBudget()
	}
	j := Judged{Address: senders[0], Senders: senders}
	if len(in.Opened.Signatures) == 0 {
		j.Verdict = refuse("Direct 2.4", "the message is not signed")
		return j
	}
	j.Signatures = a.signatures(ctx, to, in, senders, now)
	for i, s := range j.Signatures {
		if i == 0 || rank(s.Verdict) > rank(j.Verdict) {
			j.Verdict = s.Verdict
		}
	}
	if bad := spoilt(in.Opened); bad.Status == trust.Refused && j.Verdict.Status == trust.Trusted {
		j.Verdict = bad
	}
	if bad := to.unread(in.Opened); bad.Status == trust.Refused && j.Verdict.Status != trust.Refused {
		j.Verdict = bad
	}
	return j
}

// Senders are the addresses that the signer must be bound to, the deciding one first; none where the message names nobody.
func (in Arrival) Senders() []addr.Address {
	senders, _ := in.senders()
	return senders
}

// senders is Senders, or why there are none.
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
