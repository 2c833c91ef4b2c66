package agent_test

import (
	"os"
	"strings"
	"testing"

	"carepost/addr"
	"carepost/internal/agent"
	"carepost/internal/transit"
	"carepost/smime"
	"carepost/trust"
)

var policies = [...]trust.Policy{trust.V12, trust.V13, trust.Lenient}

// What each profile makes of an envelope that is not as the header: "n" notes it, "r" refuses it, "-" says nothing. DIR-09, DIR-10.
func TestAddressed(t *testing.T) {
	const (
		fields = "To: desk@north.example\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@h.example>"
		whole  = "From: lab@h.example\r\n" + fields
	)
	for _, tc := range []struct {
		name, from, rcpt, header string
		unwrapped                bool
		want                     string // v1.2, v1.3, lenient
	}{
		{"as it should be", "lab@h.example", "desk@north.example", whole, false, "---"},
		{"in other letters", "LAB@h.example", "DESK@north.example", whole, false, "---"},
		{"another From", "ward@h.example", "desk@north.example", whole, false, "nr-"},
		{"the Sender", "ward@h.example", "desk@north.example", whole + "\r\nSender: Ward <ward@h.example>", false, "---"},
		{"the From beside a Sender", "lab@h.example", "desk@north.example", whole + "\r\nSender: ward@h.example", false, "---"},
		{"neither", "x@h.example", "desk@north.example", whole + "\r\nSender: ward@h.example", false, "nr-"},
		{"a tag of the sender's", "lab+x@h.example", "desk@north.example", whole, false, "nr-"},
		{"two Sender fields", "ward@h.example", "desk@north.example", whole + "\r\nSender: ward@h.example\r\nSender: x@h.example", false, "nr-"},
		{"an unreadable Sender", "ward@h.example", "desk@north.example", whole + "\r\nSender: ward@@h", false, "nr-"},
		{"no reverse-path", "", "desk@north.example", whole, false, "nr-"},
		{"no reverse-path of a report", "", "desk@north.example", whole + "\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b", false, "---"},
		{"a report of another", "x@h.example", "desk@north.example", whole + "\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b", false, "nr-"},
		{"in Cc", "lab@h.example", "ward@north.example", whole + "\r\nCc: The ward <Ward@north.example>", false, "---"},
		{"in a group", "lab@h.example", "ward@north.example", whole + "\r\nCc: us: x@north.example, ward@north.example;", false, "---"},
		{"blind", "lab@h.example", "ward@north.example", whole, false, "nr-"},
		{"blind, as it says", "lab@h.example", "ward@north.example", whole + "\r\nBcc: ward@north.example", false, "nr-"},
		{"another tag", "lab@h.example", "desk+x@north.example", whole, false, "nr-"},
		{"the name alone", "lab@h.example", "ward@north.example", whole + "\r\nCc: \"ward@north.example\" <x@north.example>", false, "nr-"},
		{"an unreadable Cc", "lab@h.example", "ward@north.example", whole + "\r\nCc: ward@north.example, @@", false, "nr-"},
		{"unwrapped", "lab@h.example", "desk@north.example", whole, true, "nr-"},
		{"no date", "lab@h.example", "desk@north.example", strings.Replace(whole, "Date:", "X-Date:", 1), false, "nn-"},
		{"a bad date", "lab@h.example", "desk@north.example", strings.Replace(whole, "Sat,", "Some,", 1), false, "nn-"},
		{"no Message-ID", "lab@h.example", "desk@north.example", strings.Replace(whole, "Message-ID", "X-ID", 1), false, "nn-"},
		{"no date, blind", "lab@h.example", "ward@north.example", strings.Replace(whole, "Date:", "X-Date:", 1), false, "nr-"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in := agent.Arrival{Opened: &smime.Opened{Header: header(t, tc.header), Wrapped: !tc.unwrapped}}
			if tc.from != "" {
				in.Envelope = transit.Envelope{From: addr.Path{Address: at(t, tc.from)}}
			}
			for i, p := range policies {
				before := agent.Judged{Verdict: trust.Verdict{Status: trust.Trusted, Checks: make([]trust.Check, 1, 9)}}
				j := agent.Party{Policy: p}.Addressed(before, in, at(t, tc.rcpt))
				got := "-"
				switch {
				case j.Verdict.Status == trust.Refused && j.Verdict.Clause != "" && strings.Contains(j.Verdict.Reason, "; the profile v1.3 asks"):
					got = "r"
				case j.Verdict.Status == trust.Trusted && len(j.Verdict.Checks) > 1:
					got = "n"
				}
				if got != tc.want[i:i+1] {
					t.Errorf("policy %d: %s: %s %+v; want %s", p, j.Verdict.Status, j.Verdict.Reason, j.Verdict.Checks, tc.want[i:i+1])
				}
				if said := j.Verdict.Reason + agent.Findings(j.Verdict); strings.Contains(said, "@") {
					t.Errorf("an address in %q", said)
				}
				if before.Verdict.Checks[:2][1].Name != "" {
					t.Error("another's verdict is written to")
				}
			}
		})
	}
}

// It never gives trust.
func TestAddressedTakesOnly(t *testing.T) {
	in := agent.Arrival{Opened: &smime.Opened{Header: header(t, "From: lab@h.example")}}
	for _, p := range append(policies[:], 77) { // an unknown profile asks for the most
		for _, v := range []trust.Verdict{{Status: trust.Undecided, Reason: "no answer"}, {Status: trust.Refused, Clause: "Direct 4", Reason: "expired"}} {
			j := agent.Party{Policy: p}.Addressed(agent.Judged{Verdict: v}, in, at(t, "desk@north.example"))
			if j.Verdict.Status == trust.Trusted || v.Status == trust.Refused && j.Verdict.Reason != v.Reason {
				t.Errorf("policy %d: %s, %s", p, j.Verdict.Status, j.Verdict.Reason)
			}
			if p > trust.Lenient && j.Verdict.Status != trust.Refused {
				t.Errorf("policy %d: %s", p, j.Verdict.Status)
			}
		}
	}
}

// The table that operators read is the one that holds.
func TestTableOfDemands(t *testing.T) {
	page, err := os.ReadFile("../../docs/operation.md")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]string{}
	for line := range strings.Lines(string(page)) {
		if cells := strings.Split(line, "|"); len(cells) == 7 {
			found[strings.TrimSpace(cells[1])] = []string{strings.TrimSpace(cells[2]), strings.TrimSpace(cells[3]), strings.TrimSpace(cells[4])}
		}
	}
	n := 0
	for name, made := range agent.Demands() {
		n++
		for i, s := range made {
			want := map[trust.Status]string{trust.Undecided: "noted", trust.Refused: "refused", trust.Trusted: "ignored"}[s]
			if got := found[name]; len(got) != 3 || got[i] != want {
				t.Errorf("%s: the page says %v; of profile %d it is %s", name, got, i, want)
			}
		}
	}
	if n != 5 {
		t.Errorf("%d demands", n)
	}
}

// Of who is not named in an outgoing message: DIR-10.
func TestOutboundUnnamed(t *testing.T) {
	w := newWorld(t)
	w.publish(t, w.ca, "good.example")
	one, blind, strange := at(t, "one@good.example"), at(t, "blind@good.example"), at(t, "blind@strange.example")
	for _, p := range policies {
		w.party.Policy = p
		before := w.asked.Load()
		d := w.Outbound(t.Context(), w.party, agent.Outgoing{To: []addr.Address{one, blind, strange}, Named: []addr.Address{one}, Now: now})
		if d.Recipients[0].Verdict.Status != trust.Trusted || len(d.Recipients[0].Verdict.Checks) == 0 {
			t.Errorf("policy %d: the named one: %+v", p, d.Recipients[0].Verdict)
		}
		v := d.Recipients[1].Verdict
		switch p {
		case trust.V13:
			if v.Status != trust.Refused || v.Clause != "Direct 2.2" || len(d.Groups) != 1 || w.asked.Load() != before+1 || d.Recipients[2].Verdict.Clause != "Direct 2.2" {
				t.Errorf("v1.3: %s by %s, %d groups", v.Status, v.Clause, len(d.Groups))
			}
		default:
			last := v.Checks[len(v.Checks)-1]
			if v.Status != trust.Trusted || (last.Name == "recipient of the envelope") != (p == trust.V12) || d.Recipients[2].Verdict.Clause != "Direct 2.3" {
				t.Errorf("policy %d: %+v", p, v)
			}
			if len(d.Groups) != 2 || d.Groups[0].Blind || !d.Groups[1].Blind || len(d.Groups[1].To) != 1 || d.Groups[0].Policy != p {
				t.Errorf("policy %d: %+v", p, d.Groups)
			}
		}
	}
}
