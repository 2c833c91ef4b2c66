package mdn

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"carepost/message"
)

// Parse reads a notification from a parsed message and its source. Errors wrap ErrNotMDN, or those of message.ReadReport. It asks
// nothing of whom the notice is from: only a signature says that.
func Parse(root *message.Part, r io.ReaderAt) (*Notice, error) {
	text, groups, err := message.ReadReport(root, r, reportType)
	if errors.Is(err, message.ErrNotReport) {
		return nil, ErrNotMDN
	}
	if err != nil {
		return nil, fmt.Errorf("mdn: %w", err)
	}
	n := &Notice{Text: text}
	n.readHeader(root.Header)
	if err := n.readFields(groups); err != nil {
		return nil, err
	}
	if n.OriginalMessageID == "" {
		if ids := root.Header.MessageIDs("In-Reply-To"); len(ids) == 1 {
			n.OriginalMessageID = ids[0]
		}
	}
	return n, nil
}

// readHeader takes what the header says; what cannot be read stays zero.
func (n *Notice) readHeader(h message.Header) {
	if ms, err := h.Mailboxes("From"); err == nil && len(ms) == 1 {
		n.From = ms[0].Address
	}
	ms, _ := h.Mailboxes("To")
	for _, m := range ms {
		n.To = append(n.To, m.Address)
	}
	n.Date, _ = h.Date()
	n.MessageID = h.MessageID()
	n.Subject = h.Text("Subject")
}

// readFields takes the fields of all groups: RFC 3798 has no groups, blank lines among the fields are a fault that occurs.
func (n *Notice) readFields(groups []message.Header) error {
	seen := map[string]bool{}
	texts := map[string][]string{}
	for _, g := range groups {
		for _, f := range g.Fields() {
			name, v := strings.ToLower(f.Name), f.Value()
			switch name {
			case "final-recipient", "original-recipient", "original-message-id", "disposition":
				if seen[name] {
					return fmt.Errorf("mdn: %w: two fields %s", message.ErrAmbiguous, f.Name)
				}
				seen[name] = true
			case "error", "failure", "warning":
				texts[name] = append(texts[name], message.DecodeText(v))
				continue
			}
			n.readField(name, v, f.Name)
		}
	}
	n.Error, n.Failure, n.Warning = join(texts["error"]), join(texts["failure"]), join(texts["warning"])
	return nil
}

func (n *Notice) readField(name, v, written string) {
	switch name {
	case "reporting-ua":
		n.ReportingUA = message.DecodeText(v)
	case "final-recipient":
		n.FinalRecipient = message.ParseRecipient(v)
	case "original-recipient":
		n.OriginalRecipient = message.ParseRecipient(v)
	case "original-message-id":
		n.OriginalMessageID = message.ParseID(v)
	case "disposition":
		n.readDisposition(v)
	case "mdn-gateway":
	default:
		n.Extensions = append(n.Extensions, Extension{written, message.DecodeText(v)})
	}
}

// join puts the texts of several fields of one name together.
func join(texts []string) string { return strings.TrimLeft(strings.Join(texts, "\n"), "\n") }

// readDisposition reads action-mode "/" sending-mode ";" type [ "/" modifier *( "," modifier ) ]. What it cannot read reports
// nothing.
func (n *Notice) readDisposition(v string) {
	mode, rest, ok := strings.Cut(tokens(v), ";")
	if !ok {
		return
	}
	typ, modifiers, _ := strings.Cut(rest, "/")
	if typ == "" || strings.ContainsAny(typ, ";,") {
		return
	}
	n.Disposition = Disposition(typ)
	n.Manual = strings.HasPrefix(mode, "manual-action")
	for _, m := range strings.Split(modifiers, ",") {
		if m != "" {
			n.Modifiers = append(n.Modifiers, m)
		}
	}
}

// tokens returns s in lower case without white space and comments.
func tokens(s string) string {
	var b strings.Builder
	depth := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case c == '\\' && depth > 0:
			i++
		case depth > 0 || c == ' ' || c == '\t':
		case 'A' <= c && c <= 'Z':
			b.WriteByte(c + 'a' - 'A')
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// IsReport says whether a header is that of a report, which is never answered (Direct 3): a multipart/report of any type.
func IsReport(h message.Header) bool {
	_, ok := message.IsReport(h)
	return ok
}
