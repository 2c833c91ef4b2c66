package flow

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/dicom/fileset"
	"carepost/internal/agent"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/message"
	"carepost/smime"
	"carepost/trust"
)

func a(endpoint, domain string) addr.Address {
	return addr.Address{Endpoint: endpoint, Domain: addr.Domain(domain)}
}

// Repeats of a transmission differ in the Received field that our own listener puts in front: all of that field is left out, and
// nothing else (facts of storage: dedupe).
func TestTrace(t *testing.T) {
	for text, rest := range map[string]string{
		"Received: a\r\nReceived: b\r\n\r\nx":       "Received: b\r\n\r\nx",
		"received: a\r\n\tfolded\r\n more\r\nTo: b": "To: b",
		"From: a\r\nReceived: b":                    "From: a\r\nReceived: b",
		"Received-SPF: pass\r\n":                    "Received-SPF: pass\r\n",
		"Received: cut":                             "",
		"":                                          "",
		"R":                                         "R",
		"Received: " + strings.Repeat("x", 99) + "\n.": ".",
	} {
		var kept bytes.Buffer
		br := bufio.NewReaderSize(strings.NewReader(text), 16)
		if err := trace(&kept, br); err != nil {
			t.Fatal(err)
		}
		var left bytes.Buffer
		if _, err := left.ReadFrom(br); err != nil {
			t.Fatal(err)
		}
		if left.String() != rest || kept.String()+left.String() != text {
			t.Errorf("%.40q: left %q, want %q", text, left.String(), rest)
		}
	}
}

func TestOnce(t *testing.T) {
	got := once([]addr.Address{a("x", "h.example"), a("X", "h.example"), a("y", "h.example"), a("x", "i.example"), a("y", "h.example")})
	if fmt.Sprint(got) != fmt.Sprint([]addr.Address{a("x", "h.example"), a("y", "h.example"), a("x", "i.example")}) {
		t.Errorf("%v", got)
	}
}

func TestExpired(t *testing.T) {
	now := time.Now()
	for _, tc := range []struct {
		expires time.Time
		want    bool
	}{{time.Time{}, false}, {now, false}, {now.Add(-1), true}, {now.Add(time.Hour), false}} {
		if got := expired(store.Message{Expires: tc.expires}, now); got != tc.want {
			t.Errorf("%v: %v", tc.expires, got)
		}
	}
}

// Who was switched off while a message's time ran out tries for a while all the same.
func TestAwake(t *testing.T) {
	now := time.Now()
	f := New(Options{Clock: func() time.Time { return now }})
	old := store.Message{Expires: now.Add(-time.Hour)}
	f.allow(&old)
	if expired(old, now.Add(awake)) || !expired(old, now.Add(awake+1)) {
		t.Errorf("given up at %v after the start", old.Expires.Sub(now))
	}
	for _, m := range []store.Message{{}, {Expires: now.Add(time.Hour)}} {
		was := m.Expires
		if f.allow(&m); m.Expires != was {
			t.Errorf("%v became %v", was, m.Expires)
		}
	}
}

// The wait for the processed notice grows from half a second; it never jumps, and never ends.
func TestNoticeWait(t *testing.T) {
	last := time.Duration(0)
	for attempt := int64(-1); attempt < 100; attempt++ {
		d := noticeWait(attempt)
		if d < last || d > 15*time.Minute || last > 0 && d > 2*last {
			t.Errorf("attempt %d waits %v after %v", attempt, d, last)
		}
		last = d
	}
	if noticeWait(1) != 500*time.Millisecond || last != 15*time.Minute {
		t.Errorf("from %v to %v", noticeWait(1), last)
	}
}

// DIR-28. What is not signed cannot send our notices elsewhere.
func TestNoticeTo(t *testing.T) {
	const asks = "Disposition-Notification-To: desk@h.example, Desk@h.example\r\n"
	many := "Disposition-Notification-To: "
	for i := range 11 {
		many += fmt.Sprintf("x%d@victim.example,\r\n ", i)
	}
	many = strings.TrimRight(many, ", \r\n") + "\r\n"
	lab, none := addr.Path{Address: a("lab", "h.example")}, addr.Path{}
	for _, tc := range []struct {
		name, header string
		wrapped      bool
		from         addr.Path
		want         []addr.Address
	}{
		{"asked", asks, true, lab, []addr.Address{a("desk", "h.example")}},
		{"not asked", "", true, lab, []addr.Address{lab.Address}},
		{"null path, Sender", "Sender: boss@h.example\r\n", true, none, []addr.Address{a("boss", "h.example")}},
		{"null path, From", "", true, none, []addr.Address{a("lab", "h.example")}},
		{"unwrapped", asks, false, lab, []addr.Address{lab.Address}},
		{"unwrapped, null path", asks, false, none, []addr.Address{lab.Address}},
		{"too many", many, true, lab, []addr.Address{lab.Address}},
		{"too many, null path", many, true, none, []addr.Address{lab.Address}},
	} {
		h, err := message.ReadHeader(bufio.NewReader(strings.NewReader("From: lab@h.example\r\n"+tc.header+"\r\n")), message.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		got := noticeTo(&smime.Opened{Header: h, Wrapped: tc.wrapped}, transit.Envelope{From: tc.from}, lab.Address)
		if fmt.Sprint(got) != fmt.Sprint(tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
		if tc.wrapped { // RFC 9788 protects the field as well
			got = noticeTo(&smime.Opened{Header: h, HeaderProtected: true}, transit.Envelope{From: tc.from}, lab.Address)
			if fmt.Sprint(got) != fmt.Sprint(tc.want) {
				t.Errorf("%s, header protected: %v, want %v", tc.name, got, tc.want)
			}
		}
	}
}

// Whose word counts: the report came to the sender of the message, from the recipient's own side. DIR-22, DIR-29, ATT-34.
func TestMaySpeak(t *testing.T) {
	sender, of := a("desk", "north.example"), a("lab", "south.example")
	for _, tc := range []struct {
		name    string
		came    addr.Address // the report's recipient
		speaker addr.Address
		binding trust.Binding
		want    bool
	}{
		{"his organisation", sender, a("postmaster", "south.example"), trust.OrgBound, true},
		{"himself", sender, of, trust.AddressBound, true},
		{"his neighbour", sender, a("ward", "south.example"), trust.AddressBound, false},
		{"another organisation", sender, a("lab", "west.example"), trust.OrgBound, false},
		{"to another account", a("chief", "north.example"), of, trust.AddressBound, false},
		{"bound to nothing", sender, a("x", "west.example"), trust.Unbound, false},
	} {
		r := arrival{trusted: []store.Recipient{{ID: "1", Address: tc.came}},
			judged: map[string]agent.Judged{"1": {Address: tc.speaker, Verdict: trust.Verdict{Status: trust.Trusted, Binding: tc.binding}}}}
		if got := r.maySpeak(sender, of); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
	if (&arrival{}).maySpeak(sender, of) {
		t.Error("who is not trusted speaks")
	}
}

func TestLegible(t *testing.T) {
	for in, want := range map[string]string{
		"full":                       "full",
		"two\r\nlines":               "two\nlines",
		"\x1b[2Jbell\a\u009b1m":      "[2Jbell1m",
		strings.Repeat("x", 5000):    strings.Repeat("x", maxReason),
		strings.Repeat("é", 600)[1:]: "",
	} {
		if got := legible(in); want != "" && got != want || strings.ContainsAny(got, "\a\x1b\r") {
			t.Errorf("%.20q: %.40q", in, got)
		}
	}
}

// What servers said, and what follows: DIR-41, RFC 5321 §4.2.1, §4.5.4.1.
func TestMissed(t *testing.T) {
	now := time.Now()
	x, y, z := a("x", "h.example"), a("y", "h.example"), a("z", "h.example")
	o := transit.Outcome{At: []transit.Answer{{To: x, Result: transit.Delivered, Code: 250}, {To: y, Result: transit.Rejected, Code: 550, Enhanced: "5.1.1"}}}
	p := &parcel{message: store.Message{Expires: now.Add(time.Hour)}, recipients: []store.Recipient{{Address: x}, {Address: y}, {Address: z}}}
	failed, deferred := p.missed(o, now)
	if len(failed) != 1 || failed[0].recipient.Address != y || failed[0].event != transit.Reject || failed[0].code != "5.1.1" || deferred != "no answer" {
		t.Errorf("in time: %+v, %q", failed, deferred)
	}
	p.message.Expires = now.Add(-time.Hour)
	failed, deferred = p.missed(o, now)
	if len(failed) != 2 || failed[1].recipient.Address != z || failed[1].event != transit.Expire || failed[1].code != "4.4.7" || deferred != "" {
		t.Errorf("too late: %+v, %q", failed, deferred)
	}
	if failed, deferred := p.missed(transit.Outcome{}, now.Add(-2*time.Hour)); len(failed) != 0 || deferred == "" {
		t.Errorf("a transport that says nothing promises nothing: %+v, %q", failed, deferred)
	}
}

// The sender is told what is missing, and not more than he can read. DCM-33.
func TestFaults(t *testing.T) {
	r := &fileset.Report{}
	for i := range 60 {
		r.Missing = append(r.Missing, fmt.Sprint("I", i))
		r.Findings = append(r.Findings, fileset.Finding{Severity: fileset.Damage, Text: "damaged"}, fileset.Finding{Severity: fileset.Note, Text: "a note"})
	}
	text := faults(r)
	if !strings.Contains(text, "missing: I49") || strings.Contains(text, "I50") || !strings.Contains(text, "and 10 more missing") || strings.Contains(text, "a note") {
		t.Errorf("%s", text)
	}
	r.Missing = nil
	if n := strings.Count(faults(r), "\n"); n != 51 {
		t.Errorf("%d lines", n)
	}
}

func TestWords(t *testing.T) {
	if got := lines("a", "1", "b", "", "c", "3", "odd"); got != "a: 1\nc: 3" {
		t.Errorf("%q", got)
	}
	if plural(1)+plural(2)+plural(0) != "ss" {
		t.Error("plural")
	}
	if got := answerWords(transit.Answer{}); got != "no answer" {
		t.Errorf("%q", got)
	}
	if got := anchorWords(trust.Verdict{Reason: "no anchor"}); got != "no anchor" {
		t.Errorf("%q", got)
	}
	if fileSetWords(nil) != "" {
		t.Error("a file-set where there is none")
	}
}

// Every remedy is a sentence for the sender (Direct 3.3).
func TestRemedy(t *testing.T) {
	for _, x := range []failure{
		{event: transit.Refuse, clause: "Direct 2.3"}, {event: transit.Refuse, clause: "Direct 4.2"}, {event: transit.Expire},
		{event: transit.Reject, code: "5.1.1"}, {event: transit.Fail, code: "5.6.0"}, {},
	} {
		if s := remedy(x); len(s) < 10 || !strings.HasSuffix(s, ".") {
			t.Errorf("%+v: %q", x, s)
		}
	}
}
