package agent

import (
	"time"

	"carepost/addr"
	"carepost/trust"
)

// Fetches of issuers, lists and OCSP answers (ATT-23). They are those of a message, so that many signatures, senders or recipients do not
// add up; what is fetched once serves all of them.
const (
	maxArrivalFetches   = 64 // for all signatures, senders and recipients of a message that came in
	maxRecipientFetches = 32 // for one recipient of a message that goes out
)

// Revocations says what is done where the status of a certificate is not known. The zero Revocations trust nobody then.
type Revocations struct {
	Unknown trust.Unknown
	Grace   time.Duration // how long after its nextUpdate a list still counts
	Domains map[addr.Domain]trust.Unknown
}

// With is what is done with certificates of d.
func (r Revocations) With(d addr.Domain) trust.Revocation {
	out := trust.Revocation{Unknown: r.Unknown, Grace: r.Grace}
	if u, ok := r.Domains[d]; ok {
		out.Unknown = u
	}
	return out
}

// NewBudget is the budget of one arrival, whoever its recipients are.
func NewBudget() *trust.Budget { return trust.NewBudget(maxArrivalFetches) }
