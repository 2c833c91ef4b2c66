package admin

import (
	"crypto/x509"
	"strings"

	"carepost/internal/audit"
	"carepost/internal/store"
	"carepost/internal/transit"
)

// AdoptAnchorsIn gives an owner the anchors of another whose source begins so, each in its direction, within the transaction that makes the
// owner: a domain that comes to others trusts whom all of them are told to trust.
func (s *Service) AdoptAnchorsIn(tx *store.Tx, by audit.Actor, to, from Owner, source string) error {
	for _, d := range []transit.Direction{transit.Inbound, transit.Outbound} {
		there, err := tx.Anchors(from, d)
		if err != nil {
			return err
		}
		for _, a := range there {
			if a.Bundle != "" || !strings.HasPrefix(a.Source, source) {
				continue
			}
			cert, err := x509.ParseCertificate(a.DER)
			if err != nil {
				return err
			}
			if _, err := addAnchor(tx, by, Anchor{Owner: to, Direction: d, DER: a.DER, Source: a.Source, Evaluation: a.Evaluation}, cert); err != nil {
				return err
			}
		}
	}
	return nil
}
