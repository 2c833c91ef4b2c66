package main

import (
	"io"
	"strings"
	"time"

	"carepost/internal/admind"
	"carepost/xdm"
)

// printPackage tells people what a package holds.
func printPackage(w io.Writer, r *xdm.Report) error {
	p := &dicomPrinter{w: w, more: "--json"}
	p.line("%-10s  %s", r.Verdict, joinWords(count(len(r.Sets), "submission set"), count(r.Documents, "document"), byteCount(r.Bytes)))
	if r.Found < r.Documents {
		p.line("%12s%d of %d documents are there", "", r.Found, r.Documents)
	}
	if r.FileSet {
		p.line("%12sa DICOM File-set stands beside it: carepost dicom check", "")
	}
	for _, s := range r.Sets {
		p.line("\n%s", joinWords(orDash(s.Title), prefixed("from ", first(s.Authors)), when(s.Submitted)))
		patients := s.Patients()
		for _, who := range patients {
			p.line("patient  %s", who.Spoken())
		}
		p.list(len(s.Documents), func(i int) string {
			d := s.Documents[i]
			size := "MISSING"
			if d.File != "" {
				size = byteCount(d.Size)
			}
			whose := ""
			if len(patients) > 1 { // which of them
				whose = prefixed("of ", orDash(d.Patient.Spoken()))
			}
			return joinWords(orDash(d.Title), whose, d.Type.Display, d.MIMEType, size, or(d.File, d.URI))
		})
	}
	p.findings(r.Findings)
	return p.err
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

// when reads the time of a submission, as far as it goes.
func when(dtm string) string {
	const form = "20060102150405"
	for _, n := range []int{14, 12, 8} {
		if t, err := time.Parse(form[:n], dtm); err == nil {
			if n == 8 {
				return t.Format(time.DateOnly)
			}
			return t.Format("2006-01-02 15:04 MST")
		}
	}
	return dtm
}

// tellContext tells people what a message says of itself to programs.
func tellContext(c *admind.Contents, field func(name, value string)) {
	if c.Unread != "" {
		field("Context:", "announced, and cannot be read: "+strings.TrimPrefix(c.Unread, "directcontext: "))
	}
	if c.Context == nil {
		return
	}
	x := c.Context
	kind := x.Category
	if x.Action != "" {
		kind += "/" + x.Action
	}
	field("Context:", joinWords(kind, prefixed("for ", x.Purpose), prefixed("transaction ", x.ID)))
	who := []string{patientOf(*x).Spoken()}
	for _, a := range x.Patient {
		switch a.Name {
		case "givenName", "middleName", "surname", "dateOfBirth":
		default:
			who = append(who, a.Name+" "+a.Value)
		}
	}
	if text := joinWords(who...); text != "" {
		field("Patient:", text)
	}
	for _, f := range c.Findings {
		field("", f.Text)
	}
}
