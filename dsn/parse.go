package dsn

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"carepost/message"
)

// maxRecipients bounds the recipients that are read of one notification.
const maxRecipients = 5000

// Parse reads a notification from a parsed message and its source. Errors wrap ErrNotDSN, or those of message.ReadReport. It asks
// nothing of whom the notification is from: only a signature says that.
func Parse(root *message.Part, r io.ReaderAt) (*Report, error) {
	text, groups, err := message.ReadReport(root, r, reportType)
	if errors.Is(err, message.ErrNotReport) {
		return nil, ErrNotDSN
	}
	if err != nil {
		return nil, fmt.Errorf("dsn: %w", err)
	}
	rep := &Report{Text: text}
	rep.readHeader(root.Header)
	if err := rep.readGroups(groups); err != nil {
		return nil, err
	}
	if rep.OriginalMessageID == "" { // Direct 3.1.2: for legacy systems
		if ids := root.Header.MessageIDs("In-Reply-To"); len(ids) == 1 {
			rep.OriginalMessageID = ids[0]
		}
	}
	return rep, nil
}

// readHeader takes what the header says; what cannot be read stays zero.
func (r *Report) readHeader(h message.Header) {
	if ms, err := h.Mailboxes("From"); err == nil && len(ms) == 1 {
		r.From = ms[0].Address
	}
	ms, _ := h.Mailboxes("To")
	for _, m := range ms {
		r.To = append(r.To, m.Address)
	}
	r.Date, _ = h.Date()
	r.MessageID = h.MessageID()
	r.Subject = h.Text("Subject")
}

// readGroups tells the recipients apart. A group ends one when it has what RFC 3464 asks of it; else a blank line too many is
// passed over. A field that comes a second time begins the next one.
func (r *Report) readGroups(groups []message.Header) error {
	var seen map[string]bool // of the last recipient; nil when the next field begins one
	for _, g := range groups {
		for _, f := range g.Fields() {
			name, v := strings.ToLower(f.Name), f.Value()
			if !perRecipient(name) {
				r.readField(name, v)
				continue
			}
			if seen == nil || seen[name] {
				if len(r.Recipients) >= maxRecipients {
					return fmt.Errorf("dsn: %w: too many recipients", message.ErrLimit)
				}
				r.Recipients = append(r.Recipients, Status{})
				seen = map[string]bool{}
			}
			seen[name] = true
			r.Recipients[len(r.Recipients)-1].readField(name, v)
		}
		if seen["final-recipient"] && seen["action"] && seen["status"] {
			seen = nil
		}
	}
	if len(r.Recipients) == 0 {
		return fmt.Errorf("dsn: %w: no recipient", message.ErrSyntax)
	}
	return nil
}

func perRecipient(name string) bool {
	switch name {
	case "original-recipient", "final-recipient", "action", "status", "remote-mta", "diagnostic-code", "last-attempt-date",
		"will-retry-until", "final-log-id":
		return true
	}
	return false
}

// readField takes a per-message field; the first of a name counts.
func (r *Report) readField(name, v string) {
	switch {
	case name == "x-original-message-id" && r.OriginalMessageID == "":
		r.OriginalMessageID = message.ParseID(v)
	case name == "original-envelope-id" && r.OriginalEnvelopeID == "":
		r.OriginalEnvelopeID = v
	case name == "reporting-mta" && r.ReportingMTA == "":
		r.ReportingMTA = typed(v)
	case name == "arrival-date" && r.ArrivalDate.IsZero():
		r.ArrivalDate, _ = message.ParseDate(v)
	}
}

func (s *Status) readField(name, v string) {
	switch name {
	case "original-recipient":
		s.OriginalRecipient = message.ParseRecipient(v)
	case "final-recipient":
		s.FinalRecipient = message.ParseRecipient(v)
	case "action":
		word, _ := message.CutComment(v)
		switch a := Action(strings.ToLower(word)); a {
		case Failed, Delayed, Delivered, Relayed, Expanded:
			s.Action = a
		case "failure": // so some write it
			s.Action = Failed
		}
	case "status":
		code, comment := message.CutComment(v)
		if ValidCode(code) {
			s.Code = code
		}
		s.Comment = comment
	case "remote-mta":
		s.RemoteMTA = typed(v)
	case "diagnostic-code":
		s.Diagnostic = message.DecodeText(typed(v))
	case "last-attempt-date":
		s.LastAttempt, _ = message.ParseDate(v)
	case "will-retry-until":
		s.WillRetryUntil, _ = message.ParseDate(v)
	}
}

// typed returns what follows the type and its semicolon (RFC 3464 §2.1.2): "dns; host.example" is "host.example".
func typed(v string) string {
	if typ, rest, ok := strings.Cut(v, ";"); ok && !strings.ContainsAny(strings.TrimSpace(typ), " \t") {
		return strings.TrimSpace(rest)
	}
	return v
}
