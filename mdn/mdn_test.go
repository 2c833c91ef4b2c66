package mdn

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

func read(src []byte) (*Notice, error) {
	root, err := message.Parse(bytes.NewReader(src), int64(len(src)), message.Limits{})
	if err != nil {
		return nil, err
	}
	return Parse(root, bytes.NewReader(src))
}

// summary writes what a notice says, without its header.
func summary(n *Notice, err error) string {
	switch {
	case errors.Is(err, ErrNotMDN):
		return "error not an MDN\n"
	case errors.Is(err, message.ErrAmbiguous):
		return "error ambiguous\n"
	case errors.Is(err, message.ErrSyntax):
		return "error syntax\n"
	case err != nil:
		return err.Error() + "\n"
	}
	var b strings.Builder
	if b.WriteString(string(n.Disposition)); n.Disposition == "" {
		b.WriteString("nothing")
	}
	for s, claim := range map[string]bool{" failing": n.Failing(), " delivered": n.FinalDelivery(), " manual": n.Manual} {
		if claim {
			b.WriteString(s)
		}
	}
	put := func(format string, v any) {
		if !reflect.ValueOf(v).IsZero() {
			fmt.Fprintf(&b, format, v)
		}
	}
	put(" final=%s", n.FinalRecipient)
	put(" original=%s", n.OriginalRecipient)
	put(" id=%s", n.OriginalMessageID)
	put(" ua=%q", n.ReportingUA)
	put(" modifiers=%s", strings.Join(n.Modifiers, ","))
	put(" error=%q", n.Error)
	put(" failure=%q", n.Failure)
	put(" extensions=%s", n.Extensions)
	put(" text=%q", n.Text)
	return b.String() + "\n"
}

// DIR-20, DIR-24: notices are read as they come, and no reading makes a success of what is none.
func TestParse(t *testing.T) {
	for name, c := range messagetest.Cases(t, "testdata/read") {
		t.Run(name, func(t *testing.T) {
			for _, src := range [][]byte{c.Files["in"], messagetest.CRLF(c.Files["in"])} {
				if got := summary(read(src)); got != string(c.Files["want"]) {
					t.Errorf("got  %swant %s", got, c.Files["want"])
				}
			}
		})
	}
}

var (
	a = addr.Address{Endpoint: "a", Domain: "h.example"}
	b = addr.Address{Endpoint: "b", Domain: "p.example"}
)

const boundary = "=_0123456789abcdef"

func notice() Notice {
	return Notice{
		From: b, To: []addr.Address{a}, Date: time.Date(2026, 11, 3, 9, 5, 0, 0, time.UTC), MessageID: "<m2@p.example>",
		Subject: "Processed: DICOM-ZIP", Text: "Your message was processed.",
		OriginalMessageID: "<m1@h.example>", OriginalRecipient: b, FinalRecipient: b, ReportingUA: "mail.p.example; Carepost",
		Disposition: Processed,
	}
}

func compose(t testing.TB, n Notice) []byte {
	t.Helper()
	var w bytes.Buffer
	if err := Compose(&w, n, boundary); err != nil {
		t.Fatal(err)
	}
	return w.Bytes()
}

// DIR-09, DIR-20, DIR-24: the exact bytes of the two that matter most. testdata/*.eml hold them with LF.
func TestCompose(t *testing.T) {
	failed := notice()
	failed.Subject, failed.Disposition = "Röntgenbild: nicht zugestellt", Failed
	failed.Failure = "The mailbox is full.\r\nAsk them to make room (a call is enough),\rand send again.\n\nBcc: nobody@h.example"
	failed.Error = "Über\nquota"
	failed.Text = "Das Postfach ist voll.\nBitte später noch einmal senden."
	failed.Extensions = []Extension{{"X-Note", "one\ntwo"}, {DeliveryExtension, ""}}
	for name, n := range map[string]Notice{"processed": notice(), "failed": failed} {
		want, err := os.ReadFile("testdata/" + name + ".eml")
		if err != nil {
			t.Fatal(err)
		}
		got := compose(t, n)
		if !bytes.Equal(got, messagetest.CRLF(want)) {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		}
		for line := range bytes.Lines(got) {
			if !bytes.HasSuffix(line, []byte("\r\n")) || len(line) > 80 {
				t.Errorf("line %q", line)
			}
		}
	}
}

// What was composed is read as it was meant.
func TestRoundTrip(t *testing.T) {
	for name, change := range map[string]func(*Notice){
		"processed":  func(n *Notice) {},
		"dispatched": func(n *Notice) { n.Disposition, n.Extensions = Dispatched, []Extension{{DeliveryExtension, ""}} },
		"failed":     func(n *Notice) { n.Disposition, n.Failure = Failed, "Schlüssel (ungültig), bitte neu" },
		"displayed":  func(n *Notice) { n.Disposition, n.Manual = Displayed, true },
		"error": func(n *Notice) {
			n.Error, n.Modifiers = strings.Repeat("a long story, ", 40)+"end", []string{"error", "x-more"}
		},
		"no original": func(n *Notice) { n.OriginalMessageID, n.OriginalRecipient = "", addr.Address{} },
		"quoted":      func(n *Notice) { n.FinalRecipient = addr.Address{Endpoint: "jo; hn, <x", Domain: "p.example"} },
		"two askers":  func(n *Notice) { n.To = append(n.To, b); n.Warning = "w"; n.Subject = "ä" },
		"odd text": func(n *Notice) {
			n.Text = "ends with no line\x00 end \n--" + boundary[:5] + "\n" + strings.Repeat("x", 2000)
		},
	} {
		n := notice()
		change(&n)
		got, err := read(compose(t, n))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !got.Date.Equal(n.Date) {
			t.Errorf("%s: date %v", name, got.Date)
		}
		got.Date = n.Date
		if !reflect.DeepEqual(*got, n) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", name, *got, n)
		}
	}
}

func TestComposeRefuses(t *testing.T) {
	for name, change := range map[string]func(*Notice){
		"no From":                        func(n *Notice) { n.From = addr.Address{} },
		"no To":                          func(n *Notice) { n.To = nil },
		"no Date":                        func(n *Notice) { n.Date = time.Time{} },
		"no Message-ID":                  func(n *Notice) { n.MessageID = "" },
		"Message-ID without brackets":    func(n *Notice) { n.MessageID = "x@y" },
		"original Message-ID, injection": func(n *Notice) { n.OriginalMessageID = "<a@b>\r\nX: y" },
		"no disposition":                 func(n *Notice) { n.Disposition = "" },
		"deleted":                        func(n *Notice) { n.Disposition = Deleted },
		"error without Error":            func(n *Notice) { n.Modifiers = []string{"error"} },
		"modifier, injection":            func(n *Notice) { n.Modifiers = []string{"x\r\nX: y"} },
		"extension, injection":           func(n *Notice) { n.Extensions = []Extension{{"X: y\r\nZ", ""}} },
		"recipient, injection":           func(n *Notice) { n.FinalRecipient.Endpoint = "x\r\nX: y" },
		"the boundary in the text":       func(n *Notice) { n.Text = "\n--" + boundary + "--\n" },
	} {
		n := notice()
		change(&n)
		var w bytes.Buffer
		if err := Compose(&w, n, boundary); err == nil || w.Len() > 0 {
			t.Errorf("%s: written, %v", name, err)
		}
	}
	if Compose(new(bytes.Buffer), notice(), "a\r\nb") == nil {
		t.Error("a boundary with a line end is written")
	}
}

// DIR-20: another reader, Python's email package, finds the same.
func TestPythonReads(t *testing.T) {
	const script = `
import email.policy, sys
m = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
assert not m.defects and all(not p.defects for p in m.walk()), "defects"
text, fields, head = m.get_payload()
print(m.get_content_type(), m.get_param("report-type"), m["from"], m["to"], m["in-reply-to"], text.get_content_type())
f = fields.get_payload()[0]
print(fields.get_content_type(), [(k, str(v)) for k, v in f.items()])
print(head.get_content_type(), head.get_content().strip())
`
	cmd := exec.Command("/usr/bin/python3", "-c", script)
	cmd.Stdin = bytes.NewReader(compose(t, notice()))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := `multipart/report disposition-notification b@p.example a@h.example <m1@h.example> text/plain
message/disposition-notification [('Reporting-UA', 'mail.p.example; Carepost'), ('Original-Recipient', 'rfc822;b@p.example'), ` +
		`('Final-Recipient', 'rfc822;b@p.example'), ('Original-Message-ID', '<m1@h.example>'), ` +
		`('Disposition', 'automatic-action/MDN-sent-automatically;processed')]
text/rfc822-headers Message-ID: <m1@h.example>
`
	if string(out) != want {
		t.Errorf("got\n%swant\n%s", out, want)
	}
}

// The fields of a report are bounded, however they are packed.
func TestParseBounded(t *testing.T) {
	src := "Content-Type: multipart/report; boundary=r\n\n--r\nContent-Type: message/disposition-notification\n\n" +
		strings.Repeat("X: "+strings.Repeat("y", 900)+"\n\n", 1000) + "--r--\n"
	if _, err := read([]byte(src)); !errors.Is(err, message.ErrLimit) {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range messagetest.Cases(f, "testdata/read") {
		f.Add(c.Files["in"])
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		n, err := read(src)
		if err != nil {
			return
		}
		if strings.ContainsAny(string(n.Disposition)+n.OriginalMessageID+n.ReportingUA, "\r\n\x00") {
			t.Fatalf("%+v", n)
		}
		// What can be said again is understood the same.
		n.From, n.To, n.Date, n.MessageID = b, []addr.Address{a}, time.Unix(0, 0), "<x@y>"
		var w bytes.Buffer
		if Compose(&w, *n, boundary) != nil {
			return
		}
		again, err := read(w.Bytes())
		if err != nil {
			t.Fatalf("%v\n%s", err, w.Bytes())
		}
		final := n.FinalRecipient
		if final.IsZero() {
			final = b
		}
		failing := n.Failing() || n.Error != "" // Compose puts the modifier beside the field
		if again.Disposition != n.Disposition || again.Failing() != failing || again.FinalDelivery() != n.FinalDelivery() ||
			again.OriginalMessageID != n.OriginalMessageID || again.FinalRecipient != final {
			t.Fatalf("%+v\nbecame\n%+v\n%s", n, again, w.Bytes())
		}
	})
}
