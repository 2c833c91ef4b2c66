package store

import (
	"time"

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
	Dedupe    []byte    // a repeat has the same; nil = never a repeat. At most 64 bytes
	Received  time.Time // now when zero
	Expires   time.Time // zero = never
}

// InsertMessage adds m with State Received. A second message with the same Dedupe is *Duplicate with the id of the first.
func (tx *Tx) InsertMessage(m *Message) error { panic("unimplemented") }

// Message reads one. ErrNotFound.
func (tx *Tx) Message(id string) (Message, error) { panic("unimplemented") }

// SetMessageHeader replaces the sealed header of a message.
func (tx *Tx) SetMessageHeader(id string, h Header) error { panic("unimplemented") }

// SetMessageWork names the blob that holds the opened message.
func (tx *Tx) SetMessageWork(id, blob string) error { panic("unimplemented") }

// SetMessageState moves a message from the given version to another stage and notes the event. ErrConflict if the version is old.
func (tx *Tx) SetMessageState(id string, version int64, to Stage, cause string) error {
	panic("unimplemented")
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

// Timeline lists what happened to a message, oldest first, beginning with its acceptance.
func (tx *Tx) Timeline(message string) ([]Event, error) { panic("unimplemented") }
