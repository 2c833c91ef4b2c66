package flow

import (
	"context"
	"slices"

	"carepost/addr"
	"carepost/internal/agent"
	"carepost/internal/rule"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/trust"
)

// profile is the one by which mail between an address of ours and others is judged: what the rules of the operator say, else that of the
// installation. In the name of several others the strictest counts; of nobody known yet, what is said of everybody.
func (f *Flow) profile(ours addr.Address, d transit.Direction, theirs ...addr.Address) trust.Policy {
	if len(theirs) == 0 {
		theirs = []addr.Address{{}}
	}
	var all []trust.Policy
	for _, t := range theirs {
		p := f.Policy
		if said := f.Rules.Of(ours, t, d).Profile; said != nil {
			p = *said
		}
		all = append(all, p)
	}
	return agent.Strictest(all[0], all[1:]...)
}

// opens is by whose rules a message is opened for all who wait: by the profile that reads the most, of those that hold between them and the
// envelope's sender, whoever that is. What it reads and another would not is refused to the other when he judges it, by whom the signature binds.
// Without a reverse-path, as many send their reports, it is who stands in From outside: nobody vouches for either.
func (f *Flow) opens(a *arrival, raw transit.Body) agent.Party {
	var claimed []addr.Address
	if from := a.Envelope.From; !from.IsNull() {
		claimed = []addr.Address{from.Address}
	} else if h, err := readHeader(raw); err == nil {
		if from, err := h.Mailboxes("From"); err == nil && len(from) == 1 {
			claimed = []addr.Address{from[0].Address}
		}
	}
	var all []trust.Policy
	for _, r := range a.waiting {
		all = append(all, f.profile(a.home(r), transit.Inbound, claimed...))
	}
	party := f.rules().Under(agent.Widest(all[0], all[1:]...))
	party.SMIME = slices.ContainsFunc(a.waiting, func(r store.Recipient) bool { return f.form(a.home(r), transit.Inbound, claimed...) == rule.SMIME })
	return party
}

// byWay asks the agent about everybody who waits, once for each profile and form that there is.
func (f *Flow) byWay(ctx context.Context, party agent.Party, m *outgoing, o agent.Outgoing) (all agent.Decision) {
	all.Recipients = make([]agent.Judged, len(m.waiting))
	for _, w := range f.ways(m) {
		o.To = nil
		for _, i := range w.rows {
			o.To = append(o.To, m.waiting[i].Address)
		}
		party := party.Under(w.policy)
		party.SMIME = w.smime
		d := f.agent.Outbound(ctx, party, o)
		for n, i := range w.rows {
			all.Recipients[i] = d.Recipients[n]
		}
		all.Groups = append(all.Groups, d.Groups...)
	}
	return all
}
