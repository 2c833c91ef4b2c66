package flow

import (
	"crypto/rand"
	"fmt"
	"io"

	"carepost/dsn"
	"carepost/internal/rule"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/mdn"
	"carepost/message"
)

// reportingUA names us in notices (RFC 3798 §3.2.1).
const reportingUA = "Carepost"

// subjects of notices, before the subject of what they are about.
var subjects = map[mdn.Disposition]string{
	mdn.Processed: "Processed: ", mdn.Dispatched: "Delivered: ", mdn.Displayed: "Read: ", mdn.Failed: "Not delivered: ",
}

// mdn begins a notice from a recipient to those who are owed it.
func (f *Flow) mdn(o *owed, d mdn.Disposition) (mdn.Notice, error) {
	self := o.self
	id, err := message.NewMessageID(rand.Reader, self.Domain)
	if err != nil {
		return mdn.Notice{}, fmt.Errorf("flow: notice: %w", err)
	}
	return mdn.Notice{
		From: self, To: o.to, Date: o.now, MessageID: id, Subject: subjects[d] + or(o.message.Header.Subject, "(no subject)"),
		OriginalMessageID: o.message.Header.MessageID, OriginalRecipient: o.recipient.Address, FinalRecipient: o.recipient.Address,
		ReportingUA: f.Hostname + "; " + reportingUA, Disposition: d,
	}, nil
}

// headOf is what is kept of a notice.
func headOf(n mdn.Notice) store.Header {
	return store.Header{MessageID: n.MessageID, Subject: n.Subject, Sender: n.From.String(), Date: n.Date}
}

// failureNotice composes the news that a message was not delivered, or is of no use as it is.
func (f *Flow) failureNotice(o *owed, x failure) (compose func(io.Writer, string) error, head store.Header, err error) {
	self := o.self
	if f.Rules.Of(self, o.to[0], transit.Inbound).Failures == rule.ByMDN {
		n, err := f.mdn(o, mdn.Failed)
		n.Failure = x.reason + "\n" + remedy(x)
		n.Text = failureText(o.message.Header, []failure{x})
		return func(w io.Writer, boundary string) error { return mdn.Compose(w, n, boundary) }, headOf(n), err
	}
	r, err := f.failureReport(self.Domain, o.to[0], o.message.Header, []failure{x}, o.now)
	if err != nil {
		return nil, head, err
	}
	r.From, r.To = self, o.to
	head = store.Header{MessageID: r.MessageID, Subject: r.Subject, Sender: self.String(), Date: o.now}
	return func(w io.Writer, boundary string) error { return dsn.Compose(w, r, boundary) }, head, nil
}
