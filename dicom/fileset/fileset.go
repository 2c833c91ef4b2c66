// Package fileset makes and judges DICOM File-sets: the DICOMDIR, the File IDs and the DICOM.ZIP that carries them.
//
// It follows PS3.10 §7–8 (File-sets), PS3.3 Annex F (Basic Directory), PS3.11 X (Annex L of today's edition), PS3.12 Y (Annex V)
// and PKWARE's APPNOTE.TXT. A Plan is made by Scan and written by WriteZIP; CheckZIP and CheckDir judge what arrived; Unpack takes
// out what was judged.
//
// Beyond the standard: every set it writes carries a plain text file MANIFEST, the File-set Descriptor File of (0004,1141), with the
// SHA-256 of DICOMDIR and of every instance. With it a set in which one byte was changed is never called complete, even when the
// archive was built anew around the change. A set of other makers has no such file and is judged by its DICOMDIR and the CRCs.
//
// It departs from the standard in what it reads (one wrapping folder, lower case, backslashes, ".dcm", wrong offsets, implicit or big
// endian directories), each with a finding; and in writing: keys that a Type 1 element of a directory record needs and that the
// instance does not have are supplied in the record alone, each with a finding. Instances are never changed.
package fileset

import (
	"errors"
	"fmt"
	"strings"
)

// Names of a File-set.
const (
	DirectoryName  = "DICOMDIR" // PS3.10 §8.6
	DescriptorName = "MANIFEST" // our File-set Descriptor File, (0004,1141)
)

// ErrDamaged is returned by Unpack for a set that is not to be taken out at all.
var ErrDamaged = errors.New("fileset: damaged; nothing was taken out")

// ErrRefused is returned by Unpack for a set that is not COMPLETE when UnpackOptions does not allow for it.
var ErrRefused = errors.New("fileset: not complete; nothing was taken out")

// ErrChanged means that a source file is no longer what Scan saw.
var ErrChanged = errors.New("fileset: source file changed since it was read")

// Severity says what a finding does to the verdict.
type Severity uint8

// The severities, each worse than the one before.
const (
	Note      Severity = iota // says something, changes nothing
	Violation                 // a rule of the standard is broken
	Unproven                  // nothing says what was meant to be there
	Missing                   // something that was meant to be there is not
	Damage                    // something is not what was packed, or cannot be read
)

func (s Severity) String() string {
	return [...]string{"note", "violation", "unverifiable", "missing", "damage"}[min(int(s), 4)]
}

// MarshalText makes JSON read "violation" rather than 1.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (s *Severity) UnmarshalText(b []byte) error {
	for v := Note; v <= Damage; v++ {
		if v.String() == string(b) {
			*s = v
			return nil
		}
	}
	return errors.New("fileset: no severity")
}

// Verdict is the judgement of a File-set. The zero Verdict is the worst.
type Verdict uint8

// The verdicts; the worst finding wins.
const (
	Damaged Verdict = iota
	Incomplete
	Unverifiable // images may be there, but no DICOMDIR says whether they are all
	Violations
	Complete
)

func (v Verdict) String() string {
	return [...]string{"DAMAGED", "INCOMPLETE", "UNVERIFIABLE", "VIOLATIONS", "COMPLETE"}[min(int(v), 4)]
}

// MarshalText makes JSON read "COMPLETE" rather than 4.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (v *Verdict) UnmarshalText(b []byte) error {
	for x := Damaged; x <= Complete; x++ {
		if x.String() == string(b) {
			*v = x
			return nil
		}
	}
	return errors.New("fileset: no verdict")
}

// Finding is one thing seen: by which rule, where the rule stands, and in which file. It holds no patient data: Where is a File ID, a
// ZIP entry name or, while packing, a path of the sender's.
type Finding struct {
	Severity Severity `json:"severity"`
	Rule     string   `json:"rule"`   // a name that stays: "zip-crc"
	Source   string   `json:"source"` // clause: "PS3.12 Y.1.2.2"
	Where    string   `json:"where,omitempty"`
	Text     string   `json:"text"`
}

// String gives the finding on one line.
func (f Finding) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: ", f.Severity)
	if f.Where != "" {
		fmt.Fprintf(&b, "%s: ", f.Where)
	}
	fmt.Fprintf(&b, "%s [%s, %s]", f.Text, f.Rule, f.Source)
	return b.String()
}

// VerdictOf is the judgement that findings amount to, of a set that could be read at all.
func VerdictOf(fs []Finding) Verdict { return verdict(fs) }

// verdict gives the judgement that findings amount to.
func verdict(fs []Finding) Verdict {
	worst := Note
	for _, f := range fs {
		worst = max(worst, f.Severity)
	}
	return map[Severity]Verdict{Note: Complete, Violation: Violations, Unproven: Unverifiable, Missing: Incomplete, Damage: Damaged}[worst]
}
