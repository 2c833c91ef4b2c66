package zipmail

import (
	"carepost/message"
)

// Candidates are the attachments of a mail that may carry a File-set, in their order: each that is called DICOM.ZIP, and each other ZIP, by its
// type or its name. Find chooses one of them.
func Candidates(root *message.Part) (out []*message.Part) {
	for p := range root.Walk() {
		if len(p.Parts) > 0 || p.Type.Type == "multipart" {
			continue
		}
		if _, ok := consider(p); ok {
			out = append(out, p)
		}
	}
	return out
}
