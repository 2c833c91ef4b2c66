package agent

import (
	"context"
	"crypto/x509"
	"slices"
	"time"

	"carepost/addr"
	"carepost/trust"
)

// Examine judges one certificate of whose in the eyes of p, as that of a sender (trust.Signing) or of a recipient (trust.Encryption), just
// as it would be judged with a message: for a person who asks why.
func (a *Agent) Examine(ctx context.Context, p Party, whose addr.Address, use trust.Use, cert *x509.Certificate, beside []*x509.Certificate, now time.Time) trust.Verdict {
	p.Intermediates = slices.Concat(beside, p.Intermediates)
	if use == trust.Encryption {
		return a.encryptable(ctx, p, whose, cert, now, trust.NewBudget(maxRecipientFetches))
	}
	q := p.ask(cert, whose, NewBudget())
	q.Use, q.Now = use, now
	return a.Judge.Judge(ctx, q)
}
