// Package deid takes out of DICOM instances what says whose they are: the Basic Application Level Confidentiality Profile of PS3.15
// Annex E, with its options.
//
// Table E.1-1 is data (table.go), and so is the dictionary of PS3.6 (dictionary.go); both are made by dicom/deid/gen. An element goes the
// way its row says. Where a row leaves a choice by the type of the attribute ("X/Z/D"), the choice is the one that any type allows: a
// dummy before an empty value, an empty value before none. Elements that are not in the table stay if PS3.6 knows them and nobody can stand
// in them.
//
// What it does beyond the table, always to the safer side: elements that neither the table nor PS3.6 knows go, and so do those that the
// file has in a form that PS3.6 does not; names of persons, UIDs, dates, addresses and free texts that are not in the table (beyond.go) are
// treated as those are that stand there, but for texts of the words of anatomy and technique; overlays and curves go whole, and so do graphic annotations, for no program knows what is written in
// them; codes of persons are replaced by one that says "Removed"; digital signatures go, for they would be broken (PS3.15 B.8 and
// DCM-25), and that is told. What it cannot do is refused: an encapsulated document, and pixels that are said to have names burned in.
//
// UIDs, patients and dates are mapped by a key that belongs to one act and is forgotten with it: within a set they stay consistent,
// between two sets nothing joins them.
//
// Instances are streamed: memory does not grow with them. Sequences are written with undefined lengths; the transfer syntax stays, and
// pixels are copied bit for bit.
package deid

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"carepost/dicom"
)

// Option departs from the Basic Profile (PS3.15 E.3); several are joined by |.
type Option uint16

// The options.
const (
	RetainUIDs          Option = 1 << iota // E.3.9
	RetainDevice                           // E.3.8
	RetainInstitution                      // E.3.11
	RetainPatient                          // E.3.7: sex, age, size, weight…
	RetainFullDates                        // E.3.6, dates and times as they are
	RetainModifiedDates                    // E.3.6, all dates moved by the same number of days
	CleanDescriptors                       // E.3.5: texts stay that are made of words of anatomy and technique alone
	CleanStructured                        // E.3.4: content of reports stays without texts, names and dates
	CleanGraphics                          // E.3.3: graphics of presentation states stay without texts; overlays go all the same
	RetainSafePrivate                      // E.3.10: private elements that the instance itself says are safe (0008,0300)
)

// option is data: how an option is called and coded (PS3.16 CID 7050).
type option struct {
	o          Option
	name, code string
	meaning    string
}

var options = []option{
	{RetainUIDs, "retain-uids", "113110", "Retain UIDs Option"},
	{RetainDevice, "retain-device", "113109", "Retain Device Identity Option"},
	{RetainInstitution, "retain-institution", "113112", "Retain Institution Identity Option"},
	{RetainPatient, "retain-patient-characteristics", "113108", "Retain Patient Characteristics Option"},
	{RetainFullDates, "retain-dates", "113106", "Retain Longitudinal Temporal Information Full Dates Option"},
	{RetainModifiedDates, "shift-dates", "113107", "Retain Longitudinal Temporal Information Modified Dates Option"},
	{CleanDescriptors, "clean-descriptors", "113105", "Clean Descriptors Option"},
	{CleanStructured, "clean-structured-content", "113104", "Clean Structured Content Option"},
	{CleanGraphics, "clean-graphics", "113103", "Clean Graphics Option"},
	{RetainSafePrivate, "retain-safe-private", "113111", "Retain Safe Private Option"},
}

// ParseOptions reads names of options, separated by commas.
func ParseOptions(text string) (out Option, err error) {
	for name := range strings.SplitSeq(text, ",") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		var found Option
		var all []string
		for _, o := range options {
			if o.name == name {
				found = o.o
			}
			all = append(all, o.name)
		}
		if found == 0 {
			return 0, fmt.Errorf("deid: no option %q: %s", name, strings.Join(all, ", "))
		}
		out |= found
	}
	return out, out.check()
}

func (o Option) check() error {
	if o&RetainFullDates != 0 && o&RetainModifiedDates != 0 {
		return errors.New("deid: dates stay or are moved, not both")
	}
	return nil
}

// String names the options, separated by commas.
func (o Option) String() string {
	var all []string
	for _, x := range options {
		if o&x.o != 0 {
			all = append(all, x.name)
		}
	}
	return strings.Join(all, ",")
}

// ErrRefused says that an instance cannot be de-identified by a program; errors that wrap it say why.
var ErrRefused = errors.New("a person has to do this")

// Act is one de-identification of one set. It may be used by one goroutine after the other.
type Act struct {
	options Option
	burned  bool
	key     []byte
	days    int // by which dates are moved
}

// KeySize of an Act, in bytes.
const KeySize = 32

// NewAct begins an act. key is random and kept nowhere; allowBurnedIn lets instances pass that say that their pixels show names.
func NewAct(o Option, key []byte, allowBurnedIn bool) (*Act, error) {
	if len(key) != KeySize {
		return nil, fmt.Errorf("deid: a key of %d bytes, not %d", len(key), KeySize)
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	a := &Act{options: o, burned: allowBurnedIn, key: key}
	a.days = -1 - int(binary.BigEndian.Uint32(a.mac("days", ""))%3650) // up to ten years back
	return a, nil
}

func (a *Act) mac(use, value string) []byte {
	h := hmac.New(sha256.New, a.key)
	fmt.Fprintf(h, "%s\x00%s", use, value)
	return h.Sum(nil)
}

// uid gives the UID that stands for another in this act: of the form of PS3.5 B.2. Those of the standard itself are nobody's.
func (a *Act) uid(of string) string {
	if of == "" || standard(of) {
		return of
	}
	b := a.mac("uid", of)[:16]
	b[6], b[8] = b[6]&0x0F|0x80, b[8]&0x3F|0x80 // a UUID of RFC 9562 §5.8
	return "2.25." + new(big.Int).SetBytes(b).String()
}

// standard knows the UIDs of PS3.6 Annex A, which are registered one by one: a long number under their root is some device's invention.
func standard(uid string) bool {
	rest, ok := strings.CutPrefix(uid, "1.2.840.10008.")
	for part := range strings.SplitSeq(rest, ".") {
		ok = ok && len(part) <= 4
	}
	return ok
}

// patient gives the pseudonym of whose the instance is. Without a Patient ID a study is one patient's, and two studies are two patients'.
func (a *Act) patient(f *dicom.File) string {
	use, id := "patient", f.Data.String(tagPatientID)
	if id == "" {
		use, id = "study", f.Data.String(tagStudy)
	}
	return a.pseudonym(use, id)
}

func (a *Act) pseudonym(use, id string) string {
	return "ANON-" + strings.ToUpper(hex.EncodeToString(a.mac(use, id)[:5]))
}

// Warning is something a person should know before the result is given away. It holds no value of the instance.
type Warning struct {
	Rule   string `json:"rule"`
	Source string `json:"source"` // clause
	Text   string `json:"text"`
}

// Report says what was done to an instance.
type Report struct {
	SOPInstance string    `json:"instance"` // the new one
	Removed     int       `json:"removed"`
	Replaced    int       `json:"replaced"`
	Warnings    []Warning `json:"warnings,omitempty"`
}

// Warnings that callers may branch on.
const (
	WarnSignature  = "digital-signature"   // PS3.15 C: would be broken, was taken out
	WarnBurnedIn   = "burned-in"           // PS3.3 C.7.6.1
	WarnRecognised = "recognizable-visual" // PS3.15 E.3.2
)

// lookedAt is what is asked before anything is written.
var lookedAt = []dicom.Tag{tagSOPClass, tagModality, tagSafe, tagPatientID, tagStudy, tagBurned, tagRecognised, tagMIME}

// Tags that are more to this package than a row of the table.
const (
	tagSOPClass    dicom.Tag = 0x00080016
	tagSafe        dicom.Tag = 0x00080300
	tagModality    dicom.Tag = 0x00080060
	tagPatientName dicom.Tag = 0x00100010
	tagPatientID   dicom.Tag = 0x00100020
	tagStudy       dicom.Tag = 0x0020000D
	tagRemoved     dicom.Tag = 0x00120062
	tagMethod      dicom.Tag = 0x00120063
	tagMethodCodes dicom.Tag = 0x00120064
	tagBurned      dicom.Tag = 0x00280301
	tagRecognised  dicom.Tag = 0x00280302
	tagTemporal    dicom.Tag = 0x00280303
	tagMIME        dicom.Tag = 0x00420012
	tagDocument    dicom.Tag = 0x00420011
	tagContent     dicom.Tag = 0x0040A730
	tagGraphics    dicom.Tag = 0x00700001
	tagMAC         dicom.Tag = 0x4FFE0001
	tagSignatures  dicom.Tag = 0xFFFAFFFA
	tagItem        dicom.Tag = 0xFFFEE000
	tagItemEnd     dicom.Tag = 0xFFFEE00D
	tagSequenceEnd dicom.Tag = 0xFFFEE0DD
)

//go:generate go run ./gen -from ../../../shared/data/dicom -to .
