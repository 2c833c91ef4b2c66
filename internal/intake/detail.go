package intake

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"carepost/addr"
	"carepost/internal/audit"
	"carepost/internal/store"
)

// Why a study waits for a person.
type Why string

// The reasons.
const (
	WhyRoute    Why = "route"    // no route fits
	WhyConflict Why = "conflict" // the objects contradict one another
	WhyProfile  Why = "profile"  // they do not fit the profile
	WhyRefused  Why = "refused"  // the mail is not taken: the account, a rule, a size
	WhyDamaged  Why = "damaged"  // the spool is
)

// detail is what the sealed row of a study says.
type detail struct {
	Origin   Origin    `json:"origin"`
	StudyUID string    `json:"study_uid,omitempty"`
	Patients []Patient `json:"patients,omitempty"`
	Facts    facts     `json:"facts,omitempty"`
	Before   string    `json:"before,omitempty"` // id of the message with the objects that came earlier; "intake:" and the id of a study that has none yet

	Why    Why         `json:"why,omitempty"`
	Reason []string    `json:"reason,omitempty"` // one line each: cause and remedy
	Told   Why         `json:"told,omitempty"`   // what a letter went out about
	Allow  Allow       `json:"allow"`
	Chosen audit.Actor `json:"chosen,omitempty"` // who chose Allow.Route

	Route   string    `json:"route,omitempty"`
	Tries   int       `json:"tries,omitempty"`   // how often it was held
	Closed  time.Time `json:"closed,omitzero"`   // the Date of its mail
	Message string    `json:"message,omitempty"` // id, once it is sent
}

// Patient is whom a study is about.
type Patient struct {
	ID   string `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
}

// Allow is what a person lets pass.
type Allow struct {
	Names    bool `json:"names,omitempty"`    // one Patient ID with several names
	Parents  bool `json:"parents,omitempty"`  // one study under two patients, or one series under two studies
	Versions bool `json:"versions,omitempty"` // one instance with different bytes: the first that came is sent
	Subject  bool `json:"subject,omitempty"`  // the subject of the route holds a word of the patient's name

	Route string `json:"route,omitempty"` // name of the route that it goes by, whatever fits
}

// object is what the sealed row of an object says.
type object struct {
	SOPInstance    string `json:"sop_instance"`
	SOPClass       string `json:"sop_class"`
	TransferSyntax string `json:"transfer_syntax"`
	SHA256         []byte `json:"sha256"`
}

// names are what it allows, for the audit.
func (a Allow) names() string {
	var out []string
	for _, x := range []struct {
		given bool
		name  string
	}{{a.Names, "names"}, {a.Parents, "parents"}, {a.Versions, "versions"}, {a.Subject, "subject"}} {
		if x.given {
			out = append(out, x.name)
		}
	}
	if a.Route != "" {
		out = append(out, "route:"+a.Route)
	}
	return strings.Join(out, " ")
}

func read(i store.Intake) (d detail, err error) {
	if err := json.Unmarshal(i.Detail, &d); err != nil {
		return d, fmt.Errorf("intake: study %s: its row is not what was written", i.ID)
	}
	return d, nil
}

func (d detail) raw() json.RawMessage {
	b, err := json.Marshal(d)
	if err != nil {
		panic(err) // texts and numbers alone
	}
	return b
}

// group is what objects are collected by.
func (o Origin) group(study string) string {
	to := make([]string, len(o.To))
	for i, a := range o.To {
		to[i] = a.Key()
	}
	slices.Sort(to)
	from := ""
	if o.From != (addr.Address{}) {
		from = o.From.Key()
	}
	return strings.Join([]string{o.Via, o.Calling, o.Called, from, strings.Join(to, ","), o.Subject, study}, "\n")
}

// learn adds what a further object says. It tells whether that was new.
func (d *detail) learn(p Patient, f facts) bool {
	fresh := d.Facts.add(f)
	if p != (Patient{}) && !slices.Contains(d.Patients, p) && len(d.Patients) < maxValues {
		d.Patients, fresh = append(d.Patients, p), true
	}
	return fresh
}

func (o object) raw() json.RawMessage {
	b, err := json.Marshal(o)
	if err != nil {
		panic(err) // texts alone
	}
	return b
}
