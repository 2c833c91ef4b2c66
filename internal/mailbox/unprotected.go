package mailbox

import (
	"strings"

	"carepost/dicom/fileset"
	"carepost/message"
)

// ProtectionField stands in what is kept of a mail that came neither encrypted nor signed (DCM-32). Package flow writes it, and lets none pass
// in such mail that somebody else has written. A set in that mail may be whole, but nobody vouches for it: whoever shows or passes on its
// verdict says so.
const ProtectionField = "X-Carepost-Protection"

// Unprotected says that the mail with this header came neither encrypted nor signed.
func Unprotected(h message.Header) bool {
	for _, v := range h.Values(ProtectionField) {
		if strings.HasPrefix(strings.TrimSpace(v), "none") {
			return true
		}
	}
	return false
}

// unprotectedFinding marks the verdict on a set that came so. It does not change it: a set may be whole that nobody vouches for.
var unprotectedFinding = fileset.Finding{Severity: fileset.Note, Rule: "mail-unprotected", Source: "PS3.11 X.1",
	Text: "UNPROTECTED: the mail was neither encrypted nor signed; anybody on its way could change it, and nobody vouches for its sender"}
