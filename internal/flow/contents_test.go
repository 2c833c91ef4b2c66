package flow

import (
	"testing"

	"carepost/dicom/fileset"
	"carepost/directcontext"
	"carepost/internal/mailbox"
	"carepost/xdm"
)

// The timeline tells of a package and of a context by words of ours alone: what a sender wrote into them does not come in. DIR-08.
func TestContentsWords(t *testing.T) {
	for want, c := range map[string]mailbox.Contents{
		"":                               {},
		"cannot be read":                 {Unread: "directcontext: malformed"},
		"of no kind":                     {Context: &directcontext.Context{Category: "Ann Berg", Action: "4711", Purpose: "Ann Berg"}},
		"radiology/report for treatment": {Context: &directcontext.Context{Category: "radiology", Action: "report", Purpose: "treatment"}},
	} {
		if got := contextWords(c); got != want {
			t.Errorf("%q rather than %q", got, want)
		}
	}
	r := &xdm.Report{Verdict: fileset.Incomplete, Documents: 2, Found: 1}
	if got := packageWords(r); got != "INCOMPLETE: 1 of 2 documents" || packageWords(nil) != "" {
		t.Error(got)
	}
}
