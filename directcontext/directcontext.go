// Package directcontext makes and reads the attachment that tells programs what a Direct message is about: the transaction, the patient,
// the kind of message and its purpose.
//
// It follows "Expressing Context in Direct Messaging" 1.1, and takes what "Event Notifications via Direct" adds to it. Find finds the part
// that the field X-Direct-Context names, Parse reads it, Context.Bytes writes it, Encapsulated gives the parts that are to be processed.
//
// It departs from them in what it reads, each time with a finding: names of elements in any case of letters, values that are in no list, a
// part of another name or type. What cannot be understood in one way is an error: an element twice, a line that is none.
package directcontext

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Version is the one that is written.
const Version = "1.1"

// What one context may cost its reader.
const (
	maxContext    = 64 << 10 // octets
	maxElements   = 100
	maxPatientIDs = 100
)

// The values of the lists of Context 1.1.
var (
	categories   = []string{"laboratory", "radiology", "pharmacy", "referral", "general", "error"}
	actions      = []string{"order", "report", "result", "query", "response", "notification"}
	purposes     = []string{"treatment", "payment", "operations", "emergency", "research"}
	capsules     = []string{"http", "hl7v2"}
	patientNames = []string{"givenName", "surname", "middleName", "dateOfBirth", "gender", "socialSecurityNumber", "telephoneNumber",
		"streetAddress", "localityName", "stateOrProvinceName", "postalCode", "country", "directAddress"}
)

// Errors of reading.
var (
	ErrNoContext = errors.New("directcontext: the message has none")
	ErrSyntax    = errors.New("directcontext: malformed")
	ErrLimit     = errors.New("directcontext: over a limit")
)

// PatientID names a patient within a domain.
type PatientID struct {
	Domain string `json:"domain"` // OID
	Local  string `json:"local"`
}

// Attribute is one thing said of the patient: givenName, surname, dateOfBirth (YYYY-MM-DD) and so on.
type Attribute struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Context is what a message is about. All but Version and ID is optional.
type Context struct {
	Version       string      `json:"version"`
	ID            string      `json:"id"` // of the transaction
	PatientIDs    []PatientID `json:"patient_ids,omitempty"`
	Category      string      `json:"category,omitempty"` // radiology
	Action        string      `json:"action,omitempty"`   // report
	Purpose       string      `json:"purpose,omitempty"`
	Patient       []Attribute `json:"patient,omitempty"`
	Encapsulation string      `json:"encapsulation,omitempty"` // http, hl7v2

	// Of Event Notifications via Direct.
	CreationTime    string `json:"creation_time,omitempty"`
	FormatCode      string `json:"format_code,omitempty"` // urn:ig:type:version
	ContentTypeCode string `json:"content_type_code,omitempty"`
	TypeCode        string `json:"type_code,omitempty"`

	Other []Attribute `json:"other,omitempty"` // elements that no document knows
}

// Finding is how a context departs from the text. It repeats nothing of the content.
type Finding struct {
	Rule string `json:"rule"`
	Text string `json:"text"`
}

// Value gives what is said of the patient under a name, "" where nothing is.
func (c Context) Value(name string) string {
	for _, a := range c.Patient {
		if a.Name == name {
			return a.Value
		}
	}
	return ""
}

// ParseType reads category/action.
func ParseType(s string) (category, action string, err error) {
	category, action, _ = strings.Cut(strings.ToLower(strings.TrimSpace(s)), "/")
	category, action = strings.TrimSpace(category), strings.TrimSpace(action)
	if !slices.Contains(categories, category) || !slices.Contains(actions, action) {
		return "", "", fmt.Errorf("directcontext: no type: one of %s, a slash, and one of %s", strings.Join(categories, ", "), strings.Join(actions, ", "))
	}
	return category, action, nil
}

// ParsePurpose reads a purpose of the list.
func ParsePurpose(s string) (string, error) {
	if s = strings.ToLower(strings.TrimSpace(s)); !slices.Contains(purposes, s) {
		return "", fmt.Errorf("directcontext: no purpose: one of %s", strings.Join(purposes, ", "))
	}
	return s, nil
}

// ParsePatient reads name=value; name=value. Names are those of the list, in any case of letters.
func ParsePatient(s string) ([]Attribute, error) {
	list, odd, err := attributes(s)
	if err == nil && odd != "" {
		err = fmt.Errorf("directcontext: %s: the names are %s", odd, strings.Join(patientNames, ", "))
	}
	return list, err
}

// ParsePatientID reads OID:value. The value may hold colons.
func ParsePatientID(s string) (PatientID, error) {
	domain, local, ok := strings.Cut(strings.TrimSpace(s), ":")
	if domain = strings.TrimSpace(domain); domain == "urn" { // some write the URN of the OID
		if rest, is := strings.CutPrefix(strings.TrimSpace(s), "urn:oid:"); is {
			domain, local, ok = strings.Cut(rest, ":")
		}
	}
	local = strings.TrimSpace(local)
	if !ok || !oid(domain) || local == "" || strings.Contains(local, ";") {
		return PatientID{}, errors.New("directcontext: no patient identifier such as 1.2.276.0.76.3.1:4711")
	}
	return PatientID{domain, local}, nil
}

// oid says whether s is an object identifier.
func oid(s string) bool {
	arcs := strings.Split(s, ".")
	return len(s) <= 64 && len(arcs) > 1 && !slices.ContainsFunc(arcs, func(a string) bool { return a == "" || strings.Trim(a, "0123456789") != "" })
}
