package atna

import (
	"errors"
	"fmt"
	"slices"
)

// ErrIncomplete says that a message lacks what its kind must have.
var ErrIncomplete = errors.New("atna: not a message of PS3.15 A.5.3")

// demand is what A.5.3 asks of one kind of message.
type demand struct {
	clause    string
	actions   []Action
	types     bool   // EventTypeCode is mandatory
	requestor bool   // exactly one participant began it
	media     Code   // of exactly one participant, with its kind; zero: none
	roles     []Code // each of one participant at least
	objects   func(Object) bool
}

func patient(o Object) bool { return o.IDType == PatientNumber }

// demandOf is that of an event; false for what this package does not make.
func demandOf(id Code) (demand, bool) {
	d, ok := map[Code]demand{
		ApplicationActivity: {clause: "A.5.3.1", actions: []Action{Execute}, types: true, roles: []Code{Application}},
		AuditLogUsed:        {clause: "A.5.3.2", actions: []Action{Read}, requestor: true, objects: func(o Object) bool { return o.IDType == URIType }},
		Export: {clause: "A.5.3.4", actions: []Action{Read}, requestor: true, media: DestinationMedia,
			roles: []Code{SourceRole}, objects: patient},
		Import:      {clause: "A.5.3.5", actions: []Action{Create}, requestor: true, media: SourceMedia, roles: []Code{Destination}, objects: patient},
		Transferred: {clause: "A.5.3.7", actions: []Action{Create}, requestor: true, roles: []Code{SourceRole, Destination}, objects: patient},
		SecurityAlert: {clause: "A.5.3.11", actions: []Action{Execute}, types: true,
			objects: func(o Object) bool { return o.IDType == URIType || o.IDType == NodeID }},
		UserAuthentication: {clause: "A.5.3.12", actions: []Action{Execute}, types: true, requestor: true},
	}[id]
	return d, ok
}

// Check says what is missing of a message, as ErrIncomplete with the clause. What participants and objects are called it does not tell.
func (m Message) Check() error {
	d, known := demandOf(m.Event.ID)
	wrong := func(what string) error { return fmt.Errorf("%w: %s: %s", ErrIncomplete, d.clause, what) }
	requestors, media := 0, 0
	played := map[Code]bool{}
	for _, p := range m.Participants {
		if p.UserID == "" || (p.Place == "") != (p.PlaceType == 0) {
			return wrong("a participant without name, or a place without its kind")
		}
		if p.Requestor {
			requestors++
		}
		for _, r := range p.Roles {
			played[r] = true
		}
		if slices.Contains(p.Roles, d.media) && p.Media != nil && p.Media.Type != (Code{}) && !p.Requestor {
			media++
		}
	}
	switch {
	case !known:
		return fmt.Errorf("%w: event %s", ErrIncomplete, m.Event.ID.Value)
	case !slices.Contains(d.actions, m.Event.Action):
		return wrong("another action")
	case m.Event.At.IsZero():
		return wrong("no time")
	case m.Source.ID == "":
		return wrong("no audit source")
	case d.types && len(m.Event.Types) == 0:
		return wrong("no type")
	case len(m.Participants) == 0, d.requestor && requestors != 1:
		return wrong("not exactly one participant began it")
	case d.media != (Code{}) && media != 1:
		return wrong("not exactly one medium")
	}
	for _, r := range d.roles {
		if !played[r] {
			return wrong("nobody in the role of " + r.Meaning)
		}
	}
	return m.checkObjects(d, wrong)
}

func (m Message) checkObjects(d demand, wrong func(string) error) error {
	if d.objects != nil && !slices.ContainsFunc(m.Objects, d.objects) {
		return wrong("no object")
	}
	for _, o := range m.Objects {
		if o.ID == "" || o.IDType == (Code{}) {
			return wrong("an object without name")
		}
	}
	return nil
}
