package flow

import (
	"context"
	"crypto/x509"

	"carepost/addr"
	"carepost/cms"
	"carepost/internal/store"
	"carepost/trust"
)

// announced tells what partners have announced to one of our domains. What cannot be read is not known: everybody reads what is made
// then.
func (f *Flow) announced(ctx context.Context, d addr.Domain) func(addr.Address, *x509.Certificate) []cms.Algorithm {
	return func(partner addr.Address, cert *x509.Certificate) (out []cms.Algorithm) {
		err := f.Store.View(ctx, func(tx *store.Tx) error {
			said, known, err := tx.Announced(d, partner, cert.Raw)
			if known {
				out = []cms.Algorithm{}
			}
			for _, name := range said {
				if x, err := cms.ParseAlgorithm(name); err == nil { // else one of another version of ours
					out = append(out, x)
				}
			}
			return err
		})
		if err != nil {
			f.Log.Warn("what a partner reads is not known", "partner", partner, "error", err)
			return nil
		}
		return out
	}
}

// learn keeps what trusted signers have announced to a recipient's domain, for each address that they may speak for (RFC 8551 §2.7.1).
func (f *Flow) learn(tx *store.Tx, a *arrival, r store.Recipient) error {
	j := a.judged[r.ID]
	for _, s := range j.Signatures {
		if s.Verdict.Status != trust.Trusted {
			continue
		}
		signed := s.SigningTime
		if signed.IsZero() {
			signed = a.Received
		}
		if err := f.remember(tx, r.Address.Domain, j.Senders, s.Certificate, signed); err != nil {
			return err
		}
		if s.Capabilities == nil {
			continue
		}
		said := make([]string, 0, len(s.Capabilities))
		for _, x := range s.Capabilities {
			said = append(said, x.String())
		}
		for _, partner := range j.Senders {
			err := tx.Announce(store.Announcement{Domain: r.Address.Domain, Partner: partner, Certificate: s.Certificate.Raw, Said: said, Signed: signed})
			if err != nil {
				return err
			}
		}
	}
	return nil
}
