// Package atna composes audit messages for a security audit repository: who did what to whose data, as XML.
//
// It follows DICOM PS3.15 A.5 (the Audit Trail Message Format Profile): the schema of A.5.1 and, of the messages of A.5.3, Application
// Activity, Audit Log Used, Export, Import, Security Alert and User Authentication. How messages travel is RFC 5424 and 5425 (PS3.15
// A.6): Frame is one of them as it goes over TLS.
//
// It departs from A.5.3.4 and A.5.3.5 in one thing: an Export or Import about nobody that is known names the patient "unknown". A letter that
// names its patient in words alone leaves the house all the same, and an audit that kept silent about it would be the worse one.
package atna

import (
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"time"
)

// Message is one AuditMessage.
type Message struct {
	XMLName      xml.Name      `xml:"AuditMessage"`
	Event        Event         `xml:"EventIdentification"`
	Participants []Participant `xml:"ActiveParticipant"`
	Source       Source        `xml:"AuditSourceIdentification"`
	Objects      []Object      `xml:"ParticipantObjectIdentification"`
}

// Code is a coded value (PS3.16).
type Code struct {
	Value   string `xml:"csd-code,attr"`
	System  string `xml:"codeSystemName,attr"`
	Meaning string `xml:"originalText,attr"`
}

// Event says what happened.
type Event struct {
	Action  Action    `xml:"EventActionCode,attr"`
	At      time.Time `xml:"EventDateTime,attr"`
	Outcome Outcome   `xml:"EventOutcomeIndicator,attr"`
	ID      Code      `xml:"EventID"`
	Types   []Code    `xml:"EventTypeCode"`
	Words   string    `xml:"EventOutcomeDescription,omitempty"`
}

// Action is an EventActionCode.
type Action string

// The actions.
const (
	Create  Action = "C"
	Read    Action = "R"
	Update  Action = "U"
	Delete  Action = "D"
	Execute Action = "E"
)

// Outcome is an EventOutcomeIndicator. Its zero is that of the standard: success, or nobody knows.
type Outcome uint8

// The outcomes.
const (
	Success        Outcome = 0
	MinorFailure   Outcome = 4
	SeriousFailure Outcome = 8
	MajorFailure   Outcome = 12
)

// Participant is a person, a process or a medium that took part.
type Participant struct {
	UserID      string     `xml:"UserID,attr"`
	Alternative string     `xml:"AlternativeUserID,attr,omitempty"` // of a process: its name in the system
	Requestor   bool       `xml:"UserIsRequestor,attr"`             // began it
	Place       string     `xml:"NetworkAccessPointID,attr,omitempty"`
	PlaceType   AccessType `xml:"NetworkAccessPointTypeCode,attr,omitempty"`
	Roles       []Code     `xml:"RoleIDCode"`
	Media       *Media     `xml:"MediaIdentifier"`
}

// AccessType says what kind of name a Place is: a NetworkAccessPointTypeCode.
type AccessType uint8

// The kinds of network access points.
const (
	Machine AccessType = 1 // a name, also of DNS
	IP      AccessType = 2
	Email   AccessType = 4
	URI     AccessType = 5
)

// Media is what data is on when it comes or goes.
type Media struct {
	Type Code `xml:"MediaType"`
}

// Source is who reports.
type Source struct {
	Site string `xml:"AuditEnterpriseSiteID,attr,omitempty"`
	ID   string `xml:"AuditSourceID,attr"`
	Type *Kind  `xml:"AuditSourceTypeCode"`
}

// Kind is an AuditSourceTypeCode: one digit (A.5.1.2.1).
type Kind struct {
	Value string `xml:"csd-code,attr"`
}

// Object is what it was done to.
type Object struct {
	ID        string       `xml:"ParticipantObjectID,attr"`
	Type      uint8        `xml:"ParticipantObjectTypeCode,attr,omitempty"`
	Role      uint8        `xml:"ParticipantObjectTypeCodeRole,attr,omitempty"`
	LifeCycle LifeCycle    `xml:"ParticipantObjectDataLifeCycle,attr,omitempty"`
	IDType    Code         `xml:"ParticipantObjectIDTypeCode"`
	Name      string       `xml:"ParticipantObjectName"` // the schema wants it, empty where there is none
	Details   []Detail     `xml:"ParticipantObjectDetail"`
	About     *Description `xml:"ParticipantObjectDescription"`
}

// LifeCycle is a ParticipantObjectDataLifeCycle.
type LifeCycle uint8

// The stages that mail knows.
const (
	Imported   LifeCycle = 2
	Exported   LifeCycle = 10
	Disclosed  LifeCycle = 11
	Disclosure LifeCycle = 12 // the receipt of one
)

// Detail is a value with its name; it travels in base64, whatever it holds.
type Detail struct {
	Type  string `xml:"type,attr"`
	Value Binary `xml:"value,attr"`
}

// Binary is written in base64.
type Binary []byte

// MarshalText encodes.
func (b Binary) MarshalText() ([]byte, error) { return base64.StdEncoding.AppendEncode(nil, b), nil }

// Description tells of a study what its UID does not.
type Description struct {
	Accessions []Accession `xml:"Accession"`
	Classes    []Class     `xml:"SOPClass"`
	Encrypted  bool        `xml:"Encrypted,omitempty"`
}

// Accession is the number of an order.
type Accession struct {
	Number string `xml:"Number,attr"`
}

// Class says how many instances of a SOP Class there are.
type Class struct {
	UID       string `xml:"UID,attr,omitempty"`
	Instances int    `xml:"NumberOfInstances,attr"`
}

// XML is the message as it is sent. An error where Check finds one.
func (m Message) XML() ([]byte, error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	b, err := xml.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("atna: %w", err)
	}
	return append([]byte(declaration), b...), nil
}

const declaration = `<?xml version="1.0" encoding="UTF-8"?>`
