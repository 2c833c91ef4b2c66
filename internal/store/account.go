package store

import (
	"errors"
	"time"

	"carepost/addr"
)

// Account is a local address.
type Account struct {
	ID          string
	Address     addr.Address // sealed; its domain is in clear
	Created     time.Time
	Closed      time.Time // zero: open
	Drops       Drops
	HasPassword bool
}

// Drops are folders outside the data directory into which what comes in is put as well. An empty one is none. Both are sealed.
type Drops struct {
	Maildir string
	Studies string
}

// InsertAccount adds the address, or opens its account again if that is closed: with its mailboxes, without password and drops.
// *Duplicate with the id of the first if there is an open one; ErrNotFound if its domain is not ours.
func (tx *Tx) InsertAccount(a addr.Address) (Account, error) {
	account := Account{ID: tx.NewID(), Address: a, Created: tx.now}
	if _, err := tx.Domain(a.Domain); err != nil {
		return account, err
	}
	hash := tx.hash("address", a.Key())
	err := tx.insert(`INSERT INTO account (id, addr, addr_hash, domain, created_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (addr_hash) DO NOTHING`,
		[]any{account.ID, tx.seal("account.addr", account.ID, a.String()), hash, a.Domain.String(), msec(tx.now)},
		`SELECT id FROM account WHERE addr_hash = $1`, hash)
	d := (*Duplicate)(nil)
	if !errors.As(err, &d) {
		return account, err
	}
	n, err := tx.exec(`UPDATE account SET closed_at = NULL, addr = $2 WHERE id = $1 AND closed_at IS NOT NULL`,
		d.First, tx.seal("account.addr", d.First, a.String()))
	if err := changed(n, err, d); err != nil {
		return account, err
	}
	return tx.AccountByID(d.First)
}

// CloseAccount ends the use of an address; its password and drops go, its mailboxes stay. ErrNotFound if it is no open account.
func (tx *Tx) CloseAccount(id string) error {
	n, err := tx.exec(`UPDATE account SET closed_at = $2, password = NULL, maildir = NULL, studies = NULL WHERE id = $1 AND closed_at IS NULL`,
		id, msec(tx.now))
	return changed(n, err, ErrNotFound)
}

// SetPassword keeps the PHC string of a password's hash, sealed; "" takes the password away. ErrNotFound if it is no open account.
func (tx *Tx) SetPassword(id, phc string) error {
	n, err := tx.exec(`UPDATE account SET password = $2 WHERE id = $1 AND closed_at IS NULL`, id, tx.seal("account.password", id, phc))
	return changed(n, err, ErrNotFound)
}

// Password reads what SetPassword keeps; "" is none. ErrNotFound.
func (tx *Tx) Password(id string) (phc string, err error) {
	var sealed []byte
	if err := tx.one(`SELECT password FROM account WHERE id = $1`, []any{id}, &sealed); err != nil {
		return "", err
	}
	return tx.open("account.password", id, sealed)
}

// SetDrops says where else the account's mail goes. ErrNotFound if it is no open account.
func (tx *Tx) SetDrops(id string, d Drops) error {
	n, err := tx.exec(`UPDATE account SET maildir = $2, studies = $3 WHERE id = $1 AND closed_at IS NULL`,
		id, tx.seal("account.maildir", id, d.Maildir), tx.seal("account.studies", id, d.Studies))
	return changed(n, err, ErrNotFound)
}

const accountColumns = `id, addr, created_at, COALESCE(closed_at, 0), maildir, studies, password IS NOT NULL`

func (tx *Tx) readAccount(scan scanner) (a Account, err error) {
	var address, maildir, studies []byte
	var created, closed int64
	if err := scan(&a.ID, &address, &created, &closed, &maildir, &studies, &a.HasPassword); err != nil {
		return a, err
	}
	a.Created, a.Closed = when(created), when(closed)
	if a.Address, err = tx.openAddress("account.addr", a.ID, address); err != nil {
		return a, err
	}
	if a.Drops.Maildir, err = tx.open("account.maildir", a.ID, maildir); err != nil {
		return a, err
	}
	a.Drops.Studies, err = tx.open("account.studies", a.ID, studies)
	return a, err
}

// Account finds an open one by its address (Direct 4.1.1: without regard to case). ErrNotFound.
func (tx *Tx) Account(a addr.Address) (Account, error) {
	return first(tx, tx.readAccount, `SELECT `+accountColumns+` FROM account WHERE addr_hash = $1 AND closed_at IS NULL`, tx.hash("address", a.Key()))
}

// AccountByID reads one, open or closed. ErrNotFound.
func (tx *Tx) AccountByID(id string) (Account, error) {
	return first(tx, tx.readAccount, `SELECT `+accountColumns+` FROM account WHERE id = $1`, id)
}

// Accounts lists those of a domain, closed ones too, oldest first.
func (tx *Tx) Accounts(d addr.Domain) ([]Account, error) {
	return all(tx, tx.readAccount, `SELECT `+accountColumns+` FROM account WHERE domain = $1 ORDER BY id`, d.String())
}
