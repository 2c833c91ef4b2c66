package mailbox

import (
	"carepost/dicom/fileset"
	"carepost/dicom/zipmail"
)

// Doubts are the findings about the mail that concern the set as well: see zipmail.Doubt. Without them the recipient has what was sent,
// whatever program sent it (DCM-23, DCM-28).
func (a *Attached) Doubts() (out []fileset.Finding) {
	for _, f := range a.Findings {
		if zipmail.Doubt(f) {
			out = append(out, f)
		}
	}
	return out
}
