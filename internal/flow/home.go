package flow

import (
	"errors"

	"carepost/addr"
	"carepost/internal/store"
)

// home is the address of the account that keeps the mail for one of our addresses: desk for desk+urgent (store.Tx.Holder). It trusts whom
// that account trusts, and answers in its name. Keys and certificates go by the address as it is written: what is sealed for desk+urgent is
// sealed for the organisation, and a certificate of desk says nothing of it. known is false, and home a itself, where nobody has it.
func home(tx *store.Tx, a addr.Address) (home addr.Address, known bool, err error) {
	account, err := tx.Holder(a)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return a, false, nil
	case err != nil:
		return a, false, err
	case account.Address.Equal(a):
		return a, true, nil // as its sender writes it
	}
	return account.Address, true, nil
}
