package store

import (
	"time"

	"carepost/addr"
)

// TransferKind says what goes or comes in several mails.
type TransferKind string

const (
	TransferOut TransferKind = "out"       // a large set of ours
	TransferIn  TransferKind = "in"        // one of a partner
	Divided     TransferKind = "divided"   // a delivery of ours in fragments; Of counts those that were taken
	Fragments   TransferKind = "fragments" // a message in fragments (RFC 2046 §5.2.2), of which nothing is opened
)

// Transfer is what goes or comes in several mails.
type Transfer struct {
	ID      string // made by HoldTransfer when empty
	Kind    TransferKind
	Account string // id; empty for Fragments
	At      time.Time
	TransferDetail
}

// TransferDetail is sealed.
type TransferDetail struct {
	Name        string         `json:"name"`                  // that the sender gave it
	Sender      addr.Address   `json:"sender,omitzero"`       // in: as judged
	Unprotected bool           `json:"unprotected,omitempty"` // in: nobody vouches for him
	To          []addr.Address `json:"to,omitempty"`          // out
	Subject     string         `json:"subject,omitempty"`     // out
	Of          int            `json:"of,omitempty"`          // parts; 0: not known yet
	Sets        string         `json:"sets,omitempty"`        // digest over the File-set UIDs of all parts
	Odd         string         `json:"odd,omitempty"`         // what does not fit together
	Parts       []TransferPart `json:"parts,omitempty"`
}

// TransferPart is one mail of a transfer.
type TransferPart struct {
	N         int       `json:"n"`
	Message   string    `json:"message,omitempty"`    // id, where it is there
	MessageID string    `json:"message_id,omitempty"` // out: that it has, or is to have
	UID       string    `json:"uid,omitempty"`        // of the File-set
	Instances int       `json:"instances,omitempty"`
	Bytes     int64     `json:"bytes,omitempty"`
	Verdict   string    `json:"verdict,omitempty"` // in: of the File-set
	At        time.Time `json:"at,omitzero"`
}

// MessagePart says which part of a transfer a message is, and what is in it.
type MessagePart struct {
	Transfer string       `json:"transfer"` // that its sender calls it
	Of       int          `json:"of"`
	Sets     string       `json:"sets,omitempty"`
	Sender   addr.Address `json:"sender"`
	// Unprotected says that nobody vouches for the sender (STD-GEN-ZIP-MAIL).
	Unprotected bool `json:"unprotected,omitempty"`
	TransferPart
}

// HoldTransfer makes t, which key names, unless it is there already; then t becomes what is there. Until the transaction ends nobody else gets
// it. fresh says that it was made.
func (tx *Tx) HoldTransfer(t *Transfer, key string) (fresh bool, err error) {
	if t.ID == "" {
		t.ID = tx.NewID()
	}
	detail, err := tx.sealJSON("transfer.detail", t.ID, t.TransferDetail)
	if err != nil {
		return false, err
	}
	name := tx.transferKey(t.Kind, key)
	n, err := tx.exec(`INSERT INTO transfer (id, kind, account, key_hash, detail, at) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (key_hash) DO NOTHING`,
		t.ID, string(t.Kind), t.Account, name, detail, msec(tx.now))
	if err != nil {
		return false, err
	}
	if _, err := tx.exec(`UPDATE transfer SET key_hash = key_hash WHERE key_hash = $1`, name); err != nil {
		return false, err
	}
	*t, err = first(tx, tx.readTransfer, `SELECT `+transferColumns+` FROM transfer WHERE key_hash = $1`, name)
	return n == 1, err
}

func (tx *Tx) transferKey(kind TransferKind, key string) []byte {
	return tx.hash("transfer", string(kind)+"\n"+key)
}

const transferColumns = `id, kind, account, detail, at`

func (tx *Tx) readTransfer(scan scanner) (t Transfer, err error) {
	var detail []byte
	var at int64
	if err := scan(&t.ID, &t.Kind, &t.Account, &detail, &at); err != nil {
		return t, err
	}
	t.At = when(at)
	return t, tx.openJSON("transfer.detail", t.ID, detail, &t.TransferDetail)
}

// Transfer reads one. ErrNotFound.
func (tx *Tx) Transfer(id string) (Transfer, error) {
	return first(tx, tx.readTransfer, `SELECT `+transferColumns+` FROM transfer WHERE id = $1`, id)
}

// TransferNamed reads the one with that key. ErrNotFound.
func (tx *Tx) TransferNamed(kind TransferKind, key string) (Transfer, error) {
	return first(tx, tx.readTransfer, `SELECT `+transferColumns+` FROM transfer WHERE key_hash = $1`, tx.transferKey(kind, key))
}

// Transfers lists those of an account, newest first.
func (tx *Tx) Transfers(account string, kind TransferKind, limit int) ([]Transfer, error) {
	return all(tx, tx.readTransfer, `SELECT `+transferColumns+` FROM transfer WHERE account = $1 AND kind = $2 ORDER BY id DESC LIMIT $3`,
		account, string(kind), int64(limit))
}

// CountTransfers counts those of a kind that are of no account.
func (tx *Tx) CountTransfers(kind TransferKind) (n int, err error) {
	return n, tx.one(`SELECT COUNT(*) FROM transfer WHERE account = '' AND kind = $1`, []any{string(kind)}, &n)
}

// SetTransfer writes what is known of one now. ErrNotFound.
func (tx *Tx) SetTransfer(t Transfer) error {
	detail, err := tx.sealJSON("transfer.detail", t.ID, t.TransferDetail)
	if err != nil {
		return err
	}
	n, err := tx.exec(`UPDATE transfer SET detail = $2 WHERE id = $1`, t.ID, detail)
	return changed(n, err, ErrNotFound)
}

// RetireTransfer takes its key from one: the next with that key is another. ErrNotFound.
func (tx *Tx) RetireTransfer(t Transfer) error {
	n, err := tx.exec(`UPDATE transfer SET key_hash = $2 WHERE id = $1`, t.ID, tx.transferKey(t.Kind, "retired\n"+t.ID))
	return changed(n, err, ErrNotFound)
}

// RemoveTransfer forgets one. Its mails stay what they are.
func (tx *Tx) RemoveTransfer(id string) error {
	_, err := tx.exec(`DELETE FROM transfer WHERE id = $1`, id)
	return err
}

// ForgetTransfers forgets those of an account that were begun before that time.
func (tx *Tx) ForgetTransfers(account string, kind TransferKind, before time.Time) error {
	_, err := tx.exec(`DELETE FROM transfer WHERE account = $1 AND kind = $2 AND at < $3`, account, string(kind), msec(before))
	return err
}
