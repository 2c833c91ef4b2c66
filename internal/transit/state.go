package transit

import "fmt"

// State of a message for one recipient, on our side of the wire.
type State string

// States of an outbound recipient.
const (
	Accepted  State = "accepted"  // ours: durable, not yet decided
	Sealed    State = "sealed"    // trusted; sealed bytes are durable and queued
	Sent      State = "sent"      // the next server said 250
	Processed State = "processed" // the other side's STA asserts Direct 3.2: received, trusted, taken over. Not: delivered
	Failed    State = "failed"    // the sender has been told
)

// States of an inbound recipient; Accepted and Failed are shared.
const (
	Opened  State = "opened"  // decrypted, verified, trusted, in the mailbox; the processed notice is owed
	Aside   State = "aside"   // not trusted: set aside, audited, never answered (Direct 3)
	Settled State = "settled" // the processed notice has left for the queue; for a report: taken note of
)

// Event moves a recipient from one State to the next.
type Event string

const (
	Seal      Event = "seal"      // outbound: trusted and sealed
	Refuse    Event = "refuse"    // outbound: no certificate, or none that may be trusted
	HandOver  Event = "hand-over" // the next server took it
	Reject    Event = "reject"    // the next server refused it for good
	Expire    Event = "expire"    // its time in the queue is over, or no notice came in time
	Cancel    Event = "cancel"    // outbound: the operator has taken it off the queue
	Confirm   Event = "confirm"   // a processed MDN came
	Fail      Event = "fail"      // a failed MDN or DSN came
	Trust     Event = "trust"     // inbound: trusted and stored
	Distrust  Event = "distrust"  // inbound: not trusted
	Discharge Event = "discharge" // inbound: the notice owed is on its way, or none is
	TakeNote  Event = "take-note" // inbound: a report did its work
)

// next is the one table of legal moves: a move that is not here cannot be made.
var next = map[State]map[Event]State{
	Accepted: {Seal: Sealed, Refuse: Failed, Expire: Failed, Cancel: Failed, Trust: Opened, Distrust: Aside, TakeNote: Settled},
	// A notice may overtake the reply to our own final dot, or come although that reply was lost.
	Sealed:    {HandOver: Sent, Reject: Failed, Expire: Failed, Cancel: Failed, Confirm: Processed, Fail: Failed},
	Sent:      {Confirm: Processed, Fail: Failed, Expire: Failed},
	Processed: {Fail: Failed},
	Opened:    {Discharge: Settled},
}

// Next returns the state that e leads to, or an error that names the illegal move.
func (s State) Next(e Event) (State, error) {
	if to, ok := next[s][e]; ok {
		return to, nil
	}
	return s, fmt.Errorf("transit: no move %q from %q", e, s)
}

// Final says that no further event is awaited from anyone.
func (s State) Final() bool {
	switch s {
	case Failed, Aside, Settled:
		return true
	}
	return false
}
