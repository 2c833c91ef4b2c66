package intake

import (
	"crypto/rand"
	"fmt"
	"strings"

	"carepost/dicom/fileset"
	"carepost/dicom/zipmail"
	"carepost/message"
)

// mailOf gives the mail of a study around the set, or around a part of it.
func mailOf(d detail, r Route) (func(*fileset.Plan) zipmail.Letter, error) {
	id, err := message.NewMessageID(rand.Reader, r.From.Domain)
	if err != nil {
		return nil, err
	}
	return func(plan *fileset.Plan) zipmail.Letter {
		return zipmail.Letter{From: r.From, To: r.To, Cc: r.Cc, Subject: r.Subject, Text: text(d, r, plan), Date: d.Closed, MessageID: id, Profile: r.Profile}
	}, nil
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
		b.WriteString("\nThese objects came later: others of the same study are in an earlier mail, and both belong together.\n")
	}
	return b.String()
}

func count(n int, what string) string {
	if n == 1 || what == "series" {
		return fmt.Sprintf("%d %s", n, what)
	}
	return fmt.Sprintf("%d %ss", n, what)
}
