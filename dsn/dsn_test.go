package dsn

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/message"
	"carepost/message/messagetest"
)

func read(src []byte) (*Report, error) {
	root, err := message.Parse(bytes.NewReader(src), int64(len(src)), message.Limits{})
	if err != nil {
		return nil, err
	}
	return Parse(root, bytes.NewReader(src))
}

// summary writes what a report says, without its header.
func summary(r *Report, err error) string {
	switch {
	case errors.Is(err, ErrNotDSN):
		return "error not a DSN\n"
	case errors.Is(err, message.ErrSyntax):
		return "error syntax\n"
	case err != nil:
		return err.Error() + "\n"
	}
	var b strings.Builder
	put := func(format string, v any) {
		if tm, ok := v.(time.Time); ok && !tm.IsZero() {
			v = tm.Unix()
		}
		if !reflect.ValueOf(v).IsZero() {
			fmt.Fprintf(&b, format, v)
		}
	}
	put("id=%s", r.OriginalMessageID)
	put(" envid=%s", r.OriginalEnvelopeID)
	put(" mta=%s", r.ReportingMTA)
	put(" arrived=%d", r.ArrivalDate)
	put(" text=%q", r.Text)
	for _, s := range r.Recipients {
		b.WriteString("\n")
		if b.WriteString(string(s.Action)); s.Action == "" {
			b.WriteString("nothing")
		}
		put(" %s", s.FinalRecipient)
		put(" original=%s", s.OriginalRecipient)
		put(" code=%s", s.Code)
		put(" comment=%q", s.Comment)
		put(" remote=%s", s.RemoteMTA)
		put(" diagnostic=%q", s.Diagnostic)
		put(" tried=%d", s.LastAttempt)
		put(" until=%d", s.WillRetryUntil)
	}
	return b.String() + "\n"
}

// DIR-20, DIR-26: notifications are read as they come, and no reading makes a success of what is none.
func TestParse(t *testing.T) {
	for name, c := range messagetest.Cases(t, "testdata/read") {
		t.Run(name, func(t *testing.T) {
			for _, src := range [][]byte{c.Files["in"], messagetest.CRLF(c.Files["in"])} {
				if got := summary(read(src)); got != string(c.Files["want"]) {
					t.Errorf("got\n%swant\n%s", got, c.Files["want"])
				}
			}
		})
	}
}

var (
	a = addr.Address{Endpoint: "a", Domain: "h.example"}
	b = addr.Address{Endpoint: "b", Domain: "p.example"}
	c = addr.Address{Endpoint: "c", Domain: "p.example"}
)

const boundary = "=_0123456789abcdef"

func report() Report {
	at := time.Date(2026, 11, 3, 9, 5, 0, 0, time.UTC)
	return Report{
		From: addr.Address{Endpoint: "postmaster", Domain: "h.example"}, To: []addr.Address{a}, Date: at, MessageID: "<m2@h.example>",
		Subject: "Not delivered: DICOM-ZIP", Text: "Your message was not delivered to one recipient.",
		OriginalMessageID: "<m1@h.example>", OriginalEnvelopeID: "0207", ReportingMTA: "mail.h.example", ArrivalDate: at,
		Recipients: []Status{
			{
				OriginalRecipient: b, FinalRecipient: b, Action: Failed, Code: "5.7.1",
				Comment: "Direct 4.2.3: the certificate leads to no anchor (two were tried).\r\nAsk the recipient for theirs; schöne Grüße.",
			},
			{
				FinalRecipient: c, Action: Delayed, Code: "4.4.1", RemoteMTA: "mx.p.example", Diagnostic: "451 4.4.1 try\nlater",
				LastAttempt: at, WillRetryUntil: at.Add(time.Hour),
			},
		},
	}
}

func compose(t testing.TB, r Report) []byte {
	t.Helper()
	var w bytes.Buffer
	if err := Compose(&w, r, boundary); err != nil {
		t.Fatal(err)
	}
	return w.Bytes()
}

// DIR-09, DIR-20, DIR-26, DIR-31: the exact bytes. testdata/failed.eml holds them with LF.
func TestCompose(t *testing.T) {
	want, err := os.ReadFile("testdata/failed.eml")
	if err != nil {
		t.Fatal(err)
	}
	got := compose(t, report())
	if !bytes.Equal(got, messagetest.CRLF(want)) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for line := range bytes.Lines(got) {
		if !bytes.HasSuffix(line, []byte("\r\n")) || len(line) > 80 {
			t.Errorf("line %q", line)
		}
	}
}

// What was composed is read as it was meant; line ends of texts are folds, and spaces when they are read.
func TestRoundTrip(t *testing.T) {
	for name, change := range map[string]func(*Report){
		"as it is":    func(r *Report) {},
		"one":         func(r *Report) { r.Recipients = r.Recipients[:1] },
		"no original": func(r *Report) { r.OriginalMessageID, r.OriginalEnvelopeID, r.ArrivalDate = "", "", time.Time{} },
		"all actions": func(r *Report) {
			r.Recipients = nil
			for _, x := range []Action{Failed, Delayed, Delivered, Relayed, Expanded} {
				r.Recipients = append(r.Recipients, Status{FinalRecipient: b, Action: x, Code: "5.123.45"})
			}
		},
		"comment": func(r *Report) {
			r.Recipients[0].Comment = `all of ( ) \ " =?utf-8?q?x?= and more ` + strings.Repeat("words ", 60) + "end"
		},
	} {
		r := report()
		change(&r)
		got, err := read(compose(t, r))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for i := range r.Recipients {
			s := &r.Recipients[i]
			s.Comment = strings.ReplaceAll(s.Comment, "\r\n", " ")
			s.Diagnostic = strings.ReplaceAll(s.Diagnostic, "\n", " ")
		}
		if g, w := summary(got, nil), summary(&r, nil); g != w || got.Subject != r.Subject || got.From != r.From ||
			got.MessageID != r.MessageID || !reflect.DeepEqual(got.To, r.To) || !got.Date.Equal(r.Date) {
			t.Errorf("%s:\ngot\n%swant\n%s", name, g, w)
		}
	}
}

func TestComposeRefuses(t *testing.T) {
	for name, change := range map[string]func(*Report){
		"no From":                        func(r *Report) { r.From = addr.Address{} },
		"no To":                          func(r *Report) { r.To = nil },
		"no Date":                        func(r *Report) { r.Date = time.Time{} },
		"no Message-ID":                  func(r *Report) { r.MessageID = "" },
		"original Message-ID, injection": func(r *Report) { r.OriginalMessageID = "<a@b>\r\nX: y" },
		"no MTA":                         func(r *Report) { r.ReportingMTA = "" },
		"MTA, injection":                 func(r *Report) { r.ReportingMTA = "x\r\nX: y" },
		"envelope id, injection":         func(r *Report) { r.OriginalEnvelopeID = "x\r\n\r\nX: y" },
		"nobody":                         func(r *Report) { r.Recipients = nil },
		"no action":                      func(r *Report) { r.Recipients[0].Action = "" },
		"another action":                 func(r *Report) { r.Recipients[0].Action = "lost" },
		"no recipient":                   func(r *Report) { r.Recipients[0].FinalRecipient = addr.Address{} },
		"no code":                        func(r *Report) { r.Recipients[0].Code = "" },
		"bad code":                       func(r *Report) { r.Recipients[0].Code = "5.7" },
		"worse code":                     func(r *Report) { r.Recipients[0].Code = "3.7.1" },
		"code, injection":                func(r *Report) { r.Recipients[0].Code = "5.1\r\n." },
	} {
		r := report()
		change(&r)
		var w bytes.Buffer
		if err := Compose(&w, r, boundary); err == nil || w.Len() > 0 {
			t.Errorf("%s: written, %v", name, err)
		}
	}
}

// DIR-20: another reader, Python's email package, finds the same groups.
func TestPythonReads(t *testing.T) {
	const script = `
import email.policy, sys
m = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
assert not m.defects and all(not p.defects for p in m.walk()), "defects"
text, fields, head = m.get_payload()
print(m.get_content_type(), m.get_param("report-type"), fields.get_content_type(), head.get_content_type())
for g in fields.get_payload():
    print([k for k in g.keys()], g.get("X-Original-Message-ID"), g.get("Final-Recipient"), g.get("Action"))
`
	cmd := exec.Command("/usr/bin/python3", "-c", script)
	cmd.Stdin = bytes.NewReader(compose(t, report()))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := `multipart/report delivery-status message/delivery-status text/rfc822-headers
['Original-Envelope-Id', 'Reporting-MTA', 'Arrival-Date', 'X-Original-Message-ID'] <m1@h.example> None None
['Original-Recipient', 'Final-Recipient', 'Action', 'Status'] None rfc822;b@p.example failed
['Final-Recipient', 'Action', 'Status', 'Remote-MTA', 'Diagnostic-Code', 'Last-Attempt-Date', 'Will-Retry-Until'] None rfc822;c@p.example delayed
`
	if string(out) != want {
		t.Errorf("got\n%swant\n%s", out, want)
	}
}

func TestParseBounded(t *testing.T) {
	head := "Content-Type: multipart/report; boundary=r\n\n--r\nContent-Type: message/delivery-status\n\n"
	for name, fields := range map[string]string{
		"octets":     strings.Repeat("Action: "+strings.Repeat("y", 900)+"\n\n", 1000),
		"recipients": strings.Repeat("Action: failed\n\n", maxRecipients+1),
	} {
		if _, err := read([]byte(head + fields + "--r--\n")); !errors.Is(err, message.ErrLimit) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range messagetest.Cases(f, "testdata/read") {
		f.Add(c.Files["in"])
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		r, err := read(src)
		if err != nil {
			return
		}
		for _, s := range r.Recipients {
			if s.Action != "" && len(s.Action) < 6 || s.Code != "" && !ValidCode(s.Code) {
				t.Fatalf("%+v", s)
			}
		}
		// What can be said again is understood the same.
		r.From, r.To, r.Date, r.MessageID = b, []addr.Address{a}, time.Unix(0, 0), "<x@y>"
		var w bytes.Buffer
		if Compose(&w, *r, boundary) != nil {
			return
		}
		again, err := read(w.Bytes())
		if err != nil || len(again.Recipients) != len(r.Recipients) || again.OriginalMessageID != r.OriginalMessageID {
			t.Fatalf("%v\n%+v\nbecame\n%+v\n%s", err, r, again, w.Bytes())
		}
		for i, s := range again.Recipients {
			if o := r.Recipients[i]; s.Action != o.Action || s.Code != o.Code || s.FinalRecipient != o.FinalRecipient {
				t.Fatalf("%+v\nbecame\n%+v\n%s", o, s, w.Bytes())
			}
		}
	})
}
