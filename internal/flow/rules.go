package flow

import (
	"context"
	"fmt"
	"regexp"
	"slices"

	"carepost/addr"
	"carepost/internal/audit"
	"carepost/internal/rule"
	"carepost/internal/store"
	"carepost/internal/transit"
)

// objected is the failure of a recipient whom a rule keeps from a message.
func objected(r store.Recipient, e transit.Event, o rule.Objection) failure {
	return failure{r, e, o.Code, o.Clause, o.Reason, map[string]string{"remedy": o.Remedy}}
}

// exempt says that no rule speaks of a message: a notice of our own, which is owed whatever the operator thinks of the partner. What somebody
// has submitted is his letter, whatever he calls it.
func exempt(m store.Message) bool { return m.Kind == transit.Report && m.Dedupe == nil }

// obey takes out of those who wait whom the rules do not let have the message now: those whom it is refused to, and those for whom a person is
// to release it. They go no further until then.
func (f *Flow) obey(ctx context.Context, m *outgoing) (failed []failure, err error) {
	if exempt(m.Message) || len(m.waiting) == 0 {
		return nil, nil
	}
	homes, err := f.homes(ctx, m.waiting)
	if err != nil {
		return nil, err
	}
	var rules []rule.Rule
	for _, r := range m.waiting {
		rules = append(rules, f.Rules.Of(m.Envelope.From.Address, homes[r.ID], transit.Outbound))
	}
	content, err := lookFor(rules, m.body, m.Size)
	if err != nil {
		return nil, fmt.Errorf("flow: outbound: %w", err)
	}
	var pass, hold []store.Recipient
	whys := map[string]string{}
	for i, r := range m.waiting {
		why, holds := rules[i].Holds(content)
		switch o, w := rules[i].Object(transit.Outbound, r.Address, content), m.waiters[r.ID]; {
		case !o.IsZero():
			failed = append(failed, objected(r, transit.Refuse, o))
		case w.State == store.Waiting:
		case w.State == "" && holds:
			hold, whys[r.ID] = append(hold, r), why
		default:
			pass = append(pass, r)
		}
	}
	m.waiting = pass
	if len(hold) == 0 {
		return failed, nil
	}
	return failed, f.Store.Tx(ctx, func(tx *store.Tx) error {
		if err := unmoved(tx, hold); err != nil {
			return err
		}
		for _, r := range hold {
			if err := f.hold(tx, r, "", whys[r.ID]); err != nil {
				return err
			}
		}
		return nil
	})
}

// homes are the addresses by which rules speak of recipients: a tag leads to our own account, and nobody passes a rule by one.
func (f *Flow) homes(ctx context.Context, all []store.Recipient) (map[string]addr.Address, error) {
	out := make(map[string]addr.Address, len(all))
	err := f.Store.View(ctx, func(tx *store.Tx) (err error) {
		for _, r := range all {
			if out[r.ID] = r.Address; len(f.Rules) == 0 {
				continue
			}
			if out[r.ID], _, err = home(tx, r.Address); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("flow: outbound: %w", err)
	}
	return out, nil
}

// sized is what is known of a message that was looked into, or of which nothing but its size was asked.
func sized(c *rule.Content, size int64) rule.Content {
	if c == nil {
		return rule.Content{Size: size}
	}
	return *c
}

// lookFor reads of a message what rules ask for.
func lookFor(rules []rule.Rule, body transit.Body, size int64) (rule.Content, error) {
	asks := false
	var watch []*regexp.Regexp
	for _, r := range rules {
		asks = asks || r.Asks()
		for _, w := range slices.Concat(r.Watch, r.Prohibit) {
			if !slices.Contains(watch, w) {
				watch = append(watch, w)
			}
		}
	}
	if !asks {
		return rule.Content{Size: size}, nil
	}
	return rule.Look(body, size, watch...)
}

// look reads of an opened message what the rules of its recipients ask for.
func (f *Flow) look(a *arrival, body transit.Body) error {
	var rules []rule.Rule
	for _, r := range a.trusted {
		rules = append(rules, f.asked(a, r)...)
	}
	c, err := lookFor(rules, body, body.Size())
	if err != nil {
		return fmt.Errorf("flow: inbound: %w", err)
	}
	a.content = &c
	return nil
}

// asked is what the rules say of a recipient's mail from each of those in whose name it comes: who is kept out as the one does not get in
// as the other. Who stands in From need not be the envelope's sender.
func (f *Flow) asked(a *arrival, r store.Recipient) (out []rule.Rule) {
	for _, sender := range a.judged[r.ID].Senders {
		out = append(out, f.Rules.Of(a.home(r), sender, transit.Inbound))
	}
	return out
}

// objection is the first that one of them has.
func (f *Flow) objection(a *arrival, r store.Recipient) (o rule.Objection) {
	for _, says := range f.asked(a, r) {
		if o = says.Object(transit.Inbound, a.home(r), sized(a.content, a.opened.Size)); !o.IsZero() {
			return o
		}
	}
	return o
}

// holding says whether one of them wants a person to release it, and why.
func (f *Flow) holding(a *arrival, r store.Recipient) (why string, holds bool) {
	for _, says := range f.asked(a, r) {
		if why, holds = says.Holds(sized(a.content, a.opened.Size)); holds {
			return why, true
		}
	}
	return "", false
}

// isNews says that an arrival reports on mail of ours.
func (a *arrival) isNews() bool { return a.report && len(a.notes) > 0 }

// objections are those of the rules to an arrival, by recipient: with those of earlier rounds. News of our own mail are none of their business.
func (f *Flow) objections(a *arrival) map[string]rule.Objection {
	out := a.Header.Refused
	if a.isNews() {
		return out
	}
	for _, r := range a.trusted {
		o := f.objection(a, r)
		if o.IsZero() {
			continue
		}
		if out == nil {
			out = map[string]rule.Objection{}
		}
		out[r.ID] = o
	}
	return out
}

// refuse notes that a rule keeps an arrival from its recipient. The sender is told after the processed notice (Direct 2.1, 3.3).
func (f *Flow) refuse(tx *store.Tx, r store.Recipient, o rule.Objection) error {
	return audit.Write(tx, audit.Entry{Actor: actor, Action: "recipient.refuse", Object: "recipient:" + r.ID, Detail: map[string]string{
		"code": o.Code, "clause": o.Clause, "reason": o.Reason, "remedy": o.Remedy,
	}})
}
