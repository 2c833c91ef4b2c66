package store

import (
	"time"

	"carepost/addr"
)

// Domain is a Health Domain that this installation serves.
type Domain struct {
	Name    addr.Domain
	Created time.Time
}

// InsertDomain adds one. *Duplicate.
func (tx *Tx) InsertDomain(name addr.Domain) error { panic("unimplemented") }

// Domain reads one. ErrNotFound: it is not ours.
func (tx *Tx) Domain(name addr.Domain) (Domain, error) { panic("unimplemented") }

// Domains lists all, by name.
func (tx *Tx) Domains() ([]Domain, error) { panic("unimplemented") }

// Account is a local address.
type Account struct {
	ID      string
	Address addr.Address // sealed; its domain is in clear
	Created time.Time
}

// InsertAccount adds the address; its domain must be ours. *Duplicate with the id of the first.
func (tx *Tx) InsertAccount(a addr.Address) (Account, error) { panic("unimplemented") }

// Account finds one by its address (Direct 4.1.1: without regard to case). ErrNotFound.
func (tx *Tx) Account(a addr.Address) (Account, error) { panic("unimplemented") }

// AccountByID reads one. ErrNotFound.
func (tx *Tx) AccountByID(id string) (Account, error) { panic("unimplemented") }

// Accounts lists those of a domain, oldest first.
func (tx *Tx) Accounts(d addr.Domain) ([]Account, error) { panic("unimplemented") }

// Setting reads a value (sealed) and its version; ErrNotFound.
func (tx *Tx) Setting(key string) (value []byte, version int64, err error) { panic("unimplemented") }

// SetSetting writes a value over the given version, 0 for a new one. ErrConflict.
func (tx *Tx) SetSetting(key string, value []byte, version int64) error { panic("unimplemented") }
