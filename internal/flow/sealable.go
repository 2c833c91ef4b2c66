package flow

import (
	"context"
	"errors"
	"time"

	"carepost/addr"
	"carepost/internal/agent"
	"carepost/internal/rule"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/trust"
)

// askTime bounds how long it is looked whether a message could be sealed for somebody: a mail server waits for the answer.
const askTime = time.Minute

// errUndecided says that there is no answer yet.
var errUndecided = errors.New("flow: there is no answer yet")

// Sealable says whether a message could be sealed by one of our accounts for a recipient now: nil is yes, *Refusal is no, every other error is no
// answer yet. Nothing is promised by it: what is submitted is decided about anew.
func (f *Flow) Sealable(ctx context.Context, from, to addr.Address) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	theirs := to
	if err := f.Store.View(ctx, func(tx *store.Tx) (err error) { theirs, _, err = home(tx, to); return err }); err != nil {
		return err
	}
	says := f.Rules.Of(from, theirs, transit.Outbound)
	if o := (rule.Rule{Refuse: says.Refuse, Instead: says.Instead}).Object(transit.Outbound, to, rule.Content{}); !o.IsZero() {
		return &Refusal{o.Clause, o.Reason}
	}
	if f.form(from, transit.Outbound, to) == rule.Plain {
		return nil // what may go there is for the message to show
	}
	party, err := f.party(ctx, from, transit.Outbound)
	if err != nil {
		return err
	}
	party = f.of(party, from, transit.Outbound, to)
	d := f.agent.Outbound(ctx, party, agent.Outgoing{To: []addr.Address{to}, Named: []addr.Address{to}, Now: f.Clock()})
	switch v := d.Recipients[0].Verdict; v.Status {
	case trust.Trusted:
		return nil
	case trust.Refused:
		return &Refusal{v.Clause, v.Reason}
	}
	return errUndecided
}
