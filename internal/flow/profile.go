package flow

import (
	"context"

	"carepost/addr"
	"carepost/internal/agent"
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
	return f.rules().Under(agent.Widest(all[0], all[1:]...))
}

// byProfile asks the agent about everybody who waits, once for each profile that there is: what is decided and sealed by one has nothing to do
// with the others.
func (f *Flow) byProfile(ctx context.Context, party agent.Party, m *outgoing, o agent.Outgoing) (all agent.Decision) {
	all.Recipients = make([]agent.Judged, len(m.waiting))
	rows := map[trust.Policy][]int{} // of m.waiting
	for i, r := range m.waiting {
		p := f.profile(m.Envelope.From.Address, transit.Outbound, r.Address)
		rows[p] = append(rows[p], i)
	}
	for _, p := range []trust.Policy{trust.V12, trust.V13, trust.Lenient} {
		if len(rows[p]) == 0 {
			continue
		}
		o.To = nil
		for _, i := range rows[p] {
			o.To = append(o.To, m.waiting[i].Address)
		}
		d := f.agent.Outbound(ctx, party.Under(p), o)
		for n, i := range rows[p] {
			all.Recipients[i] = d.Recipients[n]
		}
		all.Groups = append(all.Groups, d.Groups...)
	}
	return all
}
