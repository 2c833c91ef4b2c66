package transit

import "testing"

var allStates = []State{Accepted, Sealed, Sent, Relayed, Processed, Dispatched, Failed, Opened, Aside, Settled}
var allEvents = []Event{Seal, Refuse, HandOver, Relay, Reject, Expire, Overdue, Cancel, Confirm, Dispatch, Fail, Trust, Distrust, Discharge, TakeNote}

// What must never happen, whatever comes in which order. DIR-22, DIR-29, DIR-50.
func TestStates(t *testing.T) {
	for _, s := range allStates {
		for _, e := range allEvents {
			to, err := s.Next(e)
			switch {
			case err == nil && s.Final():
				t.Errorf("%q is final, but %q leads to %q", s, e, to)
			case err != nil && to != s:
				t.Errorf("a refused move from %q by %q changes the state to %q", s, e, to)
			case err == nil && to == Opened && (s != Accepted || e != Trust):
				t.Errorf("%q by %q shows a message that was not trusted", s, e)
			case err == nil && to == Processed && e != Confirm:
				t.Errorf("%q by %q says processed without a notice", s, e)
			case err == nil && to == Dispatched && (s != Processed || e != Dispatch):
				t.Errorf("%q by %q says delivered without both notices", s, e)
			case err == nil && e == Overdue && s != Sent && s != Processed:
				t.Errorf("%q waits for no notice, but one is overdue", s)
			case err == nil && s == Aside:
				t.Errorf("what was set aside comes back by %q", e)
			}
		}
	}
	if s, err := Sealed.Next(Confirm); err != nil || s != Processed {
		t.Error("a notice may overtake the reply to the final dot")
	}
	if s, err := Processed.Next(Fail); err != nil || s != Failed {
		t.Error("a failed notice may follow a processed one (Direct 3.3)")
	}
}

// Every run of events ends: no state is met twice.
func TestStatesEnd(t *testing.T) {
	var walk func(s State, seen map[State]bool)
	walk = func(s State, seen map[State]bool) {
		if seen[s] {
			t.Fatalf("%q is met twice", s)
		}
		seen[s] = true
		for _, e := range allEvents {
			if to, err := s.Next(e); err == nil {
				walk(to, seen)
			}
		}
		delete(seen, s)
	}
	walk(Accepted, map[State]bool{})
}

func TestZeroResultPromisesNothing(t *testing.T) {
	if (Answer{}).Result != Deferred {
		t.Error("the zero Answer must be tried again")
	}
}
