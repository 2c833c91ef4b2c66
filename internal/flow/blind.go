package flow

import (
	"carepost/addr"
	"carepost/internal/agent"
	"carepost/trust"
)

// blindReader is whom a group's copy is a blind one for. Whom a message does not name gets a copy of his own that says so, by a Bcc field with
// nobody else in it (RFC 5322 §3.6.3, DIR-10): he sees that the others do not know, before he answers them all. Nobody else's copy has one.
func blindReader(g agent.Group) (a addr.Address) {
	if g.Blind {
		return g.To[0] // who is alone in it
	}
	return a
}

func blindWords(g agent.Group) string {
	if !g.Blind {
		return ""
	}
	return "as a blind copy, sealed apart, which says so"
}

// refusalCode is the enhanced code of a recipient who is refused: for want of trust, or by what is asked of messages.
func refusalCode(v trust.Verdict) string {
	if v.Clause == "Direct 2.2" {
		return "5.7.1" // RFC 3463 §3.8: not authorized
	}
	return "5.7.5"
}
