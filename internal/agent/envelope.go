package agent

import (
	"slices"
	"strings"

	"carepost/addr"
	"carepost/message"
	"carepost/trust"
)

// What a profile makes of a message that does not do what is asked of it.
const (
	ignored = trust.Trusted   // nothing
	noted   = trust.Undecided // a finding: accepted, but worth knowing
	refused = trust.Refused
)

// demand is a row of the table of demands:
//
//	demand                        v1.2   v1.3     lenient  why
//	sender of the envelope        noted  refused  ignored  Direct 2.2: MAIL FROM is the From; v1.3: is the From or the Sender, MUST
//	reverse-path                  noted  refused  ignored  Direct 2.2: a letter has one; a report may come without (Direct 3.1.1: SHOULD NOT)
//	recipient of the envelope     noted  refused  ignored  Direct 2.2: RCPT TO is in To or Cc; v1.3: MUST
//	signed header                 noted  refused  ignored  Direct 2.4: messages are wrapped; v1.3: MUST. RFC 9788 does as well
//	fields of the header          noted  noted    ignored  Direct 2.2: From, To or Cc, Date, Message-ID
//
// All of it is about messages that come in. Of those that go out the third is asked, of each recipient; the others cannot fail, for what
// our own accounts submit is refused by every profile where they would. docs/operation.md has the table for operators; a test compares.
type demand struct {
	name   string
	clause string
	made   [3]trust.Status // by trust.V12, V13, Lenient
	wrong  string          // what is said of a message that does not do it; never an address
	met    func(in Arrival, rcpt addr.Address) bool
}

const wrapping = "signed header"

// named is the one demand that is made of outgoing messages too.
var named = demand{
	"recipient of the envelope", "Direct 2.2", [...]trust.Status{noted, refused, ignored},
	"the message names this recipient neither in To nor in Cc",
	func(in Arrival, rcpt addr.Address) bool {
		return slices.ContainsFunc(Named(in.Opened.Header), rcpt.Equal)
	},
}

var demands = [...]demand{
	{
		"sender of the envelope", "Direct 2.2", [...]trust.Status{noted, refused, ignored},
		"the envelope's sender is neither the From nor the Sender of the message",
		func(in Arrival, _ addr.Address) bool {
			return in.Envelope.From.IsNull() || slices.ContainsFunc(authors(in.Opened.Header), in.Envelope.From.Address.Equal)
		},
	},
	{
		"reverse-path", "Direct 2.2", [...]trust.Status{noted, refused, ignored},
		"the message is no report and comes without an envelope's sender",
		func(in Arrival, _ addr.Address) bool { return !in.Envelope.From.IsNull() || IsReport(in.Opened.Header) },
	},
	named,
	{
		wrapping, "Direct 2.4", [...]trust.Status{noted, refused, ignored},
		"the message is not wrapped: sender, recipients and subject are not signed",
		func(in Arrival, _ addr.Address) bool { return in.Opened.Wrapped || in.Opened.HeaderProtected },
	},
	{
		"fields of the header", "Direct 2.2", [...]trust.Status{noted, noted, ignored},
		"the header lacks From, To, Date or Message-ID, or what stands there cannot be read",
		func(in Arrival, _ addr.Address) bool { return len(Missing(in.Opened.Header)) == 0 },
	},
}

// of is what p makes of a message that does not meet d.
func (d demand) of(p trust.Policy) trust.Status {
	if int(p) >= len(d.made) {
		return refused
	}
	return d.made[p]
}

// makes is what p makes of a message that does not meet d. That it wraps its mail is asked of nobody who knows nothing of Direct.
func (p Party) makes(d demand) trust.Status {
	as := d.of(p.Policy)
	if p.SMIME && as == refused && d.name == wrapping {
		return noted
	}
	return as
}

func (d demand) check(as trust.Status) trust.Check {
	return trust.Check{Name: d.name, Status: as, Clause: d.clause, Evidence: d.wrong}
}

// authors are the addresses in From and Sender.
func authors(h message.Header) (out []addr.Address) {
	for _, field := range []string{"From", "Sender"} {
		boxes, err := h.Mailboxes(field)
		if err != nil || h.Count(field) > 1 { // RFC 5322 §3.6
			continue
		}
		for _, b := range boxes {
			out = append(out, b.Address)
		}
	}
	return out
}

// Addressed is j with what p makes of the envelope and the header of an arrival, for the one of its recipients that j is about (DIR-10,
// Direct 2.2). It only ever takes trust away.
func (p Party) Addressed(j Judged, in Arrival, rcpt addr.Address) Judged {
	var found []trust.Check
	for _, d := range demands {
		if as := p.makes(d); as != ignored && !d.met(in, rcpt) {
			found = append(found, d.check(as))
		}
	}
	return j.with(found, p.Policy)
}

// unnamed is what p makes of a recipient that an outgoing message does not name: the zero Verdict, with a finding perhaps, or a refusal.
func (p Party) unnamed() (v trust.Verdict) {
	as := p.makes(named)
	if as == ignored {
		return v
	}
	return Judged{}.with([]trust.Check{named.check(as)}, p.Policy).Verdict
}

// with adds what was found. Who is refused already stays refused for the reason that was found first.
func (j Judged) with(found []trust.Check, p trust.Policy) Judged {
	v := &j.Verdict
	v.Checks = slices.Concat(v.Checks, found) // others have the same verdict
	i := slices.IndexFunc(found, func(c trust.Check) bool { return c.Status == refused })
	if i >= 0 && v.Status != trust.Refused {
		v.Status, v.Clause, v.Reason = trust.Refused, found[i].Clause, found[i].Evidence+"; the profile "+profileName(p)+" asks for that"
	}
	return j
}

// Findings are what speaks against a message that was believed all the same, in words; empty where nothing does. That it does not name its
// recipient is left out: it has a line of its own.
func Findings(v trust.Verdict) string {
	var out []string
	for _, c := range v.Checks {
		if c.Status == noted && c.Clause != "" && slices.ContainsFunc(demands[:], func(d demand) bool { return d.name == c.Name && d.name != named.name }) {
			out = append(out, c.Evidence)
		}
	}
	return strings.Join(out, "; ")
}
