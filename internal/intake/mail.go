package intake

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"strings"

	"carepost/dicom/fileset"
	"carepost/dicom/zipmail"
	"carepost/internal/queue"
	"carepost/message"
)

// compose streams the mail of a study. Who reads it closes it.
func (s *Service) compose(ctx context.Context, j *queue.Job, d detail, r Route, plan *fileset.Plan) (io.ReadCloser, error) {
	id, err := message.NewMessageID(rand.Reader, r.From.Domain)
	if err != nil {
		return nil, err
	}
	boundary, err := message.NewBoundary(rand.Reader)
	if err != nil {
		return nil, err
	}
	l := zipmail.Letter{From: r.From, To: r.To, Cc: r.Cc, Subject: r.Subject, Text: text(d, r, plan), Date: d.Closed, MessageID: id, Profile: r.Profile}
	out, in := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		in.CloseWithError(zipmail.Compose(ctx, in, l, plan, boundary, func(int64, int64) { _ = j.Progress() }))
	}()
	return &composing{out, done}, nil
}

// composing ends with its writer.
type composing struct {
	*io.PipeReader
	done chan struct{}
}

func (c *composing) Close() error {
	err := c.PipeReader.Close()
	<-c.done
	return err
}

// text is what the recipient reads. It names nobody.
func text(d detail, r Route, plan *fileset.Plan) string {
	var b strings.Builder
	if t := strings.TrimSpace(r.Text); t != "" {
		b.WriteString(t + "\n\n")
	}
	fmt.Fprintf(&b, "The attachment DICOM.ZIP holds a DICOM File-set: %s in %s, with their directory, DICOMDIR.\n",
		count(len(plan.Instances), "object"), count(plan.Series, "series"))
	b.WriteString("Open it with a DICOM program, or unpack it and give the folder to one.\n")
	if d.Before != "" {
		b.WriteString("\nThese objects came later: others of the same study have been sent in an earlier mail, and both belong together.\n")
	}
	return b.String()
}

func count(n int, what string) string {
	if n == 1 || what == "series" {
		return fmt.Sprintf("%d %s", n, what)
	}
	return fmt.Sprintf("%d %ss", n, what)
}
