package admind

import (
	"context"
	"net/http"

	"carepost/addr"
	"carepost/directcontext"
	"carepost/internal/blob"
	"carepost/internal/mailbox"
	"carepost/xdm"
)

// Contents is what a mail holds for programs, besides a File-set.
type Contents struct {
	Part    int         `json:"part,omitempty"`    // which carries the package
	Package *xdm.Report `json:"package,omitempty"` // of documents with their metadata; see xdm.Report

	Context  *directcontext.Context  `json:"context,omitempty"`
	Findings []directcontext.Finding `json:"context_findings,omitempty"`
	Unread   string                  `json:"context_unread,omitempty"` // why a context that is announced cannot be read
}

// contents judges the package of a mail, and reads its context.
func (s *Server) contents(w http.ResponseWriter, r *http.Request) {
	s.with(w, r, func(_ Mail, b *blob.Body) error {
		c, err := mailbox.Describe(r.Context(), s.o.Mailboxes.Blobs, b, nil)
		if err != nil {
			return err
		}
		s.answer(w, Contents(c), nil)
		return nil
	})
}

// MailContents tells what a message holds for programs: a package of documents, a Direct Context.
func (c *Client) MailContents(ctx context.Context, a addr.Address, folder string, uid uint32) (out Contents, err error) {
	return out, c.call(ctx, http.MethodGet, mailPath(a, folder, uid, "contents"), nil, &out)
}
