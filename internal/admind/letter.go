package admind

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"

	"carepost/addr"
	"carepost/internal/blob"
	"carepost/internal/mailbox"
	"carepost/message"
)

// letter gives the letter of a mail as a file of text, to stay with a study that is taken out.
func (s *Server) letter(w http.ResponseWriter, r *http.Request) {
	s.with(w, r, func(_ Mail, b *blob.Body) error {
		l, err := mailbox.ReadLetter(b)
		if errors.Is(err, message.ErrSyntax) || errors.Is(err, message.ErrAmbiguous) || errors.Is(err, message.ErrLimit) {
			return &Error{Status: http.StatusUnprocessableEntity, Code: Damaged, Reason: "the structure of the message cannot be read"}
		}
		if err != nil {
			return err
		}
		text := l.String()
		s.stream(w, "text/plain; charset=utf-8", int64(len(text)), strings.NewReader(text))
		return nil
	})
}

// MailLetter reads the letter of a mail as a file of text (mailbox.Letter).
func (c *Client) MailLetter(ctx context.Context, a addr.Address, folder string, uid uint32) (string, error) {
	r, _, err := c.stream(ctx, mailPath(a, folder, uid, "letter"))
	if err != nil {
		return "", err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	return string(b), err
}
