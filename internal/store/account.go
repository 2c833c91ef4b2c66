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
func (tx *Tx) InsertDomain(name addr.Domain) error {
	return tx.insert(`INSERT INTO domain (name, created_at) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`,
		[]any{name.String(), msec(tx.now)}, `SELECT name FROM domain WHERE name = $1`, name.String())
}

func readDomain(scan scanner) (d Domain, err error) {
	var created int64
	err = scan(&d.Name, &created)
	d.Created = when(created)
	return d, err
}

// Domain reads one. ErrNotFound: it is not ours.
func (tx *Tx) Domain(name addr.Domain) (Domain, error) {
	return first(tx, readDomain, `SELECT name, created_at FROM domain WHERE name = $1`, name.String())
}

// Domains lists all, oldest first.
func (tx *Tx) Domains() ([]Domain, error) {
	return all(tx, readDomain, `SELECT name, created_at FROM domain ORDER BY created_at, name`)
}

// Account is a local address.
type Account struct {
	ID      string
	Address addr.Address // sealed; its domain is in clear
	Created time.Time
}

// InsertAccount adds the address. *Duplicate with the id of the first; ErrNotFound if its domain is not ours.
func (tx *Tx) InsertAccount(a addr.Address) (Account, error) {
	account := Account{ID: tx.NewID(), Address: a, Created: tx.now}
	if _, err := tx.Domain(a.Domain); err != nil {
		return account, err
	}
	hash := tx.hash("address", a.Key())
	return account, tx.insert(`INSERT INTO account (id, addr, addr_hash, domain, created_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (addr_hash) DO NOTHING`,
		[]any{account.ID, tx.seal("account.addr", account.ID, a.String()), hash, a.Domain.String(), msec(tx.now)},
		`SELECT id FROM account WHERE addr_hash = $1`, hash)
}

const accountColumns = `id, addr, created_at`

func (tx *Tx) readAccount(scan scanner) (a Account, err error) {
	var address []byte
	var created int64
	if err := scan(&a.ID, &address, &created); err != nil {
		return a, err
	}
	a.Created = when(created)
	a.Address, err = tx.openAddress("account.addr", a.ID, address)
	return a, err
}

// Account finds one by its address (Direct 4.1.1: without regard to case). ErrNotFound.
func (tx *Tx) Account(a addr.Address) (Account, error) {
	return first(tx, tx.readAccount, `SELECT `+accountColumns+` FROM account WHERE addr_hash = $1`, tx.hash("address", a.Key()))
}

// AccountByID reads one. ErrNotFound.
func (tx *Tx) AccountByID(id string) (Account, error) {
	return first(tx, tx.readAccount, `SELECT `+accountColumns+` FROM account WHERE id = $1`, id)
}

// Accounts lists those of a domain, oldest first.
func (tx *Tx) Accounts(d addr.Domain) ([]Account, error) {
	return all(tx, tx.readAccount, `SELECT `+accountColumns+` FROM account WHERE domain = $1 ORDER BY id`, d.String())
}

// Setting reads a value (sealed) and its version; ErrNotFound.
func (tx *Tx) Setting(key string) (value []byte, version int64, err error) {
	var sealed []byte
	if err := tx.one(`SELECT v, ver FROM setting WHERE k = $1`, []any{key}, &sealed, &version); err != nil {
		return nil, 0, err
	}
	value, err = tx.s.box.Open("setting.v", key, sealed)
	return value, version, prefix(err)
}

// SetSetting writes a value over the given version, 0 for a new one. ErrConflict.
func (tx *Tx) SetSetting(key string, value []byte, version int64) error {
	if value == nil {
		value = []byte{}
	}
	sealed := tx.s.box.Seal("setting.v", key, value)
	if version == 0 {
		n, err := tx.exec(`INSERT INTO setting (k, v, ver) VALUES ($1, $2, 1) ON CONFLICT (k) DO NOTHING`, key, sealed)
		return changed(n, err, ErrConflict)
	}
	n, err := tx.exec(`UPDATE setting SET v = $2, ver = ver + 1 WHERE k = $1 AND ver = $3`, key, sealed, version)
	return changed(n, err, ErrConflict)
}
