package admin

import (
	"context"

	"carepost/internal/store"
)

// Owned says which domain or open account of this installation o is; the zero Owner is its only domain. ErrNoDomain, ErrNoAccount, *Invalid.
func (s *Service) Owned(ctx context.Context, o Owner) (Owner, error) {
	err := s.store.View(ctx, func(tx *store.Tx) (err error) {
		o, err = s.owner(tx, o)
		return err
	})
	return o, known("owner", err)
}
