package agent

import (
	"crypto/x509"
	"slices"
	"time"

	"carepost/addr"
	"carepost/discovery"
	"carepost/trust"
)

// Pin is a certificate that a party believes for exactly one address (Direct 4.2.3): an anchor that speaks for nobody else, and whose
// signatures on other certificates count for nothing.
type Pin struct {
	Address     addr.Address
	Certificate *x509.Certificate
}

// ask is the question whether cert may speak for other in the eyes of p. Its anchors are those of the party, and cert itself where it is
// pinned for that address, or where the party takes introductions.
func (p Party) ask(cert *x509.Certificate, other addr.Address, budget *trust.Budget) trust.Question {
	q := p.question(other, budget)
	q.Certificate = cert
	if cert != nil && (p.Introducing || slices.ContainsFunc(p.Pinned, func(pin Pin) bool { return pin.Address.Equal(other) && pin.Certificate.Equal(cert) })) {
		q.Anchors = append(slices.Clip(q.Anchors), cert)
	}
	return q
}

// pinned is the certificate pinned for an address, as long as it has not ended: then nothing else is looked for. Somebody has compared it
// with its owner, which no directory has.
func (p Party) pinned(to addr.Address, now time.Time) []discovery.Found {
	for _, pin := range p.Pinned {
		if pin.Address.Equal(to) && !now.After(pin.Certificate.NotAfter) {
			return []discovery.Found{{Certificate: pin.Certificate, Source: "pinned for", Name: to.Domain.String()}}
		}
	}
	return nil
}
