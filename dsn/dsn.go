// Package dsn composes and reads Delivery Status Notifications.
//
// What it writes follows RFC 3464 with the per-message field X-Original-Message-ID that Direct 3.1.2 adds, status codes of RFC 3463
// with the reason as a comment (Direct 3.3), and RFC 6522.
//
// It departs from RFC 3464 in what it reads: names in any case, white space around tokens, blank lines within a group of fields,
// and a missing X-Original-Message-ID, for which In-Reply-To stands (Direct 3.1.2). A recipient without a readable Action is
// read, and reports nothing: its Action is empty.
package dsn

import (
	"errors"
	"fmt"
	"io"
	"time"

	"carepost/addr"
	"carepost/message"
)

// reportType is the report-type of RFC 6522 and the subtype of the part with the fields.
const reportType = "delivery-status"

// ErrNotDSN says that a message is no delivery status notification.
var ErrNotDSN = errors.New("dsn: not a delivery status notification")

// Action is an action-value of RFC 3464 §2.3.3, in lower case. The empty one reports nothing.
type Action string

const (
	Failed    Action = "failed"
	Delayed   Action = "delayed"
	Delivered Action = "delivered"
	Relayed   Action = "relayed"
	Expanded  Action = "expanded"
)

// Report is one notification, about one message to one or more recipients.
type Report struct {
	From      addr.Address
	To        []addr.Address
	Date      time.Time
	MessageID string // of the notification itself, with angle brackets
	Subject   string
	Text      string // for people; any length and any lines

	OriginalMessageID  string // with angle brackets; "" when the original had none
	OriginalEnvelopeID string // the ENVID of RFC 3461, decoded
	ReportingMTA       string // a host name
	ArrivalDate        time.Time
	Recipients         []Status

	// Returned is the original's header, or all of it (Whole), instead of its Message-ID alone (RET of RFC 3461 §4.3); written, not read.
	// What message.Returnable refuses is left out.
	Returned []byte
	Whole    bool
}

// Status is what became of one recipient.
type Status struct {
	OriginalRecipient addr.Address
	OriginalAs        string // written instead of OriginalRecipient: the ORCPT of RFC 3461, decoded ("rfc822;b@p.example")
	FinalRecipient    addr.Address
	Action            Action
	Code              string // RFC 3463, for example "5.7.1"
	Comment           string // why, and what can be done; any lines (Direct 3.3)
	RemoteMTA         string // a host name
	Diagnostic        string // the SMTP reply of RemoteMTA
	LastAttempt       time.Time
	WillRetryUntil    time.Time
}

// Compose writes the whole message: multipart/report of a text, the fields, and the Message-ID of the original. boundary comes
// from message.NewBoundary. From, To, Date, MessageID, ReportingMTA and one Recipient at least must be set. The message is to be
// signed and encrypted, and its MAIL FROM is not null (Direct 3.1.2).
func Compose(w io.Writer, r Report, boundary string) error {
	groups, err := r.groups()
	if err != nil {
		return err
	}
	var h message.Builder
	h.AddDate(r.Date)
	h.AddMailboxes("From", message.Mailbox{Address: r.From})
	to := make([]message.Mailbox, len(r.To))
	for i, a := range r.To {
		to[i].Address = a
	}
	h.AddMailboxes("To", to...)
	h.AddText("Subject", r.Subject)
	h.Add("Message-ID", r.MessageID)
	rp := message.Report{Type: reportType, Boundary: boundary, Text: r.Text, Groups: groups}
	if r.OriginalMessageID != "" {
		h.Add("In-Reply-To", r.OriginalMessageID)
		rp.Original = new(message.Builder).Add("Message-ID", r.OriginalMessageID)
	}
	h.Add("Auto-Submitted", "auto-replied") // RFC 3834 §3.1.7
	if message.Returnable(r.Returned) {
		rp.Returned, rp.Whole = r.Returned, r.Whole
	}
	if err := rp.WriteTo(w, &h); err != nil {
		return fmt.Errorf("dsn: %w", err)
	}
	return nil
}

// groups writes the per-message fields and those of each recipient, in the order of RFC 3464 §2.2 and §2.3.
func (r *Report) groups() ([]*message.Builder, error) {
	switch {
	case r.From.IsZero() || len(r.To) == 0 || r.Date.IsZero() || !validID(r.MessageID):
		return nil, errors.New("dsn: a notification needs From, To, Date and Message-ID (Direct 2.2)")
	case r.OriginalMessageID != "" && !validID(r.OriginalMessageID):
		return nil, errors.New("dsn: the original Message-ID is malformed")
	case r.ReportingMTA == "" || len(r.Recipients) == 0:
		return nil, errors.New("dsn: a notification needs a Reporting-MTA and a recipient (RFC 3464 §2.1)")
	}
	b := &message.Builder{}
	if r.OriginalEnvelopeID != "" {
		b.Add("Original-Envelope-Id", r.OriginalEnvelopeID)
	}
	b.Add("Reporting-MTA", "dns; "+r.ReportingMTA)
	if !r.ArrivalDate.IsZero() {
		b.Add("Arrival-Date", message.FormatDate(r.ArrivalDate))
	}
	if r.OriginalMessageID != "" {
		b.Add("X-Original-Message-ID", r.OriginalMessageID)
	}
	groups := []*message.Builder{b}
	for i := range r.Recipients {
		g, err := r.Recipients[i].fields()
		if err != nil {
			return nil, err
		}
		groups = append(groups, g)
	}
	return groups, nil
}

func (s *Status) fields() (*message.Builder, error) {
	switch s.Action {
	case Failed, Delayed, Delivered, Relayed, Expanded:
	default:
		return nil, errors.New("dsn: no action of RFC 3464")
	}
	if s.FinalRecipient.IsZero() || !ValidCode(s.Code) {
		return nil, errors.New("dsn: a recipient needs its address and a status code (RFC 3464 §2.3)")
	}
	b := &message.Builder{}
	switch {
	case s.OriginalAs != "":
		b.Add("Original-Recipient", s.OriginalAs)
	case !s.OriginalRecipient.IsZero():
		b.Add("Original-Recipient", "rfc822;"+s.OriginalRecipient.String())
	}
	b.Add("Final-Recipient", "rfc822;"+s.FinalRecipient.String())
	b.Add("Action", string(s.Action))
	b.AddComment("Status", s.Code, s.Comment)
	if s.RemoteMTA != "" {
		b.Add("Remote-MTA", "dns; "+s.RemoteMTA)
	}
	if s.Diagnostic != "" {
		b.AddText("Diagnostic-Code", "smtp; "+s.Diagnostic)
	}
	if !s.LastAttempt.IsZero() {
		b.Add("Last-Attempt-Date", message.FormatDate(s.LastAttempt))
	}
	if !s.WillRetryUntil.IsZero() {
		b.Add("Will-Retry-Until", message.FormatDate(s.WillRetryUntil))
	}
	return b, nil
}

// ValidCode checks the form of a status code (RFC 3463 §2): class "." subject "." detail.
func ValidCode(c string) bool {
	if len(c) < 5 || len(c) > 9 || (c[0] != '2' && c[0] != '4' && c[0] != '5') || c[1] != '.' {
		return false
	}
	digits, dots := 0, 0
	for i := 2; i < len(c); i++ {
		switch {
		case c[i] == '.' && digits > 0:
			dots, digits = dots+1, 0
		case '0' <= c[i] && c[i] <= '9' && digits < 3:
			digits++
		default:
			return false
		}
	}
	return dots == 1 && digits > 0
}

func validID(id string) bool { return id != "" && message.ParseID(id) == id }
