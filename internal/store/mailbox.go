package store

import (
	"errors"
	"strconv"
	"time"
)

// Mailbox is a folder of an account.
type Mailbox struct {
	ID          string
	Account     string
	Name        string // sealed; "INBOX" for what comes in
	UIDValidity uint32
	UIDNext     uint32
	ModSeq      int64
}

// Mail is one message in a mailbox.
type Mail struct {
	Mailbox string
	UID     uint32
	ModSeq  int64
	Message string // id; empty for mail that was never accepted or sent here
	Blob    string
	Flags   string // space-separated, as IMAP writes them
	At      time.Time
	Size    int64
	Subject string // sealed
	Sender  string // sealed
}

// EnsureMailbox returns the account's mailbox of that name, made if missing.
func (tx *Tx) EnsureMailbox(account, name string) (Mailbox, error) {
	hash := tx.hash("mailbox", name)
	get := func() (Mailbox, error) {
		return first(tx, tx.readMailbox, `SELECT `+mailboxColumns+` FROM mailbox WHERE account = $1 AND name_hash = $2`, account, hash)
	}
	m, err := get()
	if !errors.Is(err, ErrNotFound) {
		return m, err
	}
	id := tx.NewID()
	// RFC 3501 §2.3.1.1: a mailbox made again under an old name must have a greater UIDVALIDITY; the time in seconds does.
	if _, err := tx.exec(`INSERT INTO mailbox (id, account, name, name_hash, uidvalidity, uidnext, modseq) VALUES ($1, $2, $3, $4, $5, 1, 0)
		ON CONFLICT (account, name_hash) DO NOTHING`,
		id, account, tx.s.box.Seal("mailbox.name", id, []byte(name)), hash, int64(uint32(tx.now.Unix()))); err != nil {
		return m, err
	}
	return get()
}

const mailboxColumns = `id, account, name, uidvalidity, uidnext, modseq`

func (tx *Tx) readMailbox(scan scanner) (m Mailbox, err error) {
	var name []byte
	if err := scan(&m.ID, &m.Account, &name, &m.UIDValidity, &m.UIDNext, &m.ModSeq); err != nil {
		return m, err
	}
	m.Name, err = tx.open("mailbox.name", m.ID, name)
	return m, err
}

// Mailboxes lists those of an account.
func (tx *Tx) Mailboxes(account string) ([]Mailbox, error) {
	return all(tx, tx.readMailbox, `SELECT `+mailboxColumns+` FROM mailbox WHERE account = $1 ORDER BY id`, account)
}

// AppendMail gives m the next UID of its mailbox and adds it: once per mailbox and message. If it is there already, m gets the UID it has
// and nothing changes; fresh is false then.
func (tx *Tx) AppendMail(m *Mail) (fresh bool, err error) {
	if m.At.IsZero() {
		m.At = tx.now
	}
	if there, err := tx.mailOf(m); there || err != nil {
		return false, err
	}
	var next int64
	if err := tx.one(`UPDATE mailbox SET uidnext = uidnext + 1, modseq = modseq + 1 WHERE id = $1 RETURNING uidnext, modseq`,
		[]any{m.Mailbox}, &next, &m.ModSeq); err != nil {
		return false, err
	}
	m.UID = uint32(next - 1)
	row := m.row()
	n, err := tx.exec(`INSERT INTO mail (mailbox, uid, modseq, message, blob, flags, internal_at, size, subject, sender)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (mailbox, message) DO NOTHING`,
		m.Mailbox, int64(m.UID), m.ModSeq, nullText(m.Message), m.Blob, m.Flags, msec(m.At), m.Size,
		tx.seal("mail.subject", row, m.Subject), tx.seal("mail.sender", row, m.Sender))
	if err != nil || n == 1 {
		return n == 1, err
	}
	_, err = tx.mailOf(m) // another node was quicker: the UID taken above stays unused, which IMAP allows
	return false, err
}

// mailOf looks for m's message in m's mailbox and takes over its UID.
func (tx *Tx) mailOf(m *Mail) (there bool, err error) {
	if m.Message == "" {
		return false, nil
	}
	err = tx.one(`SELECT uid, modseq FROM mail WHERE mailbox = $1 AND message = $2`, []any{m.Mailbox, m.Message}, &m.UID, &m.ModSeq)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// row names m for its sealed columns.
func (m *Mail) row() string { return m.Mailbox + "/" + strconv.FormatUint(uint64(m.UID), 10) }

const mailColumns = `mailbox, uid, modseq, COALESCE(message, ''), blob, flags, internal_at, size, subject, sender`

func (tx *Tx) readMail(scan scanner) (m Mail, err error) {
	var at int64
	var subject, sender []byte
	if err := scan(&m.Mailbox, &m.UID, &m.ModSeq, &m.Message, &m.Blob, &m.Flags, &at, &m.Size, &subject, &sender); err != nil {
		return m, err
	}
	m.At = when(at)
	if m.Subject, err = tx.open("mail.subject", m.row(), subject); err != nil {
		return m, err
	}
	m.Sender, err = tx.open("mail.sender", m.row(), sender)
	return m, err
}

// ListMail lists mail with a UID above after, lowest first, at most limit (0 = 100).
func (tx *Tx) ListMail(mailbox string, after uint32, limit int) ([]Mail, error) {
	if limit <= 0 {
		limit = 100
	}
	return all(tx, tx.readMail, `SELECT `+mailColumns+` FROM mail WHERE mailbox = $1 AND uid > $2 ORDER BY uid LIMIT $3`,
		mailbox, int64(after), int64(limit))
}

// Mail reads one. ErrNotFound.
func (tx *Tx) Mail(mailbox string, uid uint32) (Mail, error) {
	return first(tx, tx.readMail, `SELECT `+mailColumns+` FROM mail WHERE mailbox = $1 AND uid = $2`, mailbox, int64(uid))
}
