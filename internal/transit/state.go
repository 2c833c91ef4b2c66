package transit

import "fmt"

// State of a message for one recipient, on our side of the wire.
type State string

// States of an outbound recipient.
const (
	Accepted   State = "accepted"   // ours: durable, not yet decided
	Sealed     State = "sealed"     // trusted; sealed bytes are durable and queued
	Sent       State = "sent"       // the next server said 250; notices are awaited
	Relayed    State = "relayed"    // the next server said 250, and its side sends no notices (RFC 3464 §2.3.3): the end, as far as is known
	Processed  State = "processed"  // the other side's STA asserts Direct 3.2: received, trusted, taken over. Not: delivered
	Dispatched State = "dispatched" // and it asserts the final delivery, by the field that the delivery notification asks for
	Failed     State = "failed"     // the sender has been told
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
	HandOver  Event = "hand-over" // the next server took it, and its side will say more
	Relay     Event = "relay"     // the next server took it, and its side says nothing more
	Reject    Event = "reject"    // the next server refused it for good
	Expire    Event = "expire"    // its time in the queue is over
	Overdue   Event = "overdue"   // a notice that was awaited did not come in time
	Cancel    Event = "cancel"    // outbound: the operator has taken it off the queue
	Confirm   Event = "confirm"   // a processed MDN came
	Dispatch  Event = "dispatch"  // a dispatched MDN with the field of the final delivery came, and the processed one has come
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
	Sealed: {HandOver: Sent, Relay: Relayed, Reject: Failed, Expire: Failed, Cancel: Failed, Confirm: Processed, Fail: Failed},
	// Relay: the operator has said since that no notices are to be awaited.
	Sent: {Confirm: Processed, Fail: Failed, Overdue: Failed, Relay: Relayed},
	// Who sends no notices may send one all the same.
	Relayed: {Confirm: Processed, Fail: Failed},
	// Overdue: the message asked for a notice of the final delivery. Fail: Direct 3.3.
	Processed: {Dispatch: Dispatched, Fail: Failed, Overdue: Failed},
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
	case Failed, Dispatched, Aside, Settled:
		return true
	}
	return false
}
