package flow

import (
	"context"
	"fmt"
	"strings"

	"carepost/directcontext"
	"carepost/internal/mailbox"
	"carepost/internal/queue"
	"carepost/internal/transit"
	"carepost/xdm"
)

// describe looks for what a trusted message holds for programs. It decides nothing: a package that is not whole is told of, and shown.
func (f *Flow) describe(ctx context.Context, j *queue.Job, body transit.Body) (mailbox.Contents, error) {
	c, err := mailbox.Describe(ctx, f.Blobs, body, func(done, total int64) {
		f.Progress("check", done, total)
		_ = j.Progress() // a lost lease shows when the step is settled
	})
	if err != nil {
		return c, fmt.Errorf("flow: inbound: %w", err)
	}
	return c, nil
}

// packageWords name nobody: they stand in the timeline.
func packageWords(r *xdm.Report) string {
	if r == nil {
		return ""
	}
	return fmt.Sprintf("%s: %d of %d documents", r.Verdict, r.Found, r.Documents)
}

// contextWords tell the kind of a context by the words of its lists alone.
func contextWords(c mailbox.Contents) string {
	switch {
	case c.Unread != "":
		return "cannot be read"
	case c.Context == nil:
		return ""
	}
	words := "of no kind"
	if _, _, err := directcontext.ParseType(c.Context.Category + "/" + c.Context.Action); err == nil {
		words = c.Context.Category + "/" + c.Context.Action
	}
	if p, err := directcontext.ParsePurpose(c.Context.Purpose); err == nil {
		words += " for " + p
	}
	return strings.TrimSpace(words)
}
