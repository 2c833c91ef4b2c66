package zipmail

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"carepost/dicom"
	"carepost/dicom/fileset"
)

// Profile is one of the three application profiles of PS3.11 X.1. The zero Profile is secure.
type Profile uint8

// The profiles.
const (
	GenSec Profile = iota // STD-GEN-SEC-ZIP-MAIL
	Gen                   // STD-GEN-ZIP-MAIL: by explicit choice only, for what needs no protection
	Dental                // STD-DTL-SEC-ZIP-MAIL
)

// profile is data: a row of PS3.11 Table X.1-1.
type profile struct {
	identifier, short, description string
	secure                         bool
}

var profiles = [...]profile{
	GenSec: {"STD-GEN-SEC-ZIP-MAIL", "gen-sec", "General Purpose Secure ZIP Email", true},
	Gen:    {"STD-GEN-ZIP-MAIL", "gen", "General Purpose ZIP Email", false},
	Dental: {"STD-DTL-SEC-ZIP-MAIL", "dental", "Dental Radiograph ZIP Email", true},
}

func (p Profile) row() profile { return profiles[min(int(p), len(profiles)-1)] }

// String gives the identifier of PS3.11 Table X.1-1.
func (p Profile) String() string { return p.row().identifier }

// Description gives the name of PS3.11 Table X.1-1.
func (p Profile) Description() string { return p.row().description }

// Secure says that the mail must be sealed (PS3.11 X.3.4, X.4.6).
func (p Profile) Secure() bool { return p.row().secure }

// ParseProfile reads "gen", "gen-sec", "dental" or an identifier.
func ParseProfile(s string) (Profile, error) {
	for i, p := range profiles {
		if strings.EqualFold(s, p.short) || strings.EqualFold(s, p.identifier) {
			return Profile(i), nil
		}
	}
	return 0, fmt.Errorf("zipmail: no profile %q: gen, gen-sec or dental", s)
}

// Profiles are all of them, in the order of PS3.11 Table X.1-1.
func Profiles() []Profile { return []Profile{Gen, GenSec, Dental} }

// dentalClasses are the IODs of PS3.11 Table X.3-2 (X.4.1): both For Presentation.
var dentalClasses = map[string]string{
	"1.2.840.10008.5.1.4.1.1.1.3": "Digital Intra-oral X-Ray Image",
	"1.2.840.10008.5.1.4.1.1.1.1": "Digital X-Ray Image",
}

// dentalNames of the Type 2 elements of Table X.4-2.
var dentalNames = map[dicom.Tag]string{
	0x00080080: "Institution Name", 0x00081090: "Manufacturer's Model Name", 0x0018700A: "Detector ID",
	0x0018702A: "Detector Manufacturer Name", 0x0018702B: "Detector Manufacturer's Model Name",
}

// dentalBits are the values of Bits Stored (Table X.4-1); Bits Allocated is 8 with 8, else 16.
var dentalBits = [...]int{8, 10, 12, 16}

// DentalRules are those of STD-DTL-SEC-ZIP-MAIL as data.
type DentalRules struct {
	Classes    []string // UIDs
	Syntax     string
	BitsStored []int
	Attributes []DentalAttribute
}

// DentalAttribute is a Type 2 element of Table X.4-2.
type DentalAttribute struct {
	Tag  dicom.Tag
	Name string
}

// NewDentalRules copies the tables that CheckProfile judges by.
func NewDentalRules() DentalRules {
	r := DentalRules{Classes: slices.Sorted(maps.Keys(dentalClasses)), Syntax: dicom.ExplicitLittle, BitsStored: slices.Clone(dentalBits[:])}
	for _, t := range slices.Sorted(maps.Keys(dentalNames)) {
		r.Attributes = append(r.Attributes, DentalAttribute{t, dentalNames[t]})
	}
	return r
}

// CheckProfile judges instances by a profile: PS3.11 X.4.1 and X.4.5 for Dental. The general profiles take every Composite SOP Instance.
func CheckProfile(p Profile, xs []fileset.Instance) []fileset.Finding {
	if p != Dental {
		return nil
	}
	var out []fileset.Finding
	for i := range xs {
		x := &xs[i]
		find := func(rule, source, format string, args ...any) {
			out = append(out, fileset.Finding{Severity: fileset.Violation, Rule: rule, Source: source, Where: x.FileID, Text: fmt.Sprintf(format, args...)})
		}
		if _, ok := dentalClasses[x.SOPClass]; !ok {
			find("dental-sop-class", "PS3.11 X.4.1", "neither a Digital Intra-oral X-Ray nor a Digital X-Ray image for presentation")
			continue
		}
		if x.TransferSyntax != dicom.ExplicitLittle {
			find("dental-transfer-syntax", "PS3.11 X.4.1", "not in Explicit VR Little Endian, uncompressed")
		}
		if x.Size < 0 {
			continue // missing: nothing is known of its image
		}
		switch stored, allocated := x.Image.BitsStored, x.Image.BitsAllocated; {
		case !slices.Contains(dentalBits[:], stored):
			find("dental-bits", "PS3.11 Table X.4-1", "Bits Stored %d is none of 8, 10, 12, 16", stored)
		case (stored == 8) != (allocated == 8) || allocated != 8 && allocated != 16:
			find("dental-bits", "PS3.11 Table X.4-1", "Bits Allocated %d does not go with Bits Stored %d", allocated, stored)
		}
		for _, t := range x.Image.Absent {
			if name, ok := dentalNames[t]; ok {
				find("dental-attribute", "PS3.11 Table X.4-2", "%s %v is not there; it may be empty but must be present", name, t)
			}
		}
	}
	return out
}

// ProfileError says why instances do not fit a profile, and which one they fit.
type ProfileError struct {
	Profile  Profile
	Fits     Profile
	Findings []fileset.Finding
}

// maxToldOfProfile is how many findings an error tells of.
const maxToldOfProfile = 200

func (e *ProfileError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "zipmail: not %s (%s would fit)", e.Profile, e.Fits)
	for i, f := range e.Findings {
		if i == maxToldOfProfile {
			fmt.Fprintf(&b, "\n  and %d more", len(e.Findings)-i)
			break
		}
		fmt.Fprintf(&b, "\n  %s: %s [%s]", f.Where, f.Text, f.Source)
	}
	return b.String()
}

// Allow refuses with *ProfileError what p does not allow. Findings name File IDs, which are nothing to a sender: his paths stand for them.
func Allow(p Profile, xs []fileset.Instance) error {
	fs := CheckProfile(p, xs)
	if len(fs) == 0 {
		return nil
	}
	paths := make(map[string]string, len(xs))
	for _, x := range xs {
		paths[x.FileID] = x.Source
	}
	for i := range fs {
		if path := paths[fs[i].Where]; path != "" {
			fs[i].Where = path
		}
	}
	return &ProfileError{Profile: p, Fits: GenSec, Findings: fs}
}

// Suggest names the profile that fits instances best: Dental when all are dental, else GenSec. Gen is a choice nobody makes for you.
func Suggest(xs []fileset.Instance) Profile {
	if len(xs) > 0 && len(CheckProfile(Dental, xs)) == 0 {
		return Dental
	}
	return GenSec
}
