package ett

import (
	"fmt"
	"strings"
	"time"
)

// letter is a message before it is sealed.
type letter struct {
	from, to string
	id       string // with brackets
	subject  string
	fields   []string // further ones
	entity   string   // Content-Type and what follows; "" = a line of text
}

const text = "Content-Type: text/plain; charset=utf-8\n\nThe knee is better.\n"

// header is what the message says of itself, without what is MIME's.
func (l letter) header(inside bool) string {
	h := fmt.Sprintf("From: %s\nTo: %s\nDate: %s\nMessage-ID: %s\nMIME-Version: 1.0\n", l.from, l.to, time.Now().UTC().Format(time.RFC1123Z), l.id)
	if inside {
		h += "Subject: " + or(l.subject, "A case of the tool") + "\n"
		for _, f := range l.fields {
			h += f + "\n"
		}
	}
	return h
}

// content is its entity. Two letters are never signed alike: what was signed before is known again.
func (l letter) content() string {
	return or(l.entity, strings.Replace(text, "better.", "better. "+l.id, 1))
}

// message is the letter in clear.
func (l letter) message() string { return l.header(true) + l.content() }

// sealed is the letter for the recipient's certificate: wrapped as Direct asks for, or with its header outside.
func (l letter) sealed(f form, recipient string) ([]byte, error) {
	entity := "Content-Type: message/rfc822\n\n" + l.message()
	if f.unwrapped {
		entity = l.content()
	}
	cms, err := seal(crlf([]byte(entity)), f, recipient)
	if err != nil {
		return nil, err
	}
	mime, rest, _ := strings.Cut(string(cms), "MIME-Version: 1.0\r\n") // the letter has its own
	return append(crlf([]byte(l.header(f.unwrapped))), mime+rest...), nil
}

// notice is an MDN as the tool writes it (RFC 3798), and where it departs from that.
type notice struct {
	original, recipient string
	disposition         string // "processed"
	fields              string // further ones of the second part
	odd                 func(fields string) string
	from, envelope      string // "" = recipient; "<>" = null
	another             string // the Message-ID that it names instead of original
}

// entity is the report without its header.
func (n notice) entity() string {
	fields := fmt.Sprintf("Reporting-UA: ett.example; ETT\nOriginal-Recipient: rfc822;%[1]s\nFinal-Recipient: rfc822;%[1]s\nOriginal-Message-ID: %[2]s\n"+
		"Disposition: automatic-action/MDN-sent-automatically;%[3]s\n%[4]s", n.recipient, or(n.another, n.original), n.disposition, n.fields)
	if n.odd != nil {
		fields = n.odd(fields)
	}
	return "Content-Type: multipart/report; report-type=disposition-notification; boundary=\"limit\"\n\n--limit\nContent-Type: text/plain\n\n" +
		"A notice of the tool.\n\n--limit\nContent-Type: message/disposition-notification\n\n" + fields + "\n--limit--\n"
}

// failure is a failed DSN (RFC 3464) about one recipient.
func failure(original, recipient string) string {
	return "Content-Type: multipart/report; report-type=delivery-status; boundary=\"limit\"\n\n--limit\nContent-Type: text/plain\n\nNot delivered.\n\n" +
		"--limit\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.ett.example\nX-Original-Message-ID: " + original +
		"\n\nFinal-Recipient: rfc822; " + recipient + "\nAction: failed\nStatus: 5.1.1 (nobody has this address)\n\n--limit--\n"
}
