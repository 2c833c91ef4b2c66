package ett

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// attachings are messages of the edge with attachments: they come to the tool as they were (facts §5d, SMTP 25 to 29).
var attachings = map[string]string{
	"SMTP25a_text":                  text,
	"SMTP25b_PDF":                   mixed(text, part("application/pdf", "one.pdf", pdf)),
	"SMTP25c_text_PDF_CCDA":         mixed(text, part("application/pdf", "one.pdf", pdf), part("text/xml", "CCDA.xml", document)),
	"SMTP25d_CCDA_PDF_text":         mixed(part("text/xml", "CCDA.xml", document), part("application/pdf", "one.pdf", pdf), text),
	"SMTP25e_XDM_and_CCDA":          mixed(part("application/zip", "XDM.ZIP", xdm("")), part("text/xml", "CCDA.xml", document)),
	"SMTP25f_CCDA_and_XDM":          mixed(part("text/xml", "CCDA.xml", document), part("application/zip", "XDM.ZIP", xdm(""))),
	"SMTP26a_style_sheet_missing":   attached("text/xml", "CCDA.xml", strings.Replace(document, "CDA.xsl", "not-there.xsl", 1)),
	"SMTP26b_style_sheet_broken":    mixed(part("text/xml", "CCDA.xml", document), part("text/xsl", "CDA.xsl", "<xsl:stylesheet><broken")),
	"SMTP27_XDM_with_bad_XHTML":     attached("application/zip", "XDM.ZIP", xdm("<html><body><p>never closed")),
	"SMTP28_XDM_as_octet_stream":    attached("application/octet-stream", "XDM.ZIP", xdm("")),
	"SMTP29_XDM_as_xml":             attached("application/xml", "XDM.ZIP", xdm("")),
	"MT46_options_header":           text,
	"MT21a_header_kept":             text,
	"HappyPathPlain":                text,
	"all_fields_of_RFC_5322":        text,
	"a_subject_of_many_languages":   text,
	"a_line_of_text_without_an_end": "Content-Type: text/plain\n\nno end",
}

var document = cda("2.16.840.1.113883.10.20.22.1.2")

// further are fields of these messages besides the usual.
var further = map[string][]string{
	"MT46_options_header": {option},
	"MT21a_header_kept":   {option},
	"all_fields_of_RFC_5322": {"Cc: wellformed14@" + good, "Reply-To: desk@north.example", "Sender: edge@north.example", "In-Reply-To: <earlier@ett.example>",
		"References: <first@ett.example> <earlier@ett.example>", "Comments: none", "Keywords: knee, better", "X-Optional: yes", "Disposition-Notification-To: edge@north.example"},
	"a_subject_of_many_languages": {"Comments: =?utf-8?q?Gr=C3=BC=C3=9Fe?="},
}

// edged are the cases of an SMTP edge: a mail program that signs in and sends.
func edged(t *testing.T, x *tool) {
	t.Run("SMTP9_16_20_STARTTLS_AUTH_PLAIN", func(t *testing.T) {
		c, code, err := x.under.signIn("edge@north.example", password)
		if err != nil || code != 235 {
			t.Fatalf("%d, %v", code, err)
		}
		c.close()
	})
	t.Run("SMTP22_InvalidLogin", func(t *testing.T) {
		c, code, err := x.under.signIn("edge@north.example", "not the password of anybody")
		if err != nil || code != 535 {
			t.Fatalf("%d, %v", code, err)
		}
		c.close()
	})
	t.Run("AUTH_in_clear_is_refused", func(t *testing.T) {
		c := greeted(t, x)
		defer c.close()
		c.wants(t, 5, "AUTH PLAIN "+base64.StdEncoding.EncodeToString([]byte("\x00edge@north.example\x00"+password)))
	})
	t.Run("SMTP11_BadCommand", func(t *testing.T) { badCommands(t, x) })
	t.Run("OutOfOrderCommand", func(t *testing.T) { outOfOrder(t, x) })
	t.Run("SMTP10_InvalidData", func(t *testing.T) { badData(t, x) })
	c, code, err := x.under.signIn("edge@north.example", password)
	if err != nil || code != 235 {
		t.Fatalf("signing in: %d, %v", code, err)
	}
	sent := attach(t, c)
	three := unnamed(t, c)
	c.close()
	x.settle(t)
	for name, l := range sent {
		t.Run(name, func(t *testing.T) { l.unchanged(t, x) })
	}
	for option, subject := range three {
		name := "MT17_three_messages_unique_ids"
		if option {
			name = "MT45_three_messages_unique_ids_with_options"
		}
		t.Run(name, func(t *testing.T) { unique(t, x, subject, option) })
	}
	t.Run("SMTP8_14_18_send_with_STARTTLS", func(t *testing.T) {
		if n := len(x.arrivals(func(a arrival) bool { return !a.tls })); n > 0 {
			t.Errorf("%d messages came without STARTTLS", n)
		}
	})
}

// attach sends the messages with attachments.
func attach(t *testing.T, c *client) map[string]*letter {
	t.Helper()
	sent := map[string]*letter{}
	for name, entity := range attachings {
		l := &letter{from: "edge@north.example", to: "processeddispatched6@" + good, id: fmt.Sprintf("<%s.%d@north.example>", name, time.Now().UnixNano()),
			subject: name, fields: further[name], entity: entity}
		if name == "a_subject_of_many_languages" {
			l.subject = "=?utf-8?q?Gr=C3=BC=C3=9Fe?= =?iso-8859-2?q?=B3=F3d=BC?="
		}
		if _, err := c.send(l.from, []string{l.to}, crlf([]byte(l.message()))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		sent[name] = l
	}
	return sent
}

// unchanged says that a message came to the tool once, octet for octet, behind what a submission server adds.
func (l *letter) unchanged(t *testing.T, x *tool) {
	got := x.arrivals(func(a arrival) bool { return a.id == l.id })
	if len(got) != 1 {
		t.Fatalf("it came %d times", len(got))
	}
	_, body, _ := bytes.Cut(got[0].inner, []byte("\r\n\r\n"))
	_, want, _ := bytes.Cut(crlf([]byte(l.message())), []byte("\r\n\r\n"))
	if !bytes.Equal(bytes.TrimRight(body, "\r\n"), bytes.TrimRight(want, "\r\n")) {
		t.Errorf("its content came as\n%s\nwant\n%s", body, want)
	}
	head, _, _ := bytes.Cut(got[0].inner, []byte("\r\n\r\n"))
	for _, f := range append(slices.Clone(l.fields), "Subject: "+l.subject) {
		if !bytes.Contains(append(head, "\r\n"...), append(crlf([]byte(f)), "\r\n"...)) {
			t.Errorf("%q is not in the header:\n%s", f, head)
		}
	}
}

// unnamed sends three messages without a Message-ID, and three that ask for a notice of their delivery. It returns their subjects.
func unnamed(t *testing.T, c *client) map[bool]string {
	t.Helper()
	subjects := map[bool]string{false: "three messages", true: "three messages that ask"}
	for options, subject := range subjects {
		for range 3 {
			l := letter{from: "edge@north.example", to: "processeddispatched6@" + good, id: "<none@north.example>", subject: subject}
			if options {
				l.fields = []string{option}
			}
			text := strings.Replace(l.message(), "Message-ID: "+l.id+"\n", "", 1)
			if _, err := c.send(l.from, []string{l.to}, crlf([]byte(text))); err != nil {
				t.Error(err)
			}
		}
	}
	return subjects
}

// unique says that messages of a subject have Message-IDs of their own, and the option where it was written.
func unique(t *testing.T, x *tool, subject string, options bool) {
	got := x.arrivals(func(a arrival) bool { return a.header.Get("Subject") == subject })
	ids := map[string]bool{}
	for _, a := range got {
		ids[a.id] = true
		if (a.header.Get("Disposition-Notification-Options") != "") != options {
			t.Errorf("its options are %q", a.header.Get("Disposition-Notification-Options"))
		}
	}
	if len(got) != 3 || len(ids) != 3 {
		t.Errorf("%d messages came, with %d different Message-IDs", len(got), len(ids))
	}
}

// greeted is a session without TLS.
func greeted(t *testing.T, x *tool) *client {
	t.Helper()
	c, err := dial(x.under.submits)
	must(t, err)
	c.wants(t, 2, "EHLO edge.example")
	return c
}

// wants says a line and wants an answer that begins with a digit.
func (c *client) wants(t testing.TB, digit int, line string) {
	t.Helper()
	code, text, err := c.say("%s", line)
	if err != nil || code/100 != digit {
		t.Errorf("%.40q: %d %s, %v; want %dyz", line, code, text, err, digit)
	}
}

// badCommands are commands that no server may take.
func badCommands(t *testing.T, x *tool) {
	c, _, err := x.under.signIn("edge@north.example", password)
	must(t, err)
	defer c.close()
	for _, line := range []string{"MAILFROM:<edge@north.example>", "MAIL TO:<edge@north.example>", "MAIL FROM:edge@north.example>", "NONSENSE", "RCPT <x@" + good + ">",
		"EHLO", "STARTTLS", strings.Repeat("x", 5000)} {
		c.wants(t, 5, line)
	}
	c.wants(t, 2, "MAIL FROM:<edge@north.example>")
	c.wants(t, 5, "RCPT TO:<nobody>")
	c.wants(t, 5, "RCPT TO:<a b@"+good+">")
	c.wants(t, 2, "RSET")
}

// outOfOrder are commands whose turn it is not.
func outOfOrder(t *testing.T, x *tool) {
	c := greeted(t, x)
	c.wants(t, 5, "MAIL FROM:<edge@north.example>") // not before STARTTLS and AUTH
	c.wants(t, 5, "DATA")
	c.close()
	c, _, err := x.under.signIn("edge@north.example", password)
	must(t, err)
	defer c.close()
	c.wants(t, 5, "RCPT TO:<lab@"+good+">")
	c.wants(t, 5, "DATA")
	c.wants(t, 2, "MAIL FROM:<edge@north.example>")
	c.wants(t, 5, "DATA")
	c.wants(t, 5, "MAIL FROM:<edge@north.example>")
	c.wants(t, 2, "NOOP")
	c.wants(t, 2, "RSET")
}

// badData are contents that are no message of the account's.
func badData(t *testing.T, x *tool) {
	c, _, err := x.under.signIn("edge@north.example", password)
	must(t, err)
	defer c.close()
	whole := letter{from: "edge@north.example", to: "lab@" + good, id: x.newID()}.message()
	for name, text := range map[string]string{
		"no header":          "\x01\x02\x03\n",
		"no From":            strings.Replace(whole, "From: edge@north.example\n", "", 1),
		"another's From":     strings.Replace(whole, "From: edge@", "From: desk@", 1),
		"two From":           "From: desk@north.example\n" + whole,
		"no recipient":       strings.Replace(whole, "To: lab@"+good+"\n", "", 1),
		"a date that is not": strings.Replace(whole, "Date: ", "Date: soon, ", 1),
	} {
		if answer, err := c.send("edge@north.example", []string{"lab@" + good}, crlf([]byte(text))); err == nil || !strings.Contains(err.Error(), "after the content: 5") {
			t.Errorf("%s: %s, %v", name, answer, err)
		}
	}
}
