package xdm

import (
	"mime"
	"path"
	"strings"

	"carepost/message"
)

// Phrase is what the subject of a mail with a package contains (ITI TF-2 3.32.4.1.4).
const Phrase = "XDM/1.0/DDM"

// Subject gives a subject that holds the phrase in plain ASCII, whatever the rest is. Further tags are joined to it by slashes, as ITI-32
// has it: Subject(s, "DICOM-ZIP") begins with XDM/1.0/DDM/DICOM-ZIP.
func Subject(s string, tags ...string) string {
	phrase := strings.Join(append([]string{Phrase}, tags...), "/")
	s = strings.TrimSpace(s)
	ascii := strings.IndexFunc(s, func(r rune) bool { return r >= 0x80 }) < 0
	switch {
	case s == "":
		return phrase
	case ascii && strings.Contains(s, phrase):
		return s
	case !ascii:
		s = mime.BEncoding.Encode("utf-8", strings.TrimSpace(strings.Replace(s, phrase, "", 1)))
	}
	return phrase + " " + s
}

// HasPhrase looks for the tag of a package in a subject, its version included, in any case of letters: what follows differs by country.
func HasPhrase(subject string) bool { return strings.Contains(strings.ToUpper(subject), "XDM/1.0") }

// Kinds of metadata, for Framework.
const (
	MetadataXD      = "urn:dt-org:dsm:map:SMTP+XD:1.0"  // a package of documents
	MetadataContext = "urn:dt-org:dsm:map:SMTP+CIG:1.0" // a Direct Context
)

// Framework gives the fields of the inner header by which a message says what its metadata are (DirectTrust Metadata and Payload 1.0: what
// it asks of messages that belong to no use case of their own).
func Framework(kind string) (out []message.Field) {
	for _, f := range [][2]string{{"x-direct-metadata-payload-versionIdentifier", "1.0"}, {"x-direct-useCase", "any-all"}, {"x-direct-metadataTypeCode", kind}} {
		out = append(out, message.Field{Name: f[0], Raw: []byte(f[0] + ": " + f[1] + "\r\n")})
	}
	return out
}

// ContentType and Disposition of a package in a mail, which is named by the mail's Message-ID.
func ContentType(messageID string) string {
	return `application/zip; name="` + fileName(messageID) + `"`
}

// Disposition goes with ContentType.
func Disposition(messageID string) string {
	return `attachment; filename="` + fileName(messageID) + `"`
}

// fileName is <message-id>-xdm.zip, of what is harmless in the names of files.
func fileName(messageID string) string {
	id := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r) {
			return r
		}
		if r == '@' {
			return '-'
		}
		return -1
	}, messageID)
	return strings.TrimLeft(id[:min(len(id), 150)]+"-xdm.zip", "-.")
}

// maxCandidates bounds the attachments that are looked into.
const maxCandidates = 16

// Candidates are the attachments that may be a package, the likeliest first: ZIPs by their type, then by their name, then what has no type
// that says something (programs send packages as octet-stream or XML too).
func Candidates(root *message.Part) (out []*message.Part) {
	var ranks [3][]*message.Part
	for p := range root.Walk() {
		if len(p.Parts) > 0 || p.Type.Type == "multipart" {
			continue
		}
		t := p.Type
		switch {
		case t.Is("application", "zip") || t.Is("application", "x-zip-compressed") || t.Is("application", "x-zip"):
			ranks[0] = append(ranks[0], p)
		case strings.EqualFold(path.Ext(strings.TrimSpace(p.Filename())), ".zip"):
			ranks[1] = append(ranks[1], p)
		case t.Is("application", "octet-stream") || t.Is("application", "xml") || t.Is("text", "xml"):
			ranks[2] = append(ranks[2], p)
		}
	}
	for _, r := range ranks {
		out = append(out, r...)
	}
	return out[:min(len(out), maxCandidates)]
}
