package store

import (
	"time"

	"carepost/addr"
	"carepost/internal/transit"
)

// Recipient is one address that a message is for, and how far it has come.
type Recipient struct {
	ID       string // made by InsertRecipient when empty
	Message  string
	Address  addr.Address // sealed; its domain is in clear
	State    transit.State
	Version  int64  // counts changes of State
	Delivery string // outbound: the sealed message that carries it; empty until sealed
	Attempts int    // to hand over
	Code     int    // last SMTP code
	Text     string // last answer; sealed
	// When a state was reached; zero = never. Deadline is when a missing notice becomes a failure.
	Sent, Processed, Dispatched, Failed, Deadline time.Time
}

// InsertRecipient adds r; an empty State is transit.Accepted. An address that the message has already is *Duplicate.
func (tx *Tx) InsertRecipient(r *Recipient) error {
	if r.ID == "" {
		r.ID = tx.NewID()
	}
	if r.State == "" {
		r.State = transit.Accepted
	}
	tx.ord++
	// Of this message alone: whoever reads the table does not see which messages are for one person.
	hash := tx.hash("recipient", r.Message+"/"+r.Address.Key())
	return tx.insert(`INSERT INTO recipient
		(id, message, ord, addr, addr_hash, domain, state, state_ver, delivery, attempts, last_code, last_text, deadline_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, 0, 0, NULL, $9) ON CONFLICT (message, addr_hash) DO NOTHING`,
		[]any{r.ID, r.Message, tx.ord, tx.seal("recipient.addr", r.ID, r.Address.String()), hash, r.Address.Domain.String(),
			string(r.State), nullText(r.Delivery), nullable(r.Deadline)},
		`SELECT id FROM recipient WHERE message = $1 AND addr_hash = $2`, r.Message, hash)
}

const recipientColumns = `id, message, addr, state, state_ver, COALESCE(delivery, ''), attempts, last_code, last_text, COALESCE(sent_at, 0),
	COALESCE(processed_at, 0), COALESCE(dispatched_at, 0), COALESCE(failed_at, 0), COALESCE(deadline_at, 0)`

func (tx *Tx) readRecipient(scan scanner) (r Recipient, err error) {
	var address, text []byte
	var sent, processed, dispatched, failed, deadline int64
	if err := scan(&r.ID, &r.Message, &address, &r.State, &r.Version, &r.Delivery, &r.Attempts, &r.Code, &text, &sent,
		&processed, &dispatched, &failed, &deadline); err != nil {
		return r, err
	}
	r.Sent, r.Processed, r.Dispatched, r.Failed, r.Deadline = when(sent), when(processed), when(dispatched), when(failed), when(deadline)
	if r.Address, err = tx.openAddress("recipient.addr", r.ID, address); err != nil {
		return r, err
	}
	r.Text, err = tx.open("recipient.last_text", r.ID, text)
	return r, err
}

func (tx *Tx) openAddress(column, row string, sealed []byte) (a addr.Address, err error) {
	text, err := tx.open(column, row, sealed)
	if err != nil {
		return a, err
	}
	return a, a.UnmarshalText([]byte(text))
}

// Recipient reads one. ErrNotFound.
func (tx *Tx) Recipient(id string) (Recipient, error) {
	return first(tx, tx.readRecipient, `SELECT `+recipientColumns+` FROM recipient WHERE id = $1`, id)
}

// Recipients lists those of a message, in the order of insertion.
func (tx *Tx) Recipients(message string) ([]Recipient, error) {
	return all(tx, tx.readRecipient, `SELECT `+recipientColumns+` FROM recipient WHERE message = $1 ORDER BY ord, id`, message)
}

// RecipientsOf lists those that a delivery carries.
func (tx *Tx) RecipientsOf(delivery string) ([]Recipient, error) {
	return all(tx, tx.readRecipient, `SELECT `+recipientColumns+` FROM recipient WHERE delivery = $1 ORDER BY ord, id`, delivery)
}

// Move is a change of a recipient's state. The caller has asked transit.State.Next whether it is legal.
type Move struct {
	To transit.State
	// Of and From are the recipient's message and state at that version, where the caller has them at hand.
	Of   string
	From transit.State

	Cause  string // for the timeline: few words of ours or a clause; no content, no addresses
	Detail string // for the timeline, sealed: evidence, a server's answer
}

// MoveRecipient makes m if the recipient is still at that version, notes the time of the new state and the event.
// ErrConflict otherwise.
func (tx *Tx) MoveRecipient(id string, version int64, m Move) error {
	if m.Of == "" || m.From == "" {
		if err := tx.one(`SELECT message, state FROM recipient WHERE id = $1`, []any{id}, &m.Of, &m.From); err != nil {
			return err
		}
	}
	var sent, processed, failed any
	switch m.To {
	case transit.Sent:
		sent = msec(tx.now)
	case transit.Processed:
		processed = msec(tx.now)
	case transit.Failed:
		failed = msec(tx.now)
	}
	n, err := tx.exec(`UPDATE recipient SET state = $3, state_ver = state_ver + 1, sent_at = COALESCE(sent_at, $4),
		processed_at = COALESCE(processed_at, $5), failed_at = COALESCE(failed_at, $6) WHERE id = $1 AND state_ver = $2`,
		id, version, string(m.To), sent, processed, failed)
	if err := changed(n, err, ErrConflict); err != nil {
		return err
	}
	return tx.note(m.Of, id, string(m.From), string(m.To), m.Cause, m.Detail)
}

// NoteAnswer counts an attempt to hand over and keeps the last answer, without a change of state.
func (tx *Tx) NoteAnswer(id string, a transit.Answer) error {
	text := a.Text
	if a.Enhanced != "" {
		text = a.Enhanced + " " + text
	}
	n, err := tx.exec(`UPDATE recipient SET attempts = attempts + 1, last_code = $2, last_text = $3 WHERE id = $1`,
		id, int64(a.Code), tx.seal("recipient.last_text", id, text))
	return changed(n, err, ErrNotFound)
}

// NoteDispatched keeps when a dispatched notice said that the recipient has the message at hand (the first one counts).
func (tx *Tx) NoteDispatched(id string) error {
	n, err := tx.exec(`UPDATE recipient SET dispatched_at = COALESCE(dispatched_at, $2) WHERE id = $1`, id, msec(tx.now))
	return changed(n, err, ErrNotFound)
}

// SetDeadline says when a missing notice becomes a failure.
func (tx *Tx) SetDeadline(id string, at time.Time) error {
	n, err := tx.exec(`UPDATE recipient SET deadline_at = $2 WHERE id = $1`, id, nullable(at))
	return changed(n, err, ErrNotFound)
}

// Delivery is one sealed message for one destination domain.
type Delivery struct {
	ID      string // made by InsertDelivery when empty
	Message string
	Domain  addr.Domain
	Blob    string // the sealed bytes, the same for every attempt
	Created time.Time
}

// InsertDelivery adds d and gives it to the recipients with these ids.
func (tx *Tx) InsertDelivery(d *Delivery, recipients ...string) error {
	if d.ID == "" {
		d.ID = tx.NewID()
	}
	if d.Created.IsZero() {
		d.Created = tx.now
	}
	if _, err := tx.exec(`INSERT INTO delivery (id, message, domain, blob, created_at) VALUES ($1, $2, $3, $4, $5)`,
		d.ID, d.Message, d.Domain.String(), d.Blob, msec(d.Created)); err != nil {
		return err
	}
	for _, r := range recipients {
		n, err := tx.exec(`UPDATE recipient SET delivery = $2 WHERE id = $1 AND message = $3`, r, d.ID, d.Message)
		if err := changed(n, err, ErrNotFound); err != nil {
			return err
		}
	}
	return nil
}

// Delivery reads one. ErrNotFound.
func (tx *Tx) Delivery(id string) (Delivery, error) {
	return first(tx, func(scan scanner) (d Delivery, err error) {
		var created int64
		err = scan(&d.ID, &d.Message, &d.Domain, &d.Blob, &created)
		d.Created = when(created)
		return d, err
	}, `SELECT id, message, domain, blob, created_at FROM delivery WHERE id = $1`, id)
}

// InsertNotice records that a notice of some kind ("processed", "failed", a DSN …) about a recipient has been made: message is the id of
// the notice. There is one per recipient and kind for ever: the second is *Duplicate with the id of the first notice.
func (tx *Tx) InsertNotice(recipient, kind, message string) error {
	return tx.insert(`INSERT INTO notice (recipient, kind, message, at) VALUES ($1, $2, $3, $4) ON CONFLICT (recipient, kind) DO NOTHING`,
		[]any{recipient, kind, message, msec(tx.now)},
		`SELECT message FROM notice WHERE recipient = $1 AND kind = $2`, recipient, kind)
}

// Token is a kind of word by which reports are matched to what they report on.
type Token string

const (
	ByMessageID  Token = "message-id"
	ByEnvelopeID Token = "envid"
	ByReturnPath Token = "return-path" // a reverse-path of ours, unique per delivery
)

// Correlate has Correlated find a recipient by value until expires. The value itself is not kept. Doing it twice is harmless.
func (tx *Tx) Correlate(t Token, value, recipient string, expires time.Time) error {
	_, err := tx.exec(`INSERT INTO correl (kind, token_hash, recipient, expires_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (kind, token_hash, recipient) DO UPDATE SET expires_at = excluded.expires_at`,
		string(t), tx.hash("correl", value), recipient, msec(expires))
	return err
}

// Correlated lists the recipients that value stands for; none is no error.
func (tx *Tx) Correlated(t Token, value string) ([]Recipient, error) {
	return all(tx, tx.readRecipient, `SELECT `+recipientColumns+` FROM recipient WHERE id IN
		(SELECT recipient FROM correl WHERE kind = $1 AND token_hash = $2 AND expires_at > $3) ORDER BY ord, id`,
		string(t), tx.hash("correl", value), msec(tx.now))
}
