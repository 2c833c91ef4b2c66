package admin

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"

	"carepost/internal/audit"
	"carepost/internal/store"
)

// maxIntermediates are kept: each is a candidate in every search for a path.
const maxIntermediates = 128

// Intermediate is a certificate given by hand for the way to an anchor.
type Intermediate = store.Intermediate

// AddIntermediate keeps an authority's certificate for the search for paths, where nobody serves it (Direct 4.2.2). It is believed no more
// than one that comes with a message. *Invalid.
func (s *Service) AddIntermediate(ctx context.Context, by audit.Actor, cert *x509.Certificate, source string) error {
	if !cert.BasicConstraintsValid || !cert.IsCA {
		return invalid("the certificate is no authority's: it issues nothing, so that it lies on nobody's way")
	}
	print := sha256.Sum256(cert.Raw)
	return known("add intermediate", s.store.Tx(ctx, func(tx *store.Tx) error {
		there, err := tx.Intermediates()
		if err != nil {
			return err
		}
		if len(there) >= maxIntermediates {
			return invalid("%d such certificates are the most; take away those that are used no more", maxIntermediates)
		}
		added, err := tx.PutIntermediate(Intermediate{DER: cert.Raw, Source: source})
		if err != nil || !added {
			return err
		}
		return audit.Write(tx, audit.Entry{Actor: by, Action: "intermediate.add", Object: "intermediate:" + hex.EncodeToString(print[:]),
			Detail: map[string]string{"subject": cert.Subject.String(), "source": source}})
	}))
}

// Intermediates lists what AddIntermediate keeps, oldest first.
func (s *Service) Intermediates(ctx context.Context) (out []Intermediate, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) (err error) {
		out, err = tx.Intermediates()
		return err
	})
	return out, known("intermediates", err)
}

// RemoveIntermediate forgets the one of that SHA-256. *Invalid where there is none.
func (s *Service) RemoveIntermediate(ctx context.Context, by audit.Actor, print [32]byte) error {
	return known("remove intermediate", s.store.Tx(ctx, func(tx *store.Tx) error {
		if err := tx.RemoveIntermediate(print); errors.Is(err, store.ErrNotFound) {
			return invalid("no intermediate certificate has that fingerprint")
		} else if err != nil {
			return err
		}
		return audit.Write(tx, audit.Entry{Actor: by, Action: "intermediate.remove", Object: "intermediate:" + hex.EncodeToString(print[:])})
	}))
}
