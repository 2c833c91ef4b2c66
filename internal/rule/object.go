package rule

import (
	"fmt"
	"slices"
	"strings"

	"carepost/addr"
	"carepost/internal/transit"
)

// Objection is why a rule does not let a message pass to one recipient: what its sender is told. The zero one is none.
type Objection struct {
	Code   string `json:"code,omitempty"` // RFC 3463
	Clause string `json:"clause,omitempty"`
	Reason string `json:"reason,omitempty"` // without addresses
	Remedy string `json:"remedy,omitempty"` // may name the address that takes more
}

// IsZero says that nothing speaks against it.
func (o Objection) IsZero() bool { return o.Code == "" }

// Asks says that a rule speaks of what is in a message: who judges it needs its Content.
func (r Rule) Asks() bool { return r.demands() || len(r.Watch)+len(r.Prohibit) > 0 }

// demands says that a message is refused for what is in it.
func (r Rule) demands() bool { return r.Accept != nil || r.Readable != nil && *r.Readable }

// Holds says that a person is to release a message, and why: one line, nothing of what is in it. What cannot be looked through is held where
// something is watched for.
func (r Rule) Holds(c Content) (why string, holds bool) {
	if r.Hold != nil && *r.Hold {
		return "a rule holds all such mail", true
	}
	switch {
	case len(r.Watch) > 0 && c.Unclear != "":
		return "what is in it cannot be told: " + c.Unclear, true
	case len(r.Watch) > 0 && c.TooLong:
		return "its texts are too long to be looked through", true
	}
	for i, w := range r.Watch {
		if slices.Contains(c.Watched, w) {
			return fmt.Sprintf("a rule watches for what it holds (expression %d)", i+1), true
		}
	}
	return "", false
}

// Object decides whether a message may pass to the recipient to; c says what it holds, of which Size is enough where the rule Asks for no
// more. The first demand that is not met is the one that is told.
func (r Rule) Object(d transit.Direction, to addr.Address, c Content) Objection {
	switch {
	case r.Refuse != "":
		return Objection{"5.7.1", "RFC 3463 §3.8", "the operator of the " + side(d) + " lets no such mail pass: " + r.Refuse,
			r.remedy(to, "ask the operator of the "+side(d)+".")}
	case r.Size > 0 && c.Size > r.Size:
		return Objection{"5.2.3", "RFC 3463 §3.3", fmt.Sprintf("the message has %s, and the most that %s is %s", octets(c.Size), takes(d), octets(r.Size)),
			r.remedy(to, "send less at a time.")}
	case r.demands() && c.Unclear != "":
		return Objection{"5.6.0", "Direct 2.1", "what is in the message cannot be told: " + c.Unclear, r.remedy(to, "send it in a simpler form.")}
	case r.Accept != nil && len(r.foreign(c)) > 0:
		return Objection{"5.6.1", "Direct 2.1", fmt.Sprintf("the message holds %s; what %s is %s", list(r.foreign(c), "and"), takes(d), list(r.Accept, "or")),
			r.remedy(to, "send what is taken alone, or in another form.")}
	case r.Readable != nil && *r.Readable && len(c.Structured) > 0 && !c.Readable:
		return Objection{"5.6.0", "Direct 2.1", "the message holds " + list(c.Structured, "and") + ", which programs read, and nothing that people can read",
			r.remedy(to, "send the same with it as text or PDF.")}
	}
	return r.prohibited(to, c)
}

// prohibited objects to what must not stand in a mail (PS3.15 B.8 note 2): one line, nothing of what is in it.
func (r Rule) prohibited(to addr.Address, c Content) Objection {
	const clause = "PS3.15 B.8"
	if len(r.Prohibit) > 0 && (c.Unclear != "" || c.TooLong) {
		return Objection{"5.7.1", clause, "the message cannot be looked through for what must not stand in it", r.remedy(to, "send it in a simpler form, with a shorter text.")}
	}
	for i, w := range r.Prohibit {
		if slices.Contains(c.Watched, w) {
			return Objection{"5.7.1", clause, fmt.Sprintf("its subject or text holds what must not stand there (expression %d)", i+1),
				r.remedy(to, "leave it out of subject and text; what stands in an attachment is not looked at.")}
		}
	}
	return Objection{}
}

// remedy names the address that takes more beside what can be done otherwise.
func (r Rule) remedy(to addr.Address, otherwise string) string {
	if r.Instead.IsZero() || r.Instead.Equal(to) {
		return otherwise
	}
	return "send it to " + r.Instead.String() + ", which takes more; or " + otherwise
}

// foreign are the types in a message that are not accepted.
func (r Rule) foreign(c Content) (out []string) {
	for _, kind := range c.Types {
		if !slices.ContainsFunc(r.Accept, func(pattern string) bool { return matches(pattern, kind) }) {
			out = append(out, kind)
		}
	}
	return out
}

// matches compares a media type with one, or with all of a kind: "image/*".
func matches(pattern, kind string) bool {
	if all, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(kind, all)
	}
	return pattern == kind
}

func side(d transit.Direction) string {
	if d == transit.Outbound {
		return "sender's side"
	}
	return "recipient's side"
}

func takes(d transit.Direction) string {
	if d == transit.Outbound {
		return "may be sent from here to this address"
	}
	return "this address takes"
}

// maxListed is how many types a reason names.
const maxListed = 10

// list names things: "a, b and c".
func list(all []string, last string) string {
	if n := len(all) - maxListed; n > 0 {
		all = append(slices.Clone(all[:maxListed]), fmt.Sprintf("%d more", n))
	}
	if len(all) < 2 {
		return strings.Join(all, "")
	}
	return strings.Join(all[:len(all)-1], ", ") + " " + last + " " + all[len(all)-1]
}

// octets tells a size as a rule is written: "25 MB", "1.3 GB".
func octets(n int64) string {
	for _, u := range []struct {
		name string
		is   int64
	}{{"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}} {
		switch {
		case n >= u.is && n%u.is == 0:
			return fmt.Sprintf("%d %s", n/u.is, u.name)
		case n >= u.is:
			return fmt.Sprintf("%.1f %s", float64(n)/float64(u.is), u.name)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}
