// Package mdn composes and reads Message Disposition Notifications.
//
// What it writes follows RFC 3798 as changed by Direct 3.1.1: the dispositions processed, failed and dispatched, the Failure field,
// and an Error field wherever the modifier error is. It reads these, and RFC 8098, which dropped failed and Failure again.
//
// It departs from RFC 3798 in what it reads: names in any case, white space and comments around every token, blank lines between
// fields, an Original-Message-ID without brackets, and a missing one, for which In-Reply-To stands. A notification without a
// readable Disposition is read, and reports nothing: its Disposition is empty.
package mdn

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"carepost/addr"
	"carepost/message"
)

// reportType is the report-type of RFC 6522 and the subtype of the part with the fields.
const reportType = "disposition-notification"

// DeliveryExtension is the field of a dispatched notification that answers a request for a notice of the final delivery, with an
// empty value, and the attribute of Disposition-Notification-Options that requests it (Implementation Guide for Delivery
// Notification in Direct, 1.3).
const DeliveryExtension = "X-DIRECT-FINAL-DESTINATION-DELIVERY"

// ErrNotMDN says that a message is no disposition notification.
var ErrNotMDN = errors.New("mdn: not a disposition notification")

// Disposition is a disposition-type (Direct 3.1.1), in lower case. The empty one reports nothing.
type Disposition string

const (
	Displayed  Disposition = "displayed"
	Processed  Disposition = "processed"
	Failed     Disposition = "failed"
	Dispatched Disposition = "dispatched"
	Deleted    Disposition = "deleted" // RFC 3798; read, never written
)

// Extension is a field that RFC 3798 does not know.
type Extension struct{ Name, Value string }

// Notice is one notification, about one message to one recipient.
type Notice struct {
	From      addr.Address // the recipient who reports
	To        []addr.Address
	Date      time.Time
	MessageID string // of the notification itself, with angle brackets
	Subject   string
	Text      string // for people; any length and any lines

	OriginalMessageID string // with angle brackets; "" when the original had none
	OriginalRecipient addr.Address
	FinalRecipient    addr.Address // From, when it is zero in Compose
	ReportingUA       string

	Disposition Disposition
	Manual      bool     // a person acted; zero is automatic-action/MDN-sent-automatically
	Modifiers   []string // in lower case; Compose adds "error" when Error is set
	Error       string   // must be set when "error" is among the modifiers (Direct 3.1.1)
	Failure     string   // why a failed notification was sent, and what can be done (Direct 3.3)
	Warning     string
	Extensions  []Extension
}

// Failing says that the notice reports something that went wrong: failed, or any disposition with the modifier error.
func (n *Notice) Failing() bool {
	return n.Disposition == Failed || n.Disposition == "denied" || slices.Contains(n.Modifiers, "error") || slices.Contains(n.Modifiers, "failed")
}

// Extension returns the value of an extension field, its name in any case.
func (n *Notice) Extension(name string) (value string, ok bool) {
	for _, e := range n.Extensions {
		if strings.EqualFold(e.Name, name) {
			return e.Value, true
		}
	}
	return "", false
}

// FinalDelivery says that the notice tells of a final delivery: dispatched, with DeliveryExtension.
func (n *Notice) FinalDelivery() bool {
	_, ok := n.Extension(DeliveryExtension)
	return ok && n.Disposition == Dispatched && !n.Failing()
}

// Compose writes the whole message: multipart/report of a text, the fields, and the Message-ID of the original. boundary comes
// from message.NewBoundary. From, To, Date, MessageID and Disposition must be set. The message is to be signed and encrypted, and
// its MAIL FROM is From, not null (Direct 3.1.1).
func Compose(w io.Writer, n Notice, boundary string) error {
	fields, err := n.fields()
	if err != nil {
		return err
	}
	var h message.Builder
	h.AddDate(n.Date)
	h.AddMailboxes("From", message.Mailbox{Address: n.From})
	h.AddMailboxes("To", mailboxes(n.To)...)
	h.AddText("Subject", n.Subject)
	h.Add("Message-ID", n.MessageID)
	rp := message.Report{Type: reportType, Boundary: boundary, Text: n.Text, Groups: []*message.Builder{fields}}
	if n.OriginalMessageID != "" {
		h.Add("In-Reply-To", n.OriginalMessageID)
		rp.Original = new(message.Builder).Add("Message-ID", n.OriginalMessageID)
	}
	h.Add("Auto-Submitted", "auto-replied") // RFC 3834 §3.1.7
	if err := rp.WriteTo(w, &h); err != nil {
		return fmt.Errorf("mdn: %w", err)
	}
	return nil
}

// fields writes the second part, in the order of RFC 3798 §3.1.
func (n *Notice) fields() (*message.Builder, error) {
	switch {
	case n.From.IsZero() || len(n.To) == 0 || n.Date.IsZero() || !validID(n.MessageID):
		return nil, errors.New("mdn: a notice needs From, To, Date and Message-ID (Direct 2.2)")
	case n.OriginalMessageID != "" && !validID(n.OriginalMessageID):
		return nil, errors.New("mdn: the original Message-ID is malformed")
	case n.Error == "" && slices.Contains(n.Modifiers, "error"):
		return nil, errors.New("mdn: the modifier error without an Error field (Direct 3.1.1)")
	}
	switch n.Disposition {
	case Displayed, Processed, Failed, Dispatched:
	default:
		return nil, errors.New("mdn: no disposition of Direct 3.1.1")
	}
	b := &message.Builder{}
	if n.ReportingUA != "" {
		b.AddText("Reporting-UA", n.ReportingUA)
	}
	if !n.OriginalRecipient.IsZero() {
		b.Add("Original-Recipient", "rfc822;"+n.OriginalRecipient.String())
	}
	final := n.FinalRecipient
	if final.IsZero() {
		final = n.From
	}
	b.Add("Final-Recipient", "rfc822;"+final.String())
	if n.OriginalMessageID != "" {
		b.Add("Original-Message-ID", n.OriginalMessageID)
	}
	b.Add("Disposition", n.disposition())
	for _, t := range []Extension{{"Failure", n.Failure}, {"Error", n.Error}, {"Warning", n.Warning}} {
		if t.Value != "" {
			b.AddText(t.Name, t.Value)
		}
	}
	for _, e := range n.Extensions {
		b.AddText(e.Name, e.Value)
	}
	return b, nil
}

func (n *Notice) disposition() string {
	mode := "automatic-action/MDN-sent-automatically"
	if n.Manual {
		mode = "manual-action/MDN-sent-manually"
	}
	modifiers := n.Modifiers
	if n.Error != "" && !slices.Contains(modifiers, "error") {
		modifiers = append([]string{"error"}, modifiers...)
	}
	d := mode + ";" + string(n.Disposition)
	if len(modifiers) > 0 {
		d += "/" + strings.Join(modifiers, ",")
	}
	return d
}

func mailboxes(as []addr.Address) []message.Mailbox {
	ms := make([]message.Mailbox, len(as))
	for i, a := range as {
		ms[i].Address = a
	}
	return ms
}

func validID(id string) bool { return message.ParseID(id) == id && id != "" }
