package store

import (
	"net/netip"
	"time"

	"carepost/addr"
	"carepost/internal/rule"
	"carepost/internal/transit"
)

// Stage is how far a message as a whole has come; its recipients have states of their own.
type Stage string

const (
	Received Stage = "received" // durable, nothing decided
	Decided  Stage = "decided"  // sealed or opened, refused or set aside, for each recipient
	Closed   Stage = "closed"   // no recipient awaits anything
)

// Header is what lists show of a message and what reports are matched by. It is sealed; inbound it is known after opening only.
type Header struct {
	MessageID string    `json:"id,omitempty"` // with angle brackets
	Subject   string    `json:"subject,omitempty"`
	Sender    string    `json:"sender,omitempty"` // From, as shown to people
	Date      time.Time `json:"date,omitzero"`
	// NoticeTo is where the notices that are owed go, decided when the message was opened (Direct 3.2); inbound only.
	NoticeTo []addr.Address `json:"notice_to,omitempty"`
	// FinalDelivery says that the sender asks for a notice of the final delivery, Receipt that he asks to be told when it is read.
	FinalDelivery bool `json:"final_delivery,omitempty"`
	Receipt       bool `json:"receipt,omitempty"`
	// Refused are the recipients, by id, from whom a rule of ours keeps the message; inbound only.
	Refused map[string]rule.Objection `json:"refused,omitempty"`
	// SignFor are addresses that the signature must speak for besides the envelope's sender; outbound only.
	SignFor []addr.Address `json:"sign_for,omitempty"`
	// Attests is who answers for the disclosure of the File-set in it (PS3.15 B.8 d), as the audit names him; outbound only.
	Attests string `json:"attests,omitempty"`
	// Subjects are the patients and studies that it is about, as far as a file-set tells; nil: not looked for.
	Subjects *transit.Subjects `json:"subjects,omitempty"`
	// Named says that the sender takes it on himself that the subject names somebody whom it is about; outbound only.
	Named bool `json:"named,omitempty"`
	// Unprotected are the recipients, by id, who got it neither encrypted nor signed (STD-GEN-ZIP-MAIL).
	Unprotected []string `json:"unprotected,omitempty"`
	// Part says which part of a large set it is that came in several mails; inbound only.
	Part *MessagePart `json:"part,omitempty"`
	// Transfer is the id of the large set of which it is a part, where we have divided that; outbound only.
	Transfer string `json:"transfer,omitempty"`
}

// Message is one accepted message.
type Message struct {
	ID        string // made by InsertMessage when empty
	Direction transit.Direction
	Kind      transit.Kind
	Envelope  transit.Envelope // sealed; without To, which are the Recipients
	Header    Header           // sealed
	Size      int64            // bytes of Raw
	Raw       string           // blob: as accepted
	Work      string           // blob: opened (inbound); empty until then
	State     Stage
	Version   int64     // counts changes of State
	Dedupe    []byte    // a repeat has the same; nil = never a repeat
	Received  time.Time // now when zero
	Expires   time.Time // zero = never
}

// envelope is the stored form of a transit.Envelope.
type envelope struct {
	From addr.Address   `json:"from"` // empty: the null reverse-path
	ID   string         `json:"id,omitempty"`
	Peer netip.AddrPort `json:"peer,omitzero"`
	Helo string         `json:"helo,omitempty"`
	TLS  string         `json:"tls,omitempty"`

	Full   bool                    `json:"full,omitempty"`
	Wishes map[string]transit.Wish `json:"wishes,omitempty"` // by the keys of recipients
}

// InsertMessage adds m, in State Received when it has none. A second message with the same Dedupe is *Duplicate with the id of the
// first.
func (tx *Tx) InsertMessage(m *Message) error {
	if m.ID == "" {
		m.ID = tx.NewID()
	}
	if m.State == "" {
		m.State = Received
	}
	if m.Received.IsZero() {
		m.Received = tx.now
	}
	if len(m.Dedupe) == 0 {
		m.Dedupe = nil
	}
	env, err := tx.sealJSON("message.envelope", m.ID, envelope{
		From: m.Envelope.From.Address, ID: m.Envelope.ID, Peer: m.Envelope.Peer, Helo: m.Envelope.Helo, TLS: m.Envelope.TLS,
		Full: m.Envelope.Full, Wishes: m.Envelope.Wishes,
	})
	if err != nil {
		return err
	}
	head, err := tx.sealJSON("message.header", m.ID, m.Header)
	if err != nil {
		return err
	}
	return tx.insert(`INSERT INTO message
		(id, dir, kind, msgid_hash, envelope, header, size, blob_raw, blob_work, state, state_ver, events, dedupe_key, received_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, 0, $11, $12, $13) ON CONFLICT (dedupe_key) DO NOTHING`,
		[]any{m.ID, int64(m.Direction), int64(m.Kind), tx.messageIDHash(m.Header), env, head, m.Size, nullText(m.Raw), nullText(m.Work),
			string(m.State), m.Dedupe, msec(m.Received), nullable(m.Expires)},
		`SELECT id FROM message WHERE dedupe_key = $1`, m.Dedupe)
}

func (tx *Tx) messageIDHash(h Header) []byte {
	if h.MessageID == "" {
		return nil
	}
	return tx.hash("message-id", h.MessageID)
}

const messageColumns = `id, dir, kind, envelope, header, size, COALESCE(blob_raw, ''), COALESCE(blob_work, ''), state, state_ver,
	dedupe_key, received_at, COALESCE(expires_at, 0)`

func (tx *Tx) readMessage(scan scanner) (m Message, err error) {
	var env, head []byte
	var received, expires int64
	if err := scan(&m.ID, &m.Direction, &m.Kind, &env, &head, &m.Size, &m.Raw, &m.Work, &m.State, &m.Version,
		&m.Dedupe, &received, &expires); err != nil {
		return m, err
	}
	m.Received, m.Expires = when(received), when(expires)
	var e envelope
	if err := tx.openJSON("message.envelope", m.ID, env, &e); err != nil {
		return m, err
	}
	m.Envelope = transit.Envelope{From: addr.Path{Address: e.From}, ID: e.ID, Peer: e.Peer, Helo: e.Helo, TLS: e.TLS, Full: e.Full, Wishes: e.Wishes}
	return m, tx.openJSON("message.header", m.ID, head, &m.Header)
}

// Message reads one. ErrNotFound.
func (tx *Tx) Message(id string) (Message, error) {
	return first(tx, tx.readMessage, `SELECT `+messageColumns+` FROM message WHERE id = $1`, id)
}

// MessagesByHeaderID lists the messages with that Message-ID, oldest first.
func (tx *Tx) MessagesByHeaderID(messageID string) ([]Message, error) {
	return all(tx, tx.readMessage, `SELECT `+messageColumns+` FROM message WHERE msgid_hash = $1 ORDER BY id`, tx.hash("message-id", messageID))
}

// SetMessageHeader replaces the sealed header of a message. ErrNotFound.
func (tx *Tx) SetMessageHeader(id string, h Header) error {
	head, err := tx.sealJSON("message.header", id, h)
	if err != nil {
		return err
	}
	n, err := tx.exec(`UPDATE message SET header = $2, msgid_hash = $3 WHERE id = $1`, id, head, tx.messageIDHash(h))
	return changed(n, err, ErrNotFound)
}

// SetMessageWork names the blob that holds the opened message. ErrNotFound.
func (tx *Tx) SetMessageWork(id, blob string) error {
	n, err := tx.exec(`UPDATE message SET blob_work = $2 WHERE id = $1`, id, nullText(blob))
	return changed(n, err, ErrNotFound)
}

// SetMessageState moves a message from the given version to another stage and notes the event. ErrConflict if the version is old.
func (tx *Tx) SetMessageState(id string, version int64, to Stage, cause string) error {
	m := Message{ID: id, Version: version}
	if err := tx.one(`SELECT state FROM message WHERE id = $1`, []any{id}, &m.State); err != nil {
		return err
	}
	return tx.Advance(&m, to, cause)
}

// Advance moves m, as it was read, to another stage and notes the event. ErrConflict if it has changed since.
func (tx *Tx) Advance(m *Message, to Stage, cause string) error {
	var seq int64
	err := tx.one(`UPDATE message SET state = $3, state_ver = state_ver + 1, events = events + 1 WHERE id = $1 AND state_ver = $2 RETURNING events`,
		[]any{m.ID, m.Version, string(to)}, &seq)
	if isNone(err) {
		return ErrConflict
	}
	if err != nil {
		return err
	}
	from := m.State
	m.State, m.Version = to, m.Version+1
	return tx.event(m.ID, seq, "", string(from), string(to), cause, "")
}

// Event is one entry of a message's history.
type Event struct {
	Seq       int64 // 0 = the accepting itself
	At        time.Time
	Recipient string // id; empty = the message as a whole
	From, To  string // transit.State or Stage
	Cause     string // few words of ours or a clause: no content, no addresses
	Detail    string // sealed: evidence, a server's answer
}

// note adds an event. The counter in the message row gives events of concurrent transactions an order.
func (tx *Tx) note(message, recipient, from, to, cause, detail string) error {
	var seq int64
	if err := tx.one(`UPDATE message SET events = events + 1 WHERE id = $1 RETURNING events`, []any{message}, &seq); err != nil {
		return err
	}
	return tx.event(message, seq, recipient, from, to, cause, detail)
}

func (tx *Tx) event(message string, seq int64, recipient, from, to, cause, detail string) error {
	_, err := tx.exec(`INSERT INTO msg_event (message, seq, at, recipient, from_state, to_state, cause, detail)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		message, seq, msec(tx.now), nullText(recipient), from, to, cause, tx.seal("msg_event.detail", message, detail))
	return err
}

// Timeline lists what happened to a message, oldest first, beginning with its acceptance. ErrNotFound.
func (tx *Tx) Timeline(message string) ([]Event, error) {
	var received int64
	if err := tx.one(`SELECT received_at FROM message WHERE id = $1`, []any{message}, &received); err != nil {
		return nil, err
	}
	events, err := all(tx, func(scan scanner) (e Event, err error) {
		var at int64
		var detail []byte
		if err := scan(&e.Seq, &at, &e.Recipient, &e.From, &e.To, &e.Cause, &detail); err != nil {
			return e, err
		}
		e.At = when(at)
		e.Detail, err = tx.open("msg_event.detail", message, detail)
		return e, err
	}, `SELECT seq, at, COALESCE(recipient, ''), from_state, to_state, cause, detail FROM msg_event WHERE message = $1 ORDER BY seq`, message)
	return append([]Event{{At: when(received), To: string(Received), Cause: "accepted"}}, events...), err
}
