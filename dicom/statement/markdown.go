package statement

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// page writes Markdown. The first error stays in w.
type page struct{ w *bufio.Writer }

func (p page) line(format string, args ...any) { fmt.Fprintf(p.w, format+"\n", args...) }

func (p page) head(level int, text string) { p.line("\n%s %s\n", strings.Repeat("#", level), text) }

func (p page) table(head string, rows func(row func(cells ...string))) {
	n := strings.Count(head, "|") + 1
	p.line("| %s |\n|%s", strings.ReplaceAll(head, "|", " | "), strings.Repeat("---|", n))
	rows(func(cells ...string) {
		for i, c := range cells {
			cells[i] = strings.ReplaceAll(c, "|", `\|`)
		}
		p.line("| %s |", strings.Join(cells, " | "))
	})
}

// Markdown writes the statement in the order of PS3.2 Annex A: overview, networking, media interchange, character sets, security, annexes.
// It reads as plain text too.
func (s *Statement) Markdown(w io.Writer) error {
	p := page{bufio.NewWriter(w)}
	p.line("# DICOM Conformance Statement")
	p.line("\n%s %s", s.Product, s.Version)
	s.overview(p)
	s.networking(p)
	s.media(p)
	s.characterSets(p)
	s.securityPart(p)
	s.annexes(p)
	return p.w.Flush()
}

func (s *Statement) overview(p page) {
	p.head(2, "1 Overview")
	changes := "It never changes an instance"
	if len(s.Privacy) > 0 {
		changes += " unless asked to de-identify it"
	}
	p.line("%s carries DICOM File-sets by e-mail: it packs instances into DICOM.ZIP with a DICOMDIR, seals and sends the mail, and judges, "+
		"unpacks and hands on what arrives. %s, displays no images, and never updates a File-set that it received (no File-set Updater).\n", s.Product, changes)
	p.table("Media Storage Application Profile|File-set Creator|File-set Reader|File-set Updater", func(row func(...string)) {
		for _, x := range s.Profiles {
			row(x.Description+" ("+x.Identifier+")", "Yes", "Yes", "No")
		}
	})
	if len(s.Network) == 0 {
		p.line("\nNetwork services (DIMSE, DICOM Web): none.")
		return
	}
	p.line("")
	p.table("Network service|User of service (SCU)|Provider of service (SCP)", func(row func(...string)) {
		for _, e := range s.Network {
			for _, v := range e.Services {
				row(v.Name, yes(v.User), yes(v.Provider))
			}
		}
	})
}

func yes(b bool) string {
	if b {
		return "Yes"
	}
	return "No"
}

func (s *Statement) networking(p page) {
	p.head(2, "2 Networking")
	if len(s.Network) == 0 {
		p.line("There are no application entities on the network.")
	}
	for i, e := range s.Network {
		p.head(3, fmt.Sprintf("2.%d %s", i+1, e.Name))
		p.line("%s\n", e.Purpose)
		p.table("SOP Class|UID|SCU|SCP|Transfer Syntaxes", func(row func(...string)) {
			for _, v := range e.Services {
				row(v.Name, v.UID, yes(v.User), yes(v.Provider), v.Syntaxes)
			}
		})
		if len(e.Parameters) > 0 {
			p.line("")
			p.table("parameter|value", func(row func(...string)) {
				for _, x := range e.Parameters {
					row(x.Name, x.Value)
				}
			})
		}
	}
}

func (s *Statement) media(p page) {
	p.head(2, "3 Media interchange")
	p.head(3, "3.1 Application profiles")
	p.table("identifier|profile|roles|must be sealed", func(row func(...string)) {
		for _, x := range s.Profiles {
			row(x.Identifier, x.Description, strings.Join(x.Roles, ", "), yes(x.Secure))
		}
	})
	p.line("\nThe mail (PS3.11 L.3.2, PS3.12 Annex W; ZIP by PS3.12 Annex V):\n")
	p.table("header field|value", func(row func(...string)) {
		for _, x := range s.Headers {
			row(x.Field, "`"+x.Value+"`")
		}
	})
	p.head(3, "3.2 File-set Creator")
	p.line("DICOMDIR is the first entry of the archive, in Explicit VR Little Endian; MANIFEST, the File-set Descriptor File (0004,1141), is a text " +
		"with the SHA-256 of DICOMDIR, of every instance and of every file beside the set. File IDs are DICOM/Pnnnn/Snnnn/Rnnnn/Innnnn, " +
		"DICOM/OTHER/Innnnn for instances of no patient. The same instances give the same bytes. Icon images are not written. Contradictions stop; each can be " +
		"overruled, which is reported and audited:\n")
	p.table("contradiction|when it is overruled", func(row func(...string)) {
		for _, x := range s.Conflicts {
			row(x.Text, x.Effect)
		}
	})
	p.head(3, "3.3 File-set Reader")
	p.line("Every SOP Class and Transfer Syntax of the sections below is read; DICOMDIRs in Implicit VR or Big Endian, with wrong offsets or with " +
		"records of earlier editions are read as well, each with a finding. The verdict is COMPLETE, VIOLATIONS, INCOMPLETE or DAMAGED.")
	p.head(3, "3.4 Media Storage SOP Classes, general purpose profiles")
	p.table("SOP Class|UID|directory record", func(row func(...string)) {
		for _, c := range s.Classes {
			row(c.Name, c.UID, c.Record)
		}
	})
	p.line("\n%s", s.Unknown)
	p.head(3, "3.5 Transfer Syntaxes, general purpose profiles")
	p.table("Transfer Syntax|UID|in the archive", func(row func(...string)) {
		for _, x := range s.Syntaxes {
			row(x.Name, x.UID, map[bool]string{true: "deflated", false: "stored"}[x.Deflated])
		}
	})
	p.line("\n%s", s.OtherSyn)
	s.dentalPart(p)
}

func (s *Statement) dentalPart(p page) {
	p.head(3, "3.6 Dental profile")
	p.table("SOP Class|UID|Transfer Syntax", func(row func(...string)) {
		for _, c := range s.Dental.Classes {
			row(c.Name, c.UID, s.Dental.Syntax)
		}
	})
	p.line("\nBits Stored is one of %s; Bits Allocated is 8 where Bits Stored is 8, else 16. Present, though perhaps empty:\n",
		strings.Trim(strings.ReplaceAll(fmt.Sprint(s.Dental.BitsStored), " ", ", "), "[]"))
	p.table("attribute|tag|type", func(row func(...string)) {
		for _, k := range s.Dental.Attributes {
			row(k.Name, k.Tag, k.Type)
		}
	})
}

func (s *Statement) characterSets(p page) {
	p.head(2, "4 Character sets")
	p.line("A record carries the Specific Character Set of the instance whose keys it has, and their bytes as they are. For people, and for comparing " +
		"patients, these are decoded:\n")
	p.table("defined term|with code extensions|repertoire", func(row func(...string)) {
		for _, c := range s.Characters {
			row(dash(c.Term), dash(c.Extended), c.Description)
		}
	})
	p.line("\nValues in any other are kept and compared byte for byte.")
}

func dash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

func (s *Statement) securityPart(p page) {
	p.head(2, "5 Security")
	p.table("subject|source|conformance", func(row func(...string)) {
		for _, x := range s.Security {
			row(x.Name, x.Source, x.Text)
		}
	})
	if len(s.Privacy) == 0 {
		return
	}
	p.line("\nApplication Level Confidentiality Profiles (PS3.15 Annex E), by the choice of who sends:\n")
	p.table("code|profile or option|offered", func(row func(...string)) {
		for _, x := range s.Privacy {
			row(x.Code, x.Name, yes(x.Offered))
		}
	})
	p.line("\nPixels are never changed: an instance that says that names are burned into its pixels is refused unless the sender wants it all the same, and then keeps " +
		"Patient Identity Removed NO. Encapsulated documents and recordings of voices are refused. Free texts, UIDs, dates and addresses that Table E.1-1 does not list are " +
		"treated as listed ones are; private elements go, but for those that the instance itself declares safe, where that option is chosen.")
}

func (s *Statement) annexes(p page) {
	p.head(2, "A Directory records")
	p.line("Keys beyond Specific Character Set (0008,0005), which is written where a key of the record needs it. A key of type 1 that the instance " +
		"lacks is supplied in the record alone, reported, and the instance stays as it is.")
	for _, r := range s.Records {
		p.head(3, r.Type)
		if r.Under == "" {
			p.line("Below the root directory entity.")
		} else {
			p.line("Below %s.", r.Under)
		}
		if len(r.Keys) == 0 {
			continue
		}
		p.line("")
		p.table("key|tag|type|where the instance has none", func(row func(...string)) {
			for _, k := range r.Keys {
				row(k.Name, k.Tag, k.Type, k.Supplied)
			}
		})
	}
	p.line("\nPrivate Record UID of PRIVATE records: `%s`: an instance of a SOP Class without a record type of its own.", s.Identity.PrivateRecordUID)
	p.head(2, "B Limits")
	p.line("What is beyond is refused, with a finding.\n")
	p.table("of|limit", func(row func(...string)) {
		for _, l := range s.Limits {
			row(l.What, l.Value)
		}
	})
	p.head(2, "C Identification and extensions")
	p.table("element|value", func(row func(...string)) {
		row("Implementation Class UID (0002,0012)", s.Identity.ClassUID)
		row("Implementation Version Name (0002,0013)", s.Identity.VersionName)
	})
	p.line("\nStandard Extended, Specialized or Private SOP Classes: none. Private Transfer Syntaxes: none. Private attributes: none are written. " +
		"Coded terminology: the code (UNKNOWN, 99CAREPOST, \"Unknown\") stands in records where a required code is missing, " +
		"and (REMOVED, 99CAREPOST, \"Removed\") in de-identified instances where a code named a person.")
}
