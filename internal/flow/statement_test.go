package flow

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/dsn"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/mdn"
)

// Only what is clearly said moves a state: facts §3, an MDN without a disposition is no success, and a dispatched one without the field
// is no delivery.
func TestFromMDN(t *testing.T) {
	field := []mdn.Extension{{Name: "x-direct-FINAL-destination-delivery"}}
	for name, tc := range map[string]struct {
		n    mdn.Notice
		want claim
	}{
		"processed":            {mdn.Notice{Disposition: mdn.Processed}, takenOver},
		"processed with field": {mdn.Notice{Disposition: mdn.Processed, Extensions: field}, takenOver},
		"processed, error":     {mdn.Notice{Disposition: mdn.Processed, Modifiers: []string{"error"}}, lost},
		"failed":               {mdn.Notice{Disposition: mdn.Failed}, lost},
		"denied":               {mdn.Notice{Disposition: "denied"}, lost},
		"dispatched":           {mdn.Notice{Disposition: mdn.Dispatched}, arrived},
		"dispatched, field":    {mdn.Notice{Disposition: mdn.Dispatched, Extensions: field}, delivered},
		"dispatched, error":    {mdn.Notice{Disposition: mdn.Dispatched, Extensions: field, Modifiers: []string{"error"}}, lost},
		"displayed":            {mdn.Notice{Disposition: mdn.Displayed}, arrived},
		"nothing":              {mdn.Notice{}, nothing},
		"nothing with field":   {mdn.Notice{Extensions: field}, nothing},
		"something other":      {mdn.Notice{Disposition: "deleted"}, nothing},
	} {
		s := fromMDN(&tc.n)
		if s.claim != tc.want || s.claim == lost && s.reason == "" || (s.claim == nothing) != (s.words == "") {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func TestFromDSN(t *testing.T) {
	r := dsn.Report{Recipients: []dsn.Status{
		{FinalRecipient: a("x", "h.example"), Action: dsn.Failed, Comment: "full"}, {FinalRecipient: a("y", "h.example"), Action: dsn.Delayed},
		{FinalRecipient: a("z", "h.example"), Action: dsn.Delivered}, {FinalRecipient: a("q", "h.example"), Action: dsn.Failed},
		{FinalRecipient: a("n", "h.example")},
	}}
	all := fromDSN(&r)
	if len(all) != 4 || all[0].reason != "full" || all[1].claim != passing || all[2].claim != arrived || all[3].reason == "" {
		t.Errorf("%+v", all)
	}
	r.Recipients = make([]dsn.Status, 5000)
	for i := range r.Recipients {
		r.Recipients[i].Action = dsn.Failed
	}
	if n := len(fromDSN(&r)); n != maxStatements {
		t.Errorf("%d statements are looked at", n)
	}
}

// ATT-34. Whom a statement is about: address as written, '+tag', case, aliases; facts §2.7 (reference implementation, issue 239).
func TestMatch(t *testing.T) {
	x, y, tagged := a("x", "h.example"), a("y", "h.example"), a("x+study", "h.example")
	s := func(c claim, about ...addr.Address) said { return said{about: about, claim: c} }
	for name, tc := range map[string]struct {
		all  []said
		rows []addr.Address
		want string // of each row
	}{
		"as written":                   {[]said{s(takenOver, x)}, []addr.Address{x, y}, "1 0"},
		"case":                         {[]said{s(takenOver, a("X", "h.example"))}, []addr.Address{x, y}, "1 0"},
		"original before final":        {[]said{s(takenOver, x, a("alias", "h.example"))}, []addr.Address{x, y}, "1 0"},
		"no original, an alias":        {[]said{s(takenOver, addr.Address{}, a("alias", "h.example"))}, []addr.Address{x}, "1"},
		"an alias among two":           {[]said{s(takenOver, a("alias", "h.example"))}, []addr.Address{x, y}, "0 0"},
		"an alias elsewhere":           {[]said{s(takenOver, a("x", "other.example"))}, []addr.Address{x}, "0"},
		"nobody named":                 {[]said{s(takenOver, addr.Address{}, addr.Address{})}, []addr.Address{x}, "1"},
		"nobody named, two to choose":  {[]said{s(takenOver, addr.Address{})}, []addr.Address{x, y}, "0 0"},
		"the tag is gone":              {[]said{s(takenOver, x)}, []addr.Address{tagged, y}, "1 0"},
		"a tag has come":               {[]said{s(takenOver, tagged)}, []addr.Address{x, y}, "1 0"},
		"a tag and none, both written": {[]said{s(takenOver, x)}, []addr.Address{x, tagged}, "1 0"},
		"two tags, one mailbox":        {[]said{s(takenOver, x)}, []addr.Address{tagged, a("x+b", "h.example")}, "0 0"},
		"one of each":                  {[]said{s(lost, x), s(takenOver, y)}, []addr.Address{x, y}, "5 1"},
		"the failure counts":           {[]said{s(takenOver, x), s(lost, x), s(takenOver, x)}, []addr.Address{x, y}, "5 0"},
		"a statement of nothing":       {[]said{s(nothing, x)}, []addr.Address{x}, "0"},
		"only a plus":                  {[]said{s(takenOver, a("+", "h.example"))}, []addr.Address{x, y}, "0 0"},
		"no rows":                      {[]said{s(takenOver, x)}, nil, ""},
	} {
		var rows []store.Recipient
		for _, r := range tc.rows {
			rows = append(rows, store.Recipient{Address: r})
		}
		got := match(tc.all, rows)
		var words []string
		for i := range rows {
			words = append(words, fmt.Sprint(got[i].claim))
		}
		if text := strings.Join(words, " "); text != tc.want {
			t.Errorf("%s: %s, want %s", name, text, tc.want)
		}
	}
}

// ATT-34, DIR-26. By what a report says which message it is about: Direct 3.1.2 and what others leave of it.
func TestOriginals(t *testing.T) {
	const head = "From: a@h.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=%s; boundary=b\r\n%s\r\n"
	const text = "--b\r\n\r\ntext\r\n--b\r\nContent-Type: message/%s\r\n\r\n%s\r\n--b"
	mdnFields := "Final-Recipient: rfc822;x@h.example\r\nDisposition: automatic-action/MDN-sent-automatically; processed\r\n"
	dsnFields := "Reporting-MTA: dns; h.example\r\n%s\r\nFinal-Recipient: rfc822;x@h.example\r\nAction: failed\r\nStatus: 5.1.1\r\n"
	mdnOf := func(header, fields, rest string) string {
		return fmt.Sprintf(head, "disposition-notification", header) + fmt.Sprintf(text, "disposition-notification", mdnFields+fields) + rest
	}
	dsnOf := func(header, fields, rest string) string {
		return fmt.Sprintf(head, "delivery-status", header) + fmt.Sprintf(text, "delivery-status", fmt.Sprintf(dsnFields, fields)) + rest
	}
	const refs = "In-Reply-To: <2@s.example>\r\nReferences: <0@s.example> <3@s.example>\r\n"
	for name, tc := range map[string]struct{ src, want, envid string }{
		"MDN, all":               {mdnOf(refs, "Original-Message-ID: <1@s.example>", "--"), "<1@s.example>", ""},
		"MDN, the DSN's field":   {mdnOf("", "x-original-message-id: 1@s.example", "--"), "<1@s.example>", ""},
		"MDN, In-Reply-To alone": {mdnOf("In-Reply-To: your mail <2@s.example>\r\n", "X: y", "--"), "<2@s.example>", ""},
		"MDN, References alone":  {mdnOf("References: <0@s.example> <3@s.example>\r\n", "X: y", "--"), "<3@s.example>", ""},
		"MDN, none":              {mdnOf("", "X: y", "--"), "", ""},
		"DSN":                    {dsnOf("", "X-Original-Message-ID: <1@s.example>\r\n", "--"), "<1@s.example>", ""},
		"DSN, ENVID alone":       {dsnOf("", "Original-Envelope-Id: E 1\r\n", "--"), "", "E 1"},
		"DSN, the returned header": {dsnOf("", "", "\r\nContent-Type: text/rfc822-headers\r\n\r\nFrom: z@s.example\r\nMessage-ID: <4@s.example>\r\n--b--"),
			"<4@s.example>", ""},
		"DSN, the returned mail": {dsnOf("", "", "\r\nContent-Type: message/rfc822\r\n\r\nMessage-ID: <4@s.example>\r\n\r\nbody\r\n--b--"), "<4@s.example>", ""},
		"many": {mdnOf("In-Reply-To: "+strings.Repeat("<9@s.example> ", 3)+"<a@s> <b@s> <c@s> <d@s> <e@s> <f@s> <g@s> <h@s> <i@s>\r\n", "X: y", "--"),
			"<9@s.example> <a@s> <b@s> <c@s> <d@s> <e@s> <f@s> <g@s>", ""},
		"a letter": {"From: a@h.example\r\nIn-Reply-To: <1@s.example>\r\n\r\ntext", "", ""},
	} {
		got, err := statements(content{bytes.NewReader([]byte(tc.src))})
		if err != nil {
			t.Fatal(err)
		}
		if text := strings.Join(got.originals, " "); text != tc.want || got.envelope != tc.envid {
			t.Errorf("%s: %s, %q; want %s", name, text, got.envelope, tc.want)
		}
	}
}

type content struct{ *bytes.Reader }

// What each notice does to a recipient in each state. Delivery notification 1.3, Direct 3.2, 3.3; DIR-50.
func TestWeigh(t *testing.T) {
	all := []transit.State{transit.Accepted, transit.Sealed, transit.Sent, transit.Relayed, transit.Processed, transit.Dispatched, transit.Failed}
	for _, asked := range []bool{false, true} {
		for _, s := range all {
			for c := nothing; c <= lost; c++ {
				for _, before := range []time.Time{{}, time.Now()} {
					r := store.Recipient{State: s, Dispatched: before}
					events, what := weigh(c, asked, r)
					at := s
					for _, e := range events {
						to, err := at.Next(e)
						if err != nil && s != transit.Accepted { // nobody reports on what was not sealed: nothing finds it
							t.Fatalf("%v asked=%v at %q: %v", c, asked, s, err)
						}
						at = to
					}
					both := c == takenOver && !before.IsZero() || c == delivered && (s == transit.Processed || s == transit.Relayed)
					switch {
					case (len(events) > 0) != (what == moves):
						t.Errorf("%v asked=%v at %q: %v, %q", c, asked, s, events, what)
					case s == transit.Failed && what != late:
						t.Errorf("%v after the final word: %q", c, what)
					case asked && at == transit.Dispatched && s != at && !both:
						t.Errorf("%v asked=%v at %q says delivered", c, asked, s)
					case asked && c == arrived && s != transit.Relayed && len(events) > 0:
						t.Errorf("a weak word moves %q", s)
					case !asked && s == transit.Sent && (c == arrived || c == delivered || c == takenOver) && at == s:
						t.Errorf("%v leaves %q waiting", c, s)
					case (c == passing || c == nothing) && len(events) > 0:
						t.Errorf("%v moves %q", c, s)
					case at == transit.Failed && s != at && c != lost:
						t.Errorf("%v fails %q", c, s)
					}
				}
			}
		}
	}
	if events, _ := weigh(lost, true, store.Recipient{State: transit.Processed}); !slices.Equal(events, []transit.Event{transit.Fail}) {
		t.Errorf("a failure after the processed notice: %v", events)
	}
}
