package xdm

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"path"
	"strings"
)

// ebrim writes the elements of METADATA.XML in the order of the ebRIM schema: slots, name, classifications, external identifiers.
type ebrim struct {
	b     bytes.Buffer
	id    int
	depth int
}

// attr is a name and a value, in turn.
func (e *ebrim) open(name string, attr ...string) {
	e.indent()
	e.b.WriteString("<" + name)
	for i := 0; i+1 < len(attr); i += 2 {
		e.b.WriteString(" " + attr[i] + `="` + escaped(attr[i+1]) + `"`)
	}
	e.b.WriteString(">\n")
	e.depth++
}

func (e *ebrim) close(name string) {
	e.depth--
	e.indent()
	e.b.WriteString("</" + name + ">\n")
}

func (e *ebrim) indent() { e.b.WriteString(strings.Repeat(" ", e.depth)) }

// leaf writes an element without content.
func (e *ebrim) leaf(name string, attr ...string) {
	e.open(name, attr...)
	e.b.Truncate(e.b.Len() - 2)
	e.b.WriteString("/>\n")
	e.depth--
}

func (e *ebrim) next() string {
	e.id++
	return fmt.Sprintf("id_%d", e.id)
}

func (e *ebrim) slot(name string, values ...string) {
	if len(values) == 0 || len(values) == 1 && values[0] == "" {
		return
	}
	e.open("Slot", "name", name)
	e.open("ValueList")
	for _, v := range values {
		e.indent()
		e.b.WriteString("<Value>" + escaped(v) + "</Value>\n")
	}
	e.close("ValueList")
	e.close("Slot")
}

func (e *ebrim) name(text string) {
	if text != "" {
		e.open("Name")
		e.leaf("LocalizedString", "value", text)
		e.close("Name")
	}
}

func (e *ebrim) code(object, scheme string, c Code) {
	if c.Value == "" {
		return
	}
	e.open("Classification", "id", e.next(), "classificationScheme", scheme, "classifiedObject", object, "nodeRepresentation", c.Value)
	e.slot("codingScheme", c.Scheme)
	e.name(or(c.Display, c.Value))
	e.close("Classification")
}

func (e *ebrim) author(object, scheme, telecom string) {
	e.open("Classification", "id", e.next(), "classificationScheme", scheme, "classifiedObject", object, "nodeRepresentation", "")
	e.slot("authorTelecommunication", "^^Internet^"+telecom) // ITI TF-3 4.2.3.1.4.5: XTN
	e.close("Classification")
}

func (e *ebrim) node(object, node string) {
	e.leaf("Classification", "id", e.next(), "classifiedObject", object, "classificationNode", node)
}

func (e *ebrim) external(object, scheme, name, value string) {
	if value == "" {
		return
	}
	e.open("ExternalIdentifier", "id", e.next(), "registryObject", object, "identificationScheme", scheme, "value", value)
	e.name(name)
	e.close("ExternalIdentifier")
}

// metadata writes METADATA.XML.
func (p *Plan) metadata() []byte {
	e := &ebrim{}
	e.b.WriteString(xml.Header)
	e.open("lcm:SubmitObjectsRequest", "xmlns:lcm", lcm, "xmlns", rim)
	e.open("RegistryObjectList")
	for i := range p.docs {
		e.document(&p.docs[i], p)
	}
	e.set(p)
	e.node(setObject, isSet)
	for i := range p.docs {
		e.open("Association", "id", e.next(), "associationType", hasMember, "sourceObject", setObject, "targetObject", p.docs[i].object)
		e.slot("SubmissionSetStatus", "Original")
		e.close("Association")
	}
	e.close("RegistryObjectList")
	e.close("lcm:SubmitObjectsRequest")
	return e.b.Bytes()
}

const setObject = "SubmissionSet01"

func (e *ebrim) document(d *planned, p *Plan) {
	e.open("ExtrinsicObject", "id", d.object, "objectType", stableDocument, "mimeType", d.MIMEType)
	e.slot("creationTime", d.created())
	e.slot("hash", fmt.Sprintf("%x", d.sha1))
	e.slot("size", fmt.Sprint(d.size))
	e.slot("URI", path.Base(d.file)) // relative to the folder of METADATA.XML
	e.slot("languageCode", d.Language)
	e.patient(p.letter.Patient)
	var refs []string
	for _, uid := range d.References {
		refs = append(refs, uid+"^^^^"+studyUID)
	}
	e.slot(references, refs...)
	e.name(d.Title)
	e.author(d.object, docAuthor, p.letter.Author.String())
	e.code(d.object, docClass, d.Class)
	e.code(d.object, docConfidentiality, normal)
	e.code(d.object, docFormat, d.Format)
	e.code(d.object, docType, d.Type)
	e.node(d.object, docLimited)
	e.external(d.object, docPatientID, "XDSDocumentEntry.patientId", p.letter.Patient.cx())
	e.external(d.object, docUniqueID, "XDSDocumentEntry.uniqueId", d.uniqueID)
	e.close("ExtrinsicObject")
}

func (e *ebrim) set(p *Plan) {
	e.open("RegistryPackage", "id", setObject)
	e.slot("submissionTime", stamp(p.letter.Submitted))
	var to []string
	for _, a := range p.letter.Recipients {
		to = append(to, "||^^Internet^"+a.String()) // ITI TF-3 4.2.3.3.7: organisation|person|telecommunication
	}
	e.slot("intendedRecipient", to...)
	e.name(p.letter.Title)
	e.author(setObject, setAuthor, p.letter.Author.String())
	content := noteCode
	if len(p.letter.Studies) > 0 {
		content = imagingCode
	}
	e.code(setObject, setContentType, content)
	e.node(setObject, setLimited)
	e.external(setObject, setPatientID, "XDSSubmissionSet.patientId", p.letter.Patient.cx())
	e.external(setObject, setSourceID, "XDSSubmissionSet.sourceId", p.sourceID)
	e.external(setObject, setUniqueID, "XDSSubmissionSet.uniqueId", p.uniqueID)
	e.close("RegistryPackage")
}

func (e *ebrim) patient(p Patient) {
	var ids, info []string
	for _, id := range p.IDs {
		ids = append(ids, id.cx())
	}
	e.slot("sourcePatientId", ids...)
	for _, f := range []struct{ field, value string }{{"PID-5", p.Name}, {"PID-7", p.Birth}, {"PID-8", p.Sex}, {"PID-11", p.Address}} {
		if f.value != "" {
			info = append(info, f.field+"|"+f.value)
		}
	}
	e.slot("sourcePatientInfo", info...)
}

// cx writes an identifier (ITI TF-3 Table 4.2.3.1.7-2).
func (i Identifier) cx() string {
	if i.Authority == "" {
		return i.Value
	}
	return i.Value + "^^^&" + i.Authority + "&ISO"
}

// cx is the first identifier that says who gave it: patientId may hold no other.
func (p Patient) cx() string {
	for _, id := range p.IDs {
		if id.Authority != "" {
			return id.cx()
		}
	}
	return ""
}

// escaped is text for XML; what XML cannot hold becomes U+FFFD.
func escaped(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s)) // a Buffer does not fail
	return b.String()
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
