package statement

import (
	"strconv"

	"carepost/dicom"
	"carepost/dicom/fileset"
	"carepost/dicom/zipmail"
)

// limits are those of reading; whatever is beyond is refused with a finding.
func limits(l fileset.Limits) []Limit {
	return []Limit{
		{"files of a set", strconv.Itoa(l.Entries)},
		{"DICOMDIR", size(l.Directory)},
		{"one file", size(l.File)},
		{"all files of a set", size(l.Total)},
		{"all files to the archive, once they are more than 1 GiB", strconv.FormatInt(l.Ratio, 10) + " to 1"},
		{"sequences within one another", strconv.Itoa(dicom.MaxDepth)},
		{"keys kept of one file", size(dicom.DefaultMaxKept)},
		{"a deflated data set, inflated", size(dicom.MaxInflated)},
		{"DICOMDIR that is written: offsets have 32 bits", "4 GiB"},
	}
}

// size shows octets in binary units, of which the limits are whole numbers.
func size(n int64) string {
	for _, u := range []struct {
		name string
		unit int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= u.unit && n%u.unit == 0 {
			return strconv.FormatInt(n/u.unit, 10) + " " + u.name
		}
	}
	return strconv.FormatInt(n, 10) + " octets"
}

func headers() []MailParameter {
	return []MailParameter{
		{"Content-Type", zipmail.ContentType},
		{"Content-Disposition", zipmail.Disposition},
		{"Subject", "contains " + zipmail.SubjectPhrase},
	}
}

// security is what PS3.2 asks under Security.
func security() []Security {
	return []Security{
		{"Secure Use of Email Transport", "PS3.15 B.8", "The secure profiles are sent sealed only: the whole mail is signed by the sender (SHA-256 or more) and encrypted " +
			"(AES-128 or AES-256), as the Applicability Statement for Secure Health Transport has it, or, to partners that know S/MIME alone, without the wrapping " +
			"that it asks for. Read are mails signed before or after encryption, or both. A mail of a secure profile that cannot be sealed is not sent. CMS compression is never written."},
		{"STD-GEN-ZIP-MAIL", "PS3.11 X.1", "Sent without protection only to partners whom the operator has named for it, where the sender has chosen the profile for this mail; to all others it is sent " +
			"sealed. The mail says so in its text and in the field " + zipmail.ProfileField + " (own). Unprotected mail is taken of those partners alone, and marked wherever it is shown or kept."},
		{"Certificates", "RFC 5280", "The sender's certificate is bound to his address or domain and is judged by path, usage and revocation under the recipient's own trust anchors."},
		{"What is not COMPLETE", "PS3.12 Y.1.2.2", "A set is COMPLETE only where DICOMDIR, every instance it names and, in a set of ours, their SHA-256 in MANIFEST agree. " +
			"VIOLATIONS, INCOMPLETE and DAMAGED are told to the recipient and to the sender, and are handed on to nobody without a person's word."},
		{"At rest", "own", "Bodies and all that names a person are encrypted. Log and metrics name no patient."},
		{"Audit Trail", "PS3.15 A.5", "Export, import and use are audit messages, sent by syslog over TLS where a repository is configured."},
		{"Attributes Confidentiality, Digital Signatures", "PS3.15 C, E", "Instances are never changed by packing, so signatures within them stay valid. The signature of the mail attests that the sender is " +
			"authorised to disclose, and nothing clinical."},
	}
}

// conflicts are told in the words of the creator.
func conflicts() []ConflictRule {
	told := map[fileset.Conflict][2]string{
		fileset.Names:    {"one Patient ID with different patient names", "one PATIENT record with the name of the instance that says most; a reader finds that others differ from it"},
		fileset.Parents:  {"one study under two patients, or one series under two studies", "a record under each parent, as the instances have it; a reader finds the UID twice"},
		fileset.Versions: {"one SOP Instance UID with different bytes", "the file given first is packed, the others are left out with a note"},
	}
	var out []ConflictRule
	for _, c := range fileset.Conflicts() {
		out = append(out, ConflictRule{string(c), told[c][0], told[c][1]})
	}
	return out
}
