package atna

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"slices"
	"strings"
)

// Patient is whose data something was, with the studies.
type Patient struct {
	ID, Name string
	Studies  []Study
}

// Study of a patient.
type Study struct {
	UID, Accession string
	Classes        []Class
}

// noID names a patient, or a study, whose identifier nobody has told: the schema wants one.
const noID = "unknown"

// maxClasses is how many SOP Classes of a study one object names: few enough for a message of any length that matters.
const maxClasses = 100

func (p Patient) object(c LifeCycle) Object {
	return Object{ID: or(p.ID, noID), Type: person, Role: rolePatient, LifeCycle: c, IDType: PatientNumber, Name: p.Name}
}

func (s Study) object(c LifeCycle, encrypted bool) Object {
	o := Object{ID: or(s.UID, noID), Type: systemObject, Role: roleReport, LifeCycle: c, IDType: StudyUID,
		About: &Description{Classes: s.Classes, Encrypted: encrypted}}
	if s.Accession != "" {
		o.About.Accessions = []Accession{{s.Accession}}
	}
	return o
}

// Alert is the object of a Security Alert: what it is about, as a URI, and what there is to say (A.5.3.11).
func Alert(uri, words string) Object {
	return Object{ID: uri, Type: systemObject, Role: roleSecurityResource, IDType: URIType, Details: []Detail{{"Alert Description", Binary(words)}}}
}

// Log is the object of Audit Log Used (A.5.3.2).
func Log(uri string) Object {
	return Object{ID: uri, Type: systemObject, Role: roleSecurityResource, IDType: URIType, Name: "Security Audit Log"}
}

// parts are s with so few SOP Classes each that they go into a message. What is called a UID and is none is not repeated: no reader takes it.
func (s Study) parts() (out []Study) {
	var classes []Class
	nameless := 0
	for _, c := range s.Classes {
		if validUID(c.UID) {
			classes = append(classes, c)
		} else {
			nameless += c.Instances
		}
	}
	if nameless != 0 {
		classes = append(classes, Class{Instances: nameless})
	}
	for part := range slices.Chunk(classes, maxClasses) {
		out = append(out, Study{s.UID, s.Accession, part})
	}
	if len(out) == 0 {
		s.Classes = nil
		out = []Study{s}
	}
	return out
}

// validUID says whether s has the form that the schema demands (A.5.1.1: UID), and the length of PS3.5 §9.1.
func validUID(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i, c := range strings.Split(s, ".") {
		if c == "" || strings.Trim(c, "0123456789") != "" || len(c) > 1 && c[0] == '0' || i == 0 && (len(c) > 1 || c > "2") {
			return false
		}
	}
	return true
}

// About gives m the patients and their studies; where nobody is known, a patient without a name, for there is always one (A.5.3.4, A.5.3.5).
// Where that makes it longer than most octets, they are told in several messages, each about a patient and some of the studies, or about
// several. A study with very many SOP Classes is told as several objects.
func (m Message) About(patients []Patient, c LifeCycle, encrypted bool, most int) ([]Message, error) {
	base, err := size(m)
	if err != nil {
		return nil, err
	}
	p := packer{m: m, base: base, most: most, length: base}
	if len(patients) == 0 {
		patients = []Patient{{}}
	}
	for _, patient := range patients {
		if err := p.add(patient, c, encrypted); err != nil {
			return nil, err
		}
	}
	p.end()
	return p.out, nil
}

// packer fills messages.
type packer struct {
	m          Message
	base, most int
	length     int
	objects    []Object
	out        []Message
}

// add tells of one patient, in as many messages as it takes.
func (p *packer) add(patient Patient, c LifeCycle, encrypted bool) error {
	who := patient.object(c)
	whole, err := sizeOf(who)
	if err != nil {
		return err
	}
	told := false // in this message
	tell := func(o Object, n int) {
		if !told {
			p.put(who, whole)
			told = true
		}
		if n > 0 {
			p.put(o, n)
		}
	}
	var studies []Study
	for _, s := range patient.Studies {
		studies = append(studies, s.parts()...)
	}
	for _, s := range studies {
		o := s.object(c, encrypted)
		n, err := sizeOf(o)
		if err != nil {
			return err
		}
		if room := p.most - p.length - n; len(p.objects) > 0 && (room < 0 || !told && room < whole) {
			p.end()
			told = false
		}
		tell(o, n)
	}
	if len(studies) == 0 {
		if len(p.objects) > 0 && p.length+whole > p.most {
			p.end()
		}
		tell(Object{}, 0)
	}
	return nil
}

func (p *packer) put(o Object, n int) {
	p.objects = append(p.objects, o)
	p.length += n
}

// end begins another message.
func (p *packer) end() {
	if len(p.objects) == 0 {
		return
	}
	m := p.m
	m.Objects = append(m.Objects[:len(m.Objects):len(m.Objects)], p.objects...)
	p.out, p.objects, p.length = append(p.out, m), nil, p.base
}

// size is how long a message is.
func size(m Message) (int, error) {
	b, err := xml.Marshal(m)
	if err != nil {
		return 0, fmt.Errorf("atna: %w", err)
	}
	return len(declaration) + len(b), nil
}

// sizeOf is what an object adds to a message.
func sizeOf(o Object) (int, error) {
	var b bytes.Buffer
	if err := xml.NewEncoder(&b).EncodeElement(o, xml.StartElement{Name: xml.Name{Local: "ParticipantObjectIdentification"}}); err != nil {
		return 0, fmt.Errorf("atna: %w", err)
	}
	return b.Len(), nil
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// Letter is the message that something came or went in, by its Message-ID: the only name that both sides have for it.
func Letter(messageID string, c LifeCycle) Object {
	return Object{ID: messageID, Type: systemObject, Role: roleReport, LifeCycle: c, IDType: MessageIDType, Name: "message"}
}
