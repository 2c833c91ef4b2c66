package xdm

import (
	"slices"
	"strconv"
	"strings"
)

const (
	maxSets      = 100    // submission sets of a package
	maxDocuments = 10_000 // entries of a package
	maxValues    = 1000   // values of a slot
)

// values gives those of a slot.
func (e *element) values(slot string) (out []string) {
	for _, s := range e.all("Slot") {
		if s.get("name") != slot {
			continue
		}
		for _, list := range s.all("ValueList") {
			for _, v := range list.all("Value") {
				if len(out) < maxValues {
					out = append(out, strings.TrimSpace(v.text.String()))
				}
			}
		}
	}
	return out
}

func (e *element) value(slot string) string {
	if vs := e.values(slot); len(vs) > 0 {
		return vs[0]
	}
	return ""
}

// label gives the text of Name or Description.
func (e *element) label(name string) string {
	for _, n := range e.all(name) {
		for _, s := range n.all("LocalizedString") {
			if v := s.get("value"); v != "" {
				return v
			}
		}
	}
	return ""
}

func (e *element) classified(scheme string) (out []*element) {
	for _, c := range e.all("Classification") {
		if c.get("classificationScheme") == scheme {
			out = append(out, c)
		}
	}
	return out
}

func (e *element) code(scheme string) Code {
	for _, c := range e.classified(scheme) {
		return Code{Value: c.get("nodeRepresentation"), Scheme: c.value("codingScheme"), Display: c.label("Name")}
	}
	return Code{}
}

// node says whether the object is of that class. Some write limitedMetadata as a scheme rather than a node.
func (e *element) node(node string) bool {
	return slices.ContainsFunc(e.all("Classification"), func(c *element) bool {
		return c.get("classificationNode") == node || c.get("classificationScheme") == node
	})
}

func (e *element) external(scheme string) string {
	for _, x := range e.all("ExternalIdentifier") {
		if x.get("identificationScheme") == scheme {
			return x.get("value")
		}
	}
	return ""
}

// authors gives the addresses of the authors, or their names where there are none. telecom says that one had an address.
func (e *element) authors(scheme string) (out []string, telecom bool) {
	for _, c := range e.classified(scheme) {
		address := internet(c.value("authorTelecommunication"))
		telecom = telecom || address != ""
		if name := or(address, person(c.value("authorPerson"))); name != "" {
			out = append(out, name)
		}
	}
	return out, telecom
}

// internet finds the address in an XTN, which is written in several ways: ^^Internet^a@b, ^NET^Internet^a@b.
func internet(xtn string) string {
	for part := range strings.SplitSeq(xtn, "^") {
		if part = strings.TrimPrefix(strings.TrimSpace(part), "mailto:"); strings.Contains(part, "@") {
			return part
		}
	}
	return ""
}

// person reads the name of an XCN: id^family^given, or a bare name.
func person(xcn string) string {
	c := append(strings.Split(xcn, "^"), "", "", "")
	if name := strings.TrimSpace(c[2] + " " + c[1]); name != "" {
		return name
	}
	return c[0]
}

// recipient reads organisation|person|telecommunication.
func recipient(v string) string {
	c := append(strings.Split(v, "|"), "", "", "")
	for _, x := range c {
		if a := internet(x); a != "" {
			return a
		}
	}
	return or(person(c[1]), strings.TrimSuffix(strings.SplitN(c[0], "^", 2)[0], "^"))
}

func (e *element) patient(id string) (p Patient) {
	for _, v := range append(e.values("sourcePatientId"), id) {
		if i := identifier(v); i.Value != "" && !slices.Contains(p.IDs, i) {
			p.IDs = append(p.IDs, i)
		}
	}
	for _, v := range e.values("sourcePatientInfo") {
		field, value, _ := strings.Cut(v, "|")
		switch strings.TrimSpace(field) {
		case "PID-3":
			for cx := range strings.SplitSeq(value, "~") {
				if i := identifier(cx); i.Value != "" && len(p.IDs) < maxValues && !slices.Contains(p.IDs, i) {
					p.IDs = append(p.IDs, i)
				}
			}
		case "PID-5":
			p.Name = strings.TrimRight(strings.SplitN(value, "~", 2)[0], "^")
		case "PID-7":
			p.Birth = value
		case "PID-8":
			p.Sex = value
		case "PID-11":
			p.Address = value
		}
	}
	return p
}

// identifier reads a CX.
func identifier(cx string) Identifier {
	c := append(strings.Split(cx, "^"), "", "", "")
	a := strings.Split(c[3], "&")
	if len(a) > 1 {
		return Identifier{Authority: strings.TrimPrefix(a[1], "urn:oid:"), Value: strings.TrimSpace(c[0])}
	}
	return Identifier{Value: strings.TrimSpace(c[0])}
}

// uri joins what was cut into pieces: 1|first, 2|second.
func (e *element) uri() string {
	vs := e.values("URI")
	if len(vs) == 0 || !strings.HasPrefix(vs[0], "1|") {
		return e.value("URI")
	}
	var b strings.Builder
	for i, v := range vs {
		rest, ok := strings.CutPrefix(v, strconv.Itoa(i+1)+"|")
		if !ok {
			break
		}
		b.WriteString(rest)
	}
	return b.String()
}

// entry reads a DocumentEntry. Size and hash are those declared.
func entry(e *element) Document {
	d := Document{
		UniqueID: e.external(docUniqueID), Title: e.label("Name"), MIMEType: e.get("mimeType"), URI: e.uri(), Size: -1,
		Hash: e.value("hash"), Created: e.value("creationTime"), Language: e.value("languageCode"),
		Class: e.code(docClass), Type: e.code(docType), Format: e.code(docFormat), Patient: e.patient(e.external(docPatientID)),
	}
	d.Authors, _ = e.authors(docAuthor)
	if n, err := strconv.ParseInt(e.value("size"), 10, 64); err == nil && n >= 0 {
		d.Size = n
	}
	for _, v := range e.values(references) {
		d.References = append(d.References, strings.SplitN(v, "^", 2)[0])
	}
	return d
}

// set reads a SubmissionSet.
func set(e *element) SubmissionSet {
	s := SubmissionSet{
		UniqueID: e.external(setUniqueID), SourceID: e.external(setSourceID), Title: e.label("Name"), Comments: e.label("Description"),
		Submitted: e.value("submissionTime"), ContentType: e.code(setContentType), Patient: e.patient(e.external(setPatientID)),
		Limited: e.node(setLimited),
	}
	s.Authors, _ = e.authors(setAuthor)
	for _, v := range e.values("intendedRecipient") {
		if to := recipient(v); to != "" {
			s.Recipients = append(s.Recipients, to)
		}
	}
	return s
}
