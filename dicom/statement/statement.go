// Package statement makes the DICOM Conformance Statement of this program, in the form of PS3.2: what PS3.11 X.3.1 wants written down of
// the SOP Classes and Transfer Syntaxes of the general profiles, and whatever else an integrator asks.
//
// It is generated from the tables that the rooms work by (records and classes of fileset, profiles of zipmail, syntaxes and character sets
// of dicom), so that it cannot say something else than the program does. What stands in other layers is handed in.
package statement

import (
	"slices"
	"strings"

	"carepost/dicom"
	"carepost/dicom/fileset"
	"carepost/dicom/zipmail"
)

// Statement is the whole document, as data.
type Statement struct {
	Product string `json:"product"`
	Version string `json:"version"`

	Profiles   []Profile       `json:"profiles"`
	Classes    []Class         `json:"sop_classes"`
	Unknown    string          `json:"other_sop_classes"`
	Syntaxes   []Syntax        `json:"transfer_syntaxes"`
	OtherSyn   string          `json:"other_transfer_syntaxes"`
	Records    []Record        `json:"directory_records"`
	Dental     Dental          `json:"dental"`
	Characters []CharacterSet  `json:"character_sets"`
	Limits     []Limit         `json:"limits"`
	Network    []Entity        `json:"network,omitempty"`
	Privacy    []Option        `json:"deidentification,omitempty"`
	Security   []Security      `json:"security"`
	Identity   Identity        `json:"identity"`
	Conflicts  []ConflictRule  `json:"conflicts"`
	Headers    []MailParameter `json:"mail"`
}

// Identity is what files of ours say of their maker (PS3.10 7.1).
type Identity struct {
	ClassUID         string `json:"implementation_class_uid"`
	VersionName      string `json:"implementation_version_name"`
	PrivateRecordUID string `json:"private_record_uid"`
}

// Profile is an application profile and the roles that are played in it.
type Profile struct {
	Identifier  string   `json:"identifier"`
	Description string   `json:"description"`
	Roles       []string `json:"roles"`
	Secure      bool     `json:"secure"`
}

// Class is a Media Storage SOP Class.
type Class struct {
	UID    string `json:"uid"`
	Name   string `json:"name"`
	Record string `json:"record"`
}

// Syntax is a transfer syntax; Deflated says that the archive deflates what is written in it.
type Syntax struct {
	UID      string `json:"uid"`
	Name     string `json:"name"`
	Deflated bool   `json:"deflated_in_archive"`
}

// Record is a Directory Record Type with its keys.
type Record struct {
	Type  string `json:"type"`
	Under string `json:"under"`
	Keys  []Key  `json:"keys"`
}

// Key of a record. Supplied is what the record, never the instance, gets where the instance has no value.
type Key struct {
	Tag      string `json:"tag"`
	Name     string `json:"name"`
	Type     string `json:"type"`
	Supplied string `json:"supplied,omitempty"`
}

// Dental are the rules of STD-DTL-SEC-ZIP-MAIL.
type Dental struct {
	Classes    []Class `json:"sop_classes"`
	Syntax     string  `json:"transfer_syntax"`
	BitsStored []int   `json:"bits_stored"`
	Attributes []Key   `json:"attributes"`
}

// CharacterSet is a value of Specific Character Set.
type CharacterSet struct {
	Term        string `json:"term,omitempty"`
	Extended    string `json:"term_with_code_extensions,omitempty"`
	Description string `json:"description"`
}

// Limit is a bound and what happens beyond.
type Limit struct {
	What  string `json:"what"`
	Value string `json:"value"`
}

// Security is a profile or a mechanism of protection.
type Security struct {
	Name   string `json:"name"`
	Source string `json:"source"`
	Text   string `json:"text"`
}

// ConflictRule is a contradiction between instances at which packing stops.
type ConflictRule struct {
	Name   string `json:"name"`
	Text   string `json:"text"`
	Effect string `json:"when_overruled"`
}

// MailParameter is a header field of the mail.
type MailParameter struct {
	Field string `json:"field"`
	Value string `json:"value"`
}

// Entity is an application entity on the network.
type Entity struct {
	Name       string      `json:"name"`
	Purpose    string      `json:"purpose"`
	Services   []Service   `json:"services"`
	Parameters []Parameter `json:"parameters,omitempty"`
}

// Service is a SOP Class, or a group of them, that an entity uses or provides.
type Service struct {
	Name     string `json:"name"`
	UID      string `json:"uid,omitempty"`
	User     bool   `json:"scu"`
	Provider bool   `json:"scp"`
	Syntaxes string `json:"transfer_syntaxes,omitempty"`
}

// Parameter is something about an entity that can be told in a line.
type Parameter struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Option is one of the Application Level Confidentiality Profiles (PS3.15 Annex E).
type Option struct {
	Code    string `json:"code"` // (0012,0064)
	Name    string `json:"name"`
	Offered bool   `json:"offered"`
}

// New makes the statement of a version. What rooms of other layers do is added by the caller.
func New(version string) *Statement {
	t := fileset.NewTables()
	s := &Statement{Product: "Carepost", Version: version, Limits: limits(t.Limits), Network: append(entities(), web()), Security: security(), Conflicts: conflicts(), Headers: headers(),
		Identity: Identity{t.ImplementationUID, t.ImplementationName, t.PrivateRecordUID},
		Unknown: "An instance of any other SOP Class is packed too, with a note: under IMAGE where it has pixel data, else under PRIVATE. " +
			"Nothing is left out in silence. Defined procedure protocols and protocol approvals, which are of no patient, stand under PRIVATE at the root.",
		OtherSyn: "An instance in any other Transfer Syntax is packed as it is, not deflated; its header is read as Explicit VR Little Endian. " +
			"No instance is ever converted to another Transfer Syntax."}
	for _, p := range zipmail.Profiles() {
		s.Profiles = append(s.Profiles, Profile{p.String(), p.Description(), []string{"FSC", "FSR"}, p.Secure()})
	}
	for _, c := range t.Classes {
		s.Classes = append(s.Classes, Class{c.UID, storage(c.Name), c.Record})
	}
	for _, x := range dicom.Syntaxes() {
		s.Syntaxes = append(s.Syntaxes, Syntax{x.UID, x.Name, x.Plain})
	}
	for _, r := range t.Records {
		row := Record{Type: r.Type, Under: r.Under, Keys: []Key{}}
		for _, k := range r.Keys {
			row.Keys = append(row.Keys, Key{k.Tag.String(), k.Name, k.Type, k.Supplied})
		}
		s.Records = append(s.Records, row)
	}
	for _, c := range dicom.CharacterSets() {
		s.Characters = append(s.Characters, CharacterSet{c.Term, c.Extended, c.Description})
	}
	s.Dental, s.Privacy = dental(t), privacy()
	return s
}

// storage gives the name of PS3.6 Table A-1.
func storage(name string) string {
	if base, purpose, ok := strings.Cut(name, ", For "); ok {
		return base + " Storage - For " + purpose
	}
	if base, ok := strings.CutSuffix(name, " (Retired)"); ok {
		return base + " Storage (Retired)"
	}
	return name + " Storage"
}

func dental(t fileset.Tables) Dental {
	rules := zipmail.NewDentalRules()
	d := Dental{Syntax: rules.Syntax, BitsStored: rules.BitsStored}
	for _, c := range t.Classes {
		if slices.Contains(rules.Classes, c.UID) {
			d.Classes = append(d.Classes, Class{c.UID, storage(c.Name), c.Record})
		}
	}
	for _, a := range rules.Attributes {
		d.Attributes = append(d.Attributes, Key{Tag: a.Tag.String(), Name: a.Name, Type: "2"})
	}
	return d
}
