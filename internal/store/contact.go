package store

import (
	"time"

	"carepost/addr"
)

// Contact is mail of somebody whom nothing speaks against, but whom no anchor of ours speaks for. It is set aside.
type Contact struct {
	Recipient string // id: of the arrival that was set aside
	Message   string
	Sender    addr.Address
	To        addr.Address // ours
	DER       []byte       // the certificate that signed it
	At        time.Time
}

// contactDetail is the sealed part.
type contactDetail struct {
	Sender addr.Address `json:"sender"`
	To     addr.Address `json:"to"`
	DER    []byte       `json:"der"`
}

// PutContact notes c, over what was noted of that recipient before.
func (tx *Tx) PutContact(c Contact) error {
	detail, err := tx.sealJSON("contact.detail", c.Recipient, contactDetail{c.Sender, c.To, c.DER})
	if err != nil {
		return err
	}
	_, err = tx.exec(`INSERT INTO contact (recipient, message, detail, at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (recipient) DO UPDATE SET detail = excluded.detail, at = excluded.at`, c.Recipient, c.Message, detail, msec(tx.now))
	return err
}

func (tx *Tx) readContact(scan scanner) (c Contact, err error) {
	var sealed []byte
	var at int64
	if err := scan(&c.Recipient, &c.Message, &sealed, &at); err != nil {
		return c, err
	}
	c.At = when(at)
	var d contactDetail
	err = tx.openJSON("contact.detail", c.Recipient, sealed, &d)
	c.Sender, c.To, c.DER = d.Sender, d.To, d.DER
	return c, err
}

const contactColumns = `recipient, message, detail, at`

// Contacts lists the newest, those first.
func (tx *Tx) Contacts(limit int) ([]Contact, error) {
	return all(tx, tx.readContact, `SELECT `+contactColumns+` FROM contact ORDER BY at DESC, recipient DESC LIMIT $1`, limit)
}

// Contact reads that of a recipient. ErrNotFound.
func (tx *Tx) Contact(recipient string) (Contact, error) {
	return first(tx, tx.readContact, `SELECT `+contactColumns+` FROM contact WHERE recipient = $1`, recipient)
}

// RemoveContact forgets that of a recipient. ErrNotFound.
func (tx *Tx) RemoveContact(recipient string) error {
	n, err := tx.exec(`DELETE FROM contact WHERE recipient = $1`, recipient)
	return changed(n, err, ErrNotFound)
}

// RemoveContacts forgets those of a message.
func (tx *Tx) RemoveContacts(message string) error {
	_, err := tx.exec(`DELETE FROM contact WHERE message = $1`, message)
	return err
}
