package zipmail

import (
	"path"
	"slices"
	"strings"

	"carepost/dicom/fileset"
	"carepost/message"
)

// candidate is an attachment that may be the File-set: the lower the rank, the surer.
type candidate struct {
	part *message.Part
	rank int
	name string

	fileset.Glance // what it holds, where somebody has looked
}

// Find gives the attachment that carries the File-set, or nil, and how mail and attachment depart from PS3.11 X.3.2, by their headers alone:
// see FindSet.
//
// An attachment named DICOM.ZIP is it, whatever its type; failing that, the only ZIP in the mail.
func Find(root *message.Part) (*message.Part, []fileset.Finding) {
	found := candidates(root)
	if len(found) == 0 {
		return nil, nil
	}
	two := len(found) > 1 && found[1].rank == found[0].rank
	return found[0].part, found[0].findings(root, two)
}

// candidates are the attachments that may be the File-set, the surest first.
func candidates(root *message.Part) (found []candidate) {
	for p := range root.Walk() {
		if len(p.Parts) > 0 || p.Type.Type == "multipart" {
			continue
		}
		if c, ok := consider(p); ok {
			found = append(found, c)
		}
	}
	slices.SortStableFunc(found, func(x, y candidate) int { return x.rank - y.rank })
	return found
}

// findings say how a mail departs from X.3.2 of which c is taken for the File-set; two: another may be it.
func (c candidate) findings(root *message.Part, two bool) (out []fileset.Finding) {
	find := func(rule, source, text string) {
		out = append(out, fileset.Finding{Severity: fileset.Violation, Rule: rule, Source: source, Text: text})
	}
	if two {
		find("mail-two-sets", "PS3.12 Y.1.1", "more than one attachment may be the File-set; the first is taken")
	}
	if !HasPhrase(root.Header.Text("Subject")) {
		find("mail-subject", "PS3.11 X.3.2 e", "the subject does not contain DICOM-ZIP")
	}
	if len(root.Parts) > 0 && !root.Closed {
		out = append(out, cutMail)
	}
	departures(c, find)
	return out
}

// cutMail is found where a mail ends too early.
var cutMail = fileset.Finding{Severity: fileset.Violation, Rule: "mail-cut", Source: "RFC 2046 5.1.1", Text: "the last boundary is missing: the mail may be cut"}

// Doubt says that a finding of Find leaves it open whether the attachment is the set that was sent, and all of it. The others are about the
// form of the mail alone: what ordinary mail programs write is a violation of PS3.11 X.3.2, and the set in it may be whole.
func Doubt(f fileset.Finding) bool {
	return f.Rule == "mail-two-sets" || f.Rule == "mail-objects-beside" || f.Rule == "mail-cut"
}

// consider ranks a part.
func consider(p *message.Part) (candidate, bool) {
	name := path.Base(strings.ReplaceAll(p.Filename(), `\`, "/"))
	c := candidate{part: p, name: name}
	zip := p.Type.Is("application", "zip")
	switch {
	case strings.EqualFold(name, AttachmentName):
		c.rank = 0
	case strings.EqualFold(p.Type.Params["id"], AttachmentName) || strings.EqualFold(p.Type.Params["name"], AttachmentName):
		c.rank = 0
	case zip || p.Type.Is("application", "x-zip-compressed") || p.Type.Is("application", "x-zip"):
		c.rank = 1
	case strings.EqualFold(path.Ext(name), ".zip"):
		c.rank = 2
	default:
		return c, false
	}
	return c, true
}

// departures lists what PS3.11 X.3.2 a–c would have otherwise.
func departures(c candidate, find func(rule, source, text string)) {
	t := c.part.Type
	if !t.Is("application", "zip") {
		find("mail-content-type", "PS3.11 X.3.2 a", "Content-Type is not application/zip")
	}
	if t.Params["id"] != AttachmentName || t.Params["name"] != AttachmentName {
		find("mail-attachment-id", "PS3.11 X.3.2 b", `Content-Type lacks id="DICOM.ZIP"; name="DICOM.ZIP"`)
	}
	kind, params, err := c.part.Header.Disposition()
	if err != nil || kind != "attachment" || params["filename"] != AttachmentName {
		find("mail-disposition", "PS3.11 X.3.2 c", `Content-Disposition is not attachment; filename="DICOM.ZIP"`)
	}
}
