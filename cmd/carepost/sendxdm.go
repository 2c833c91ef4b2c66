package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"carepost/addr"
	"carepost/dicom/fileset"
	"carepost/dicom/zipmail"
	"carepost/message"
	"carepost/xdm"
)

// packageText stands in the body of a mail with a package when the sender writes nothing. It names nobody.
const packageText = "The attachment holds documents with what is said of them (IHE XDM).\n" +
	"Unpack it and open INDEX.HTM, or give it to a records system.\n"

// pack reads the documents and plans the package. Nothing is sent of what cannot be described.
func (l *letter) pack(ctx context.Context, z *zipmail.Letter, from addr.Address) (*xdm.Plan, error) {
	docs, err := l.about.inputs(l)
	if err != nil {
		return nil, err
	}
	out := xdm.Letter{Author: from, Recipients: append(append([]addr.Address{}, z.To...), z.Cc...), Submitted: z.Date, Title: z.Subject,
		Patient: l.about.who, Documents: docs}
	if p := l.parcel.plan; p != nil {
		out.Studies = studies(p.Tree)
		if out.Patient.Name == "" && len(p.Tree) == 1 {
			out.Patient.Name = pid5(p.Tree[0].Name)
		}
		z.Subject = xdm.Subject(z.Subject, zipmail.SubjectPhrase)
	} else {
		z.Subject = xdm.Subject(z.Subject)
		z.Text = or(z.Text, packageText)
	}
	plan, err := xdm.Prepare(ctx, out)
	if err == nil || ctx.Err() != nil {
		return plan, err
	}
	var path interface{ Timeout() bool } // of *fs.PathError: the disk, not a value
	if errors.As(err, &path) {
		return nil, notNow(err)
	}
	return nil, usage(fmt.Errorf("nothing was sent: the package: %s", bare(err)))
}

// attachment is the package alone.
func packageAttachment(ctx context.Context, p *xdm.Plan, messageID string, count func(int64)) message.Attachment {
	before := int64(0)
	return message.Attachment{Type: xdm.ContentType(messageID), Disposition: xdm.Disposition(messageID), Write: func(w io.Writer) error {
		return p.Write(ctx, w, func(done, _ int64) {
			count(done - before)
			before = done
		})
	}}
}

// studies are the Study Instance UIDs of a set.
func studies(tree []fileset.Patient) (out []string) {
	for _, p := range tree {
		for _, s := range p.Studies {
			out = append(out, s.UID)
		}
	}
	return out
}

// studyList tells people what the images of a set are of.
func studyList(tree []fileset.Patient) string {
	var b strings.Builder
	for _, p := range tree {
		fmt.Fprintf(&b, "%s  %s\r\n", orDash(personName(p.Name)), p.ID)
		for _, s := range p.Studies {
			n := 0
			for _, x := range s.Series {
				n += len(x.Instances)
			}
			fmt.Fprintf(&b, "  %s\r\n", joinWords("study "+orDash(s.ID), dicomDate(s.Date, s.Time), s.Description, prefixed("accession ", s.Accession), count(n, "instance")))
		}
	}
	b.WriteString("\r\nThe images stand beside this package: open DICOMDIR with a DICOM program.\r\n")
	return b.String()
}

// pid5 makes the name of DICOM (PS3.5 6.2.1) one of HL7; where it cannot be one, there is none.
func pid5(name string) string {
	name, _, _ = strings.Cut(name, "=")
	parts := strings.Split(name, "^")
	name = strings.TrimRight(strings.Join(parts[:min(len(parts), 3)], "^"), "^ ")
	if strings.ContainsAny(name, "|~&") {
		return ""
	}
	return name
}
