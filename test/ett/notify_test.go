package ett

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"carepost/internal/gateway/gatewaytest"
)

// option asks for a notice of the final delivery.
const option = "Disposition-Notification-To: edge@north.example\nDisposition-Notification-Options: X-DIRECT-FINAL-DESTINATION-DELIVERY=optional,true"

// sending is a case in which the edge sends a message to recipients of the tool and is told of them.
type sending struct {
	name    string
	to      []string
	option  bool
	failed  map[string]string // recipient → when the edge is told that it failed: "at once", "after an hour"
	reached map[string]string // recipient → when it is told that it is delivered
	id      string
}

// the times at which the edge looks into its mailbox.
var times = []string{"at once", "after half an hour", "after an hour", "at last"}

// sendings are the cases of delivery notification with SMTP at the edge: facts §5d, MT; facts §5e; and the answerers of §5c.
func sendings() (all []*sending) {
	const now, hour = "at once", "after an hour"
	one := func(name, to string, option bool, failed string) {
		s := &sending{name: name, to: []string{to}, option: option}
		if failed != "" {
			s.failed = map[string]string{to: failed}
		}
		all = append(all, s)
	}
	one("MT1a_bad_address", "bad1@"+good, false, now)
	one("MT1a_bad_address_told_by_notice", "noaddressfailure9@"+good, false, now)
	one("MT2a_untrusted", "lab@"+untrusted, false, now)
	one("MT3a_no_certificate", "lab@"+nocert, false, now)
	one("MT4a_no_processed", "nomdn8@"+good, false, hour)
	one("processedonly5", "processedonly5@"+good, false, "")
	one("processedfailure", "processedfailure@"+good, false, now)
	one("MT23a_BadAddress", "bad1@"+good, true, now)
	one("MT24a_Untrusted", "lab@"+untrusted, true, now)
	one("MT25a_NoPublishedCertificate", "lab@"+nocert, true, now)
	one("MT26a_NoProcessedMDN", "nomdn8@"+good, true, hour)
	one("MT27a_NoDispatchedMDN", "processedonly5@"+good, true, hour)
	one("MT27a_dispatched_without_the_field", "dispatchednofield@"+good, true, hour)
	one("MT28a_DelayedDispatchedMDN", "processdelayeddispatch7@"+good, true, hour)
	one("dispatchedonly", "dispatchedonly@"+good, true, hour)
	one("processedfailure_where_delivery_is_asked_for", "processedfailure@"+good, true, now)
	one("processedtimeoutfailure", "processedtimeoutfailure@"+good, true, hour)
	arrives := func(name, to, when string) {
		all = append(all, &sending{name: name, to: []string{to}, option: true, reached: map[string]string{to: when}})
	}
	arrives("MT29a_GoodHeader_positive_notice", "processeddispatched6@"+good, now)
	arrives("processdelayeddispatch30min", "processdelayeddispatch30min@"+good, "after half an hour")
	one("processeddispatched6_where_nobody_asked", "processeddispatched6@"+good, false, "")
	for _, local := range slices.Sorted(maps.Keys(oddities)) {
		silent := local == "missing_disposition" || local == "different_msgid"
		failed := ""
		if silent {
			failed = hour
		}
		one("MDN_form_"+local, local+"@"+good, false, failed)
	}
	all = append(all, &sending{name: "MT47_one_good_one_bad", to: []string{"processedonly5@" + good, "lab@" + nocert}, failed: map[string]string{"lab@" + nocert: now}})
	return all
}

// send submits a case's message.
func (s *sending) send(t testing.TB, c *client) {
	t.Helper()
	var fields []string
	if s.option {
		fields = append(fields, option)
	}
	s.id = fmt.Sprintf("<%s.%d@north.example>", s.name, time.Now().UnixNano())
	l := letter{from: "edge@north.example", to: strings.Join(s.to, ", "), id: s.id, fields: fields}
	if _, err := c.send("edge@north.example", s.to, crlf([]byte(l.message()))); err != nil {
		t.Errorf("%s: %v", s.name, err)
	}
}

// notified sends the messages of all cases, has time pass, and shows what the edge was told, case by case.
func notified(t *testing.T, x *tool) {
	all := sendings()
	c, code, err := x.under.signIn("edge@north.example", password)
	if err != nil || code != 235 {
		t.Fatalf("signing in: %d, %v", code, err)
	}
	for _, s := range all {
		s.send(t, c)
	}
	c.close()
	told := map[string]map[word][]string{} // by time
	x.settle(t)
	told[times[0]] = x.under.told(t)
	x.under.later(t, 31*time.Minute)
	x.now("30 min")
	x.settle(t)
	told[times[1]] = x.under.told(t)
	x.under.later(t, 31*time.Minute)
	x.settle(t)
	told[times[2]] = x.under.told(t)
	x.now("65 min")
	x.settle(t)
	x.under.later(t, 24*time.Hour)
	x.settle(t)
	told[times[3]] = x.under.told(t)
	for _, s := range all {
		t.Run(s.name, func(t *testing.T) { s.check(t, told) })
	}
}

// check looks at what the edge was told of each recipient by when: nothing, or one thing, once for ever.
func (s *sending) check(t *testing.T, told map[string]map[word][]string) {
	for _, to := range s.to {
		for _, action := range []string{"failed", "delivered"} {
			due := s.failed[to]
			if action == "delivered" {
				due = s.reached[to]
			}
			for i, at := range times {
				want := 0
				if due != "" && i >= slices.Index(times, due) {
					want = 1
				}
				n := 0
				for _, a := range told[at][word{s.id, to}] {
					if a == action {
						n++
					}
				}
				if n != want {
					t.Errorf("%s the edge has %d notices that %s for %s, want %d", at, n, action, to, want)
				}
			}
		}
	}
}

// word is what a report is about.
type word struct{ message, recipient string }

// told is what the mailbox of the edge says of its messages.
func (s *sut) told(t testing.TB) map[word][]string {
	t.Helper()
	mails, err := s.Mailboxes().List(t.Context(), gatewaytest.Actor, s.edge, "INBOX", 0, 1000)
	must(t, err)
	out := map[word][]string{}
	for _, m := range mails {
		original, statuses, err := readReport([]byte(s.Text(t, m)))
		if err != nil {
			t.Errorf("a report in the mailbox: %v", err)
		}
		for _, st := range statuses {
			w := word{original, st.recipient}
			out[w] = append(out[w], st.action)
		}
	}
	return out
}
