package store

import (
	"strings"

	"carepost/addr"
)

// Holder finds the open account that mail for a is kept by: that of the address itself, else that of the address before a '+' in its local
// part (RFC 5233: "desk+urgent" is desk's). An address that is or was an account is never taken for somebody's tag. This is about our own
// mailboxes alone: certificates are looked up for, and bound to, the address as it is written. ErrNotFound.
func (tx *Tx) Holder(a addr.Address) (Account, error) {
	account, err := tx.anyAccount(a)
	base, tagged := untagged(a)
	if isNone(err) && tagged {
		account, err = tx.anyAccount(base)
	}
	if err == nil && !account.Closed.IsZero() {
		err = ErrNotFound
	}
	if err != nil {
		return Account{}, err
	}
	return account, nil
}

// anyAccount reads an account, open or closed.
func (tx *Tx) anyAccount(a addr.Address) (Account, error) {
	return first(tx, tx.readAccount, `SELECT `+accountColumns+` FROM account WHERE addr_hash = $1`, tx.hash("address", a.Key()))
}

// untagged cuts the tag off, at the first '+': a tag may hold more of them.
func untagged(a addr.Address) (base addr.Address, tagged bool) {
	name, _, tagged := strings.Cut(a.Endpoint, "+")
	if !tagged || name == "" {
		return a, false
	}
	a.Endpoint = name
	return a, true
}
