package fileset

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"strings"

	"carepost/dicom"
)

// Pages of IHE PDI (RAD TF-2 4.47.4.1.2), which stand at the root beside the DICOMDIR.
const (
	PageName   = "INDEX.HTM"
	ReadmeName = "README.TXT"
)

var rulePDI = rule{"pdi-transfer-syntax", Note, "RAD TF-2 4.47"}

// PDI is what the pages of IHE Portable Data for Imaging say beyond the set itself.
type PDI struct {
	Contact string // of the institution: one line, to be asked about the images; may be empty
	Readme  []byte // the text of README.TXT; nil: one is made
	Changed bool   // the images are not as their makers made them: they were de-identified
}

// AddPDI puts README.TXT and INDEX.HTM beside the set, so that whoever opens the archive without a DICOM program learns what it is and
// whose. The files that were added before are linked; those added later are not. INDEX.HTM names patients: it travels within the seal.
func (p *Plan) AddPDI(o PDI) error {
	for i := range p.Instances {
		if p.Instances[i].TransferSyntax != dicom.ExplicitLittle {
			p.Findings = append(p.Findings, rulePDI.at("", "IHE PDI wants Explicit VR Little Endian of every instance; some of these are in other transfer syntaxes"))
			break
		}
	}
	readme := o.Readme
	if readme == nil {
		readme = p.readme(o)
	}
	return p.AddExtras(wholeExtra(ReadmeName, readme), wholeExtra(PageName, p.page(o.Contact)))
}

func wholeExtra(name string, b []byte) Extra {
	return Extra{Name: name, Size: int64(len(b)), Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }}
}

// readme is ASCII and names no patient.
func (p *Plan) readme(o PDI) []byte {
	lines := []string{
		"This archive holds DICOM images and documents (a DICOM File-set), as IHE PDI has",
		"it: Portable Data for Imaging.", "",
		"Institution:  " + o.Contact,
		"Made by:      Carepost (" + implementationName + ")",
		fmt.Sprintf("Contents:     %d instances, %d series, %d studies, %d patients", len(p.Instances), p.Series, p.Studies, p.Patients),
		"Viewer:       none is enclosed", "",
		"DICOMDIR      the directory: open it, or this folder, with a DICOM program",
		"DICOM         the images and documents it names",
		"INDEX.HTM     the same for people: open it with a browser",
		"MANIFEST      SHA-256 of every file: the set is complete only if all agree",
	}
	if o.Contact == "" {
		lines = append(lines[:3], lines[4:]...)
	}
	for _, x := range p.extras {
		lines = append(lines, x.Name)
	}
	lines = append(lines, "")
	if o.Changed {
		lines = append(lines, "The images were de-identified: what tells whose they are was taken out of them, or", "replaced. Whoever")
	} else {
		lines = append(lines, "The images are as their makers made them: nothing in them was changed. Whoever")
	}
	lines = append(lines, "made this archive answers for its contents, not the makers of the program.", "")
	return []byte(strings.Map(func(r rune) rune {
		if r >= 0x80 {
			return '?'
		}
		return r
	}, strings.Join(lines, "\r\n")))
}

// page is XHTML Basic.
func (p *Plan) page(contact string) []byte {
	var b bytes.Buffer
	b.WriteString("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n" +
		"<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML Basic 1.0//EN\" \"http://www.w3.org/TR/xhtml-basic/xhtml-basic10.dtd\">\r\n" +
		"<html xmlns=\"http://www.w3.org/1999/xhtml\" xml:lang=\"en\">\r\n<head><title>Images</title></head>\r\n<body>\r\n<h1>Images</h1>\r\n")
	if contact != "" {
		fmt.Fprintf(&b, "<p>From: %s</p>\r\n", html.EscapeString(contact))
	}
	for _, pt := range p.Tree {
		fmt.Fprintf(&b, "<h2>%s</h2>\r\n<p>Patient ID: %s</p>\r\n<ul>\r\n", html.EscapeString(plainName(pt.Name)), html.EscapeString(pt.ID))
		for _, st := range pt.Studies {
			fmt.Fprintf(&b, "<li>%s<ul>\r\n", html.EscapeString(inWords("Study "+st.ID, plainDate(st.Date), st.Description)))
			for _, se := range st.Series {
				fmt.Fprintf(&b, "<li>%s</li>\r\n", html.EscapeString(inWords("Series "+se.Number, se.Modality, fmt.Sprintf("%d instances", len(se.Instances)))))
			}
			b.WriteString("</ul></li>\r\n")
		}
		b.WriteString("</ul>\r\n")
	}
	b.WriteString("<p>Open the DICOMDIR with a DICOM program to see the images.</p>\r\n<ul>\r\n")
	for _, x := range p.extras {
		fmt.Fprintf(&b, "<li><a href=\"%s\">%s</a> (%d bytes)</li>\r\n", x.Name, x.Name, x.Size)
	}
	fmt.Fprintf(&b, "<li><a href=\"%s\">%s</a></li>\r\n</ul>\r\n</body>\r\n</html>\r\n", ReadmeName, ReadmeName)
	return b.Bytes()
}

func inWords(ws ...string) string {
	var kept []string
	for _, w := range ws {
		if w = strings.TrimSpace(w); w != "" {
			kept = append(kept, w)
		}
	}
	return strings.Join(kept, ", ")
}

// plainName shows the first group of a person's name that says something (PS3.5 6.2.1).
func plainName(s string) string {
	for group := range strings.SplitSeq(s, "=") {
		parts := strings.Split(group, "^")
		family := strings.TrimSpace(parts[0])
		given := strings.Join(strings.Fields(strings.Join(parts[1:], " ")), " ")
		if name := strings.Trim(family+", "+given, ", "); name != "" {
			return name
		}
	}
	return "No name"
}

func plainDate(s string) string {
	if len(s) != 8 || strings.Trim(s, "0123456789") != "" {
		return s
	}
	return s[:4] + "-" + s[4:6] + "-" + s[6:]
}
