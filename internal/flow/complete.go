package flow

import (
	"bytes"
	"crypto/rand"
	"errors"
	"hash"
	"io"
	"strings"
	"time"

	"carepost/addr"
	"carepost/internal/blob"
	"carepost/message"
)

// complete copies a message of one of our own accounts to the draft, as it is to be sealed: Date and Message-ID are added where a
// mail program left them out (RFC 6409 §8.2, §8.3), fields of blind copies are taken out (RFC 5322 §3.6.3). All other bytes stay.
//
// What repeats have in common is hashed: the message as it came, but for the Received field that our own listener put in front.
func (f *Flow) complete(d *blob.Draft, digest hash.Hash, r io.Reader, from addr.Domain) error {
	br, done := f.reader(r)
	defer done()
	h, err := message.ReadHeader(br, message.Limits{})
	if err != nil {
		return unreadable(err)
	}
	head, err := completed(h, digest, from, f.Clock())
	if err != nil {
		return err
	}
	if _, err := d.Write(head); err != nil {
		return err
	}
	_, err = br.WriteTo(io.MultiWriter(d, digest))
	return err
}

// unreadable tells what is wrong with a header from what is wrong with the connection it comes by.
func unreadable(err error) error {
	for _, e := range []error{message.ErrSyntax, message.ErrAmbiguous, message.ErrLimit} {
		if errors.Is(err, e) {
			return &Refusal{"RFC 5322 §2.2", "the message has no readable header"}
		}
	}
	return err
}

// completed writes the header and the blank line after it.
func completed(h message.Header, digest hash.Hash, from addr.Domain, now time.Time) ([]byte, error) {
	var out bytes.Buffer
	eol := "\r\n"
	for i, field := range h.Fields() {
		if i == 0 && !bytes.HasSuffix(field.Raw, []byte("\r\n")) && bytes.HasSuffix(field.Raw, []byte("\n")) {
			eol = "\n"
		}
		if i > 0 || !strings.EqualFold(field.Name, "Received") {
			digest.Write(field.Raw)
		}
		switch strings.ToLower(field.Name) {
		case "bcc", "resent-bcc":
			continue
		}
		out.Write(field.Raw)
		if !bytes.HasSuffix(field.Raw, []byte("\n")) { // the message ends here
			out.WriteString(eol)
		}
	}
	digest.Write([]byte("\n"))
	if !h.Has("Date") {
		out.WriteString("Date: " + message.FormatDate(now) + eol)
	}
	if !h.Has("Message-ID") {
		id, err := message.NewMessageID(rand.Reader, from)
		if err != nil {
			return nil, err
		}
		out.WriteString("Message-ID: " + id + eol)
	}
	out.WriteString(eol)
	return out.Bytes(), nil
}
