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

// InsertRecipient adds r; an empty State is transit.Accepted.
func (tx *Tx) InsertRecipient(r *Recipient) error { panic("unimplemented") }

// Recipient reads one. ErrNotFound.
func (tx *Tx) Recipient(id string) (Recipient, error) { panic("unimplemented") }

// Recipients lists those of a message, in the order of insertion.
func (tx *Tx) Recipients(message string) ([]Recipient, error) { panic("unimplemented") }

// RecipientsOf lists those that a delivery carries.
func (tx *Tx) RecipientsOf(delivery string) ([]Recipient, error) { panic("unimplemented") }

// Move is a change of a recipient's state. The caller has asked transit.State.Next whether it is legal.
type Move struct {
	To     transit.State
	Cause  string // for the timeline: few words of ours or a clause; no content, no addresses
	Detail string // for the timeline, sealed: evidence, a server's answer
}

// MoveRecipient makes m if the recipient is still at that version, notes the time of the new state and the event.
// ErrConflict otherwise.
func (tx *Tx) MoveRecipient(id string, version int64, m Move) error { panic("unimplemented") }

// NoteAnswer counts an attempt to hand over and keeps the last answer, without a change of state.
func (tx *Tx) NoteAnswer(id string, a transit.Answer) error { panic("unimplemented") }

// NoteDispatched keeps when a dispatched notice said that the recipient has the message at hand (the first one counts).
func (tx *Tx) NoteDispatched(id string) error { panic("unimplemented") }

// SetDeadline says when a missing notice becomes a failure.
func (tx *Tx) SetDeadline(id string, at time.Time) error { panic("unimplemented") }

// Delivery is one sealed message for one destination domain.
type Delivery struct {
	ID      string // made by InsertDelivery when empty
	Message string
	Domain  addr.Domain
	Blob    string // the sealed bytes, the same for every attempt
	Created time.Time
}

// InsertDelivery adds d and gives it to the recipients with these ids.
func (tx *Tx) InsertDelivery(d *Delivery, recipients ...string) error { panic("unimplemented") }

// Delivery reads one. ErrNotFound.
func (tx *Tx) Delivery(id string) (Delivery, error) { panic("unimplemented") }

// Notice records that a notice of some kind ("processed", "failed", a DSN …) about a recipient has been made: message is the id of
// the notice. There is one per recipient and kind for ever: the second is *Duplicate with the id of the first notice.
func (tx *Tx) InsertNotice(recipient, kind, message string) error { panic("unimplemented") }

// Token is a kind of word by which reports are matched to what they report on.
type Token string

const (
	ByMessageID  Token = "message-id"
	ByEnvelopeID Token = "envid"
	ByReturnPath Token = "return-path" // a reverse-path of ours, unique per delivery
)

// Correlate has Correlated find a recipient by value until expires. The value itself is not kept. Doing it twice is harmless.
func (tx *Tx) Correlate(t Token, value, recipient string, expires time.Time) error {
	panic("unimplemented")
}

// Correlated lists the recipients that value stands for; none is no error.
func (tx *Tx) Correlated(t Token, value string) ([]Recipient, error) { panic("unimplemented") }
