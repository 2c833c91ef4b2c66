package ett

import (
	"archive/zip"
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"strings"
)

// documents are what is attached in the cases, by their names: entities.
var documents = map[string]string{
	"TextOnly":     text,
	"CCDA":         attached("text/xml", "CCDA.xml", cda("2.16.840.1.113883.10.20.22.1.2")),
	"C32":          attached("text/xml", "C32.xml", cda("2.16.840.1.113883.3.88.11.32.1")),
	"CCR":          attached("text/xml", "CCR.xml", `<?xml version="1.0"?><ContinuityOfCareRecord xmlns="urn:astm-org:CCR"><CCRDocumentObjectID>1</CCRDocumentObjectID></ContinuityOfCareRecord>`),
	"CDAOnly":      only("application/xml", "CDA.xml", cda("2.16.840.1.113883.10.20.22.1.1")),
	"ImageOnly":    only("image/png", "dot.png", "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"),
	"PDFOnly":      only("application/pdf", "one.pdf", pdf),
	"MixedContent": mixed(text, part("application/pdf", "one.pdf", pdf), part("text/xml", "CDA.xml", cda("2.16.840.1.113883.10.20.22.1.1")), part("image/png", "dot.png", "\x89PNG\r\n\x1a\n")),
	"XDM_zip":      attached("application/zip", "XDM.ZIP", xdm("")),
}

const pdf = "%PDF-1.1\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"

// cda is the smallest document of a template.
func cda(template string) string {
	return `<?xml version="1.0" encoding="UTF-8"?>
<?xml-stylesheet type="text/xsl" href="CDA.xsl"?>
<ClinicalDocument xmlns="urn:hl7-org:v3"><templateId root="` + template + `"/><title>A summary</title></ClinicalDocument>
`
}

// xdm is a package with one document, as the tool sends it. page takes the place of INDEX.HTM.
func xdm(page string) string {
	document := cda("2.16.840.1.113883.10.20.22.1.2")
	metadata := fmt.Sprintf(`<?xml version="1.0"?>
<lcm:SubmitObjectsRequest xmlns:lcm="urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0" xmlns:rim="urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"><rim:RegistryObjectList>
<rim:ExtrinsicObject id="D1" mimeType="text/xml" objectType="urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1">
<rim:Slot name="URI"><rim:ValueList><rim:Value>DOC1.XML</rim:Value></rim:ValueList></rim:Slot>
<rim:Slot name="size"><rim:ValueList><rim:Value>%d</rim:Value></rim:ValueList></rim:Slot>
<rim:Slot name="hash"><rim:ValueList><rim:Value>%x</rim:Value></rim:ValueList></rim:Slot>
</rim:ExtrinsicObject></rim:RegistryObjectList></lcm:SubmitObjectsRequest>
`, len(document), sha1.Sum([]byte(document)))
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range [][2]string{
		{"INDEX.HTM", or(page, "<html><body><a href=\"IHE_XDM/SUBSET01/DOC1.XML\">the document</a></body></html>")}, {"README.TXT", "A package of the tool.\n"},
		{"IHE_XDM/", ""}, {"IHE_XDM/SUBSET01/", ""}, {"IHE_XDM/SUBSET01/METADATA.XML", metadata}, {"IHE_XDM/SUBSET01/DOC1.XML", document},
	} {
		e, err := w.Create(f[0])
		if err == nil {
			_, err = e.Write([]byte(f[1]))
		}
		if err != nil {
			panic(err)
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.String()
}

// part is a part of a multipart: a file.
func part(kind, name, content string) string {
	return fmt.Sprintf("Content-Type: %s; name=%q\nContent-Disposition: attachment; filename=%[2]q\nContent-Transfer-Encoding: base64\n\n%[3]s", kind, name, folded(content))
}

// only is a message that is a file and nothing else.
func only(kind, name, content string) string { return part(kind, name, content) }

// attached is a text with a file.
func attached(kind, name, content string) string { return mixed(text, part(kind, name, content)) }

// mixed is a multipart of these parts.
func mixed(parts ...string) string {
	return "Content-Type: multipart/mixed; boundary=\"a limit\"\n\n--a limit\n" + strings.Join(parts, "\n--a limit\n") + "\n--a limit--\n"
}

// folded is base64 in lines of 76.
func folded(content string) string {
	s := base64.StdEncoding.EncodeToString([]byte(content))
	var b strings.Builder
	for len(s) > 76 {
		b.WriteString(s[:76] + "\n")
		s = s[76:]
	}
	return b.String() + s + "\n"
}
