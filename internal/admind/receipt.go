package admind

import (
	"context"
	"errors"
	"net/http"

	"carepost/addr"
)

// Receipt says who asks to be told that a mail is read, and whether they have been told.
type Receipt struct {
	To   []addr.Address `json:"to"`   // nobody: none asks, or none may be told
	Sent bool           `json:"sent"` // before or, in the answer to SendReceipt, now
	Now  bool           `json:"now,omitempty"`
}

func (s *Server) receipt(w http.ResponseWriter, r *http.Request) {
	p, m, err := s.named(r)
	if err != nil {
		s.fail(w, err)
		return
	}
	out, err := s.receiptOf(r.Context(), p.of, m)
	s.answer(w, out, err)
}

func (s *Server) sendReceipt(w http.ResponseWriter, r *http.Request) {
	p, m, err := s.named(r)
	if err != nil {
		s.fail(w, err)
		return
	}
	if m.Message == "" { // a notice of our own
		s.fail(w, &Error{Status: http.StatusUnprocessableEntity, Code: Refused, Clause: "RFC 3798 §2.1", Reason: "nobody asks to be told that this mail is read"})
		return
	}
	now, err := s.o.Flow.SendReceipt(r.Context(), actor(r), p.of, m.Message)
	if err != nil {
		s.fail(w, err)
		return
	}
	out, err := s.receiptOf(r.Context(), p.of, m)
	out.Now = now
	s.answer(w, out, err)
}

// receiptOf is what is known; a mail that is no message of ours is nothing to be told of.
func (s *Server) receiptOf(ctx context.Context, of addr.Address, m Mail) (out Receipt, err error) {
	out.To = []addr.Address{}
	if m.Message == "" {
		return out, nil
	}
	known, err := s.o.Flow.Receipt(ctx, of, m.Message)
	if e := s.knownOrNil(err); e != nil && e.Code == NotFound {
		return out, nil
	}
	if len(known.To) > 0 {
		out.To, out.Sent = known.To, known.Sent
	}
	return out, err
}

func (s *Server) knownOrNil(err error) *Error {
	if err == nil || errors.Is(err, context.Canceled) {
		return nil
	}
	return s.known(err)
}

// named is the row of the mail that a request names.
func (s *Server) named(r *http.Request) (p place, m Mail, err error) {
	if p, err = where(r); err != nil {
		return p, m, err
	}
	rows, err := s.o.Mailboxes.List(r.Context(), actor(r), p.of, p.folder, p.uid-1, 1)
	if err == nil && (len(rows) == 0 || rows[0].UID != p.uid) {
		err = noMail()
	}
	if err != nil {
		return p, m, err
	}
	return p, Mail{UID: rows[0].UID, Message: rows[0].Message}, nil
}

// Receipt tells who asks to be told that a mail is read.
func (c *Client) Receipt(ctx context.Context, a addr.Address, folder string, uid uint32) (out Receipt, err error) {
	return out, c.ask(ctx, mailPath(a, folder, uid, "receipt"), &out)
}

// SendReceipt tells them, once. Refused where nobody asks.
func (c *Client) SendReceipt(ctx context.Context, a addr.Address, folder string, uid uint32) (out Receipt, err error) {
	return out, c.call(ctx, http.MethodPost, mailPath(a, folder, uid, "receipt"), nil, &out)
}
