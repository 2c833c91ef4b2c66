package rule

// Form is how mail to and from a partner is packed.
type Form uint8

// Forms. The zero Form is Direct.
const (
	Direct Form = iota + 1 // wrapped, signed and encrypted; answered by notices (Direct 2, 3)
	SMIME                  // signed and encrypted, and that is all that the partner knows (PS3.15 B.8)
	Plain                  // neither: what the profile STD-GEN-ZIP-MAIL has (PS3.11 X.1), for objects that need no protection
)

// Subject says what stands in the subject line that everybody on the way can read, of mail in the form SMIME.
type Subject uint8

// Subjects. The zero Subject is Shown.
const (
	Shown   Subject = iota + 1 // what the sender has written, where it names no patient
	Neutral                    // DICOM-ZIP, or that there is something sealed
)

// Awaited says whether notices of a partner are awaited: who knows no Direct sends none, unless the operator knows better (PS3.12 Z.2.1,
// DCM-17).
func (r Rule) Awaited() bool {
	if r.Form == SMIME || r.Form == Plain {
		return r.Notices == Expected
	}
	return r.Notices != Never
}
