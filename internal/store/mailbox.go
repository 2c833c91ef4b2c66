package store

import "time"

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
func (tx *Tx) EnsureMailbox(account, name string) (Mailbox, error) { panic("unimplemented") }

// Mailboxes lists those of an account.
func (tx *Tx) Mailboxes(account string) ([]Mailbox, error) { panic("unimplemented") }

// AppendMail gives m the next UID of its mailbox and adds it: once per mailbox and message. If it is there already, m gets the UID it has
// and nothing changes; fresh is false then.
func (tx *Tx) AppendMail(m *Mail) (fresh bool, err error) { panic("unimplemented") }

// ListMail lists mail with a UID above after, lowest first, at most limit (0 = 100).
func (tx *Tx) ListMail(mailbox string, after uint32, limit int) ([]Mail, error) {
	panic("unimplemented")
}

// Mail reads one. ErrNotFound.
func (tx *Tx) Mail(mailbox string, uid uint32) (Mail, error) { panic("unimplemented") }
