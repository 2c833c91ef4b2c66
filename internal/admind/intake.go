package admind

import (
	"context"
	"net/http"
	"time"

	"carepost/internal/intake"
)

// IntakeStudy is a study that a device has handed in.
type IntakeStudy struct {
	ID      string    `json:"id"`
	State   string    `json:"state"` // open, closing, held, sent, dropped
	Via     string    `json:"via"`   // dimse, stow
	Calling string    `json:"calling"`
	Called  string    `json:"called"`
	Objects int64     `json:"objects"`
	Bytes   int64     `json:"bytes"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
	Late    bool      `json:"late"`              // further objects of a study that was sent
	Why     string    `json:"why,omitempty"`     // it is held: route, conflict, profile, refused, damaged
	Reason  []string  `json:"reason,omitempty"`  // the same for people
	Route   string    `json:"route,omitempty"`   // by which it was sent
	Message string    `json:"message,omitempty"` // id of its mail
}

// IntakeDetails are a study with whom and what it is about.
type IntakeDetails struct {
	IntakeStudy
	StudyUID   string              `json:"study_uid"`
	Patients   []IntakePatient     `json:"patients"`
	Attributes map[string][]string `json:"attributes"` // as routes ask for them
	Contents   []IntakeObject      `json:"contents"`   // at most 1000
}

// IntakePatient is whom a study is about.
type IntakePatient struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// IntakeObject is one object of a study.
type IntakeObject struct {
	Number         int64  `json:"number"`
	SOPInstance    string `json:"sop_instance"`
	SOPClass       string `json:"sop_class"`
	TransferSyntax string `json:"transfer_syntax"`
	Size           int64  `json:"size"`
}

// IntakeAllow is what a person lets pass when a study is to be sent again.
type IntakeAllow struct {
	Names    bool `json:"names"`    // one Patient ID with several names
	Parents  bool `json:"parents"`  // one study under two patients, one series under two studies
	Versions bool `json:"versions"` // one object with different bytes
	Subject  bool `json:"subject"`  // the subject of the route names the patient

	Route string `json:"route,omitempty"` // name of a [[dicom.route]] that it is to go by
}

func (s *Server) intakeRoutes(m *http.ServeMux) {
	m.HandleFunc("GET /v1/intake", s.intakeList)
	m.HandleFunc("GET /v1/intake/{id}", s.intakeShow)
	m.HandleFunc("POST /v1/intake/{id}/retry", s.intakeRetry)
	m.HandleFunc("DELETE /v1/intake/{id}", s.intakeDrop)
}

func (s *Server) intakeList(w http.ResponseWriter, r *http.Request) {
	all, err := s.o.Intake.List(r.Context(), actor(r), r.URL.Query().Get("all") != "")
	out := []IntakeStudy{}
	for _, x := range all {
		out = append(out, intakeStudy(x))
	}
	s.answer(w, out, err)
}

func intakeStudy(x intake.Study) IntakeStudy {
	return IntakeStudy{ID: x.ID, State: string(x.State), Via: x.Via, Calling: x.Calling, Called: x.Called, Objects: x.Objects, Bytes: x.Bytes, First: x.First,
		Last: x.Last, Late: x.Late, Why: string(x.Why), Reason: x.Reason, Route: x.Route, Message: x.Message}
}

func (s *Server) intakeShow(w http.ResponseWriter, r *http.Request) {
	d, err := s.o.Intake.Show(r.Context(), actor(r), r.PathValue("id"))
	out := IntakeDetails{IntakeStudy: intakeStudy(d.Study), StudyUID: d.StudyUID, Patients: []IntakePatient{}, Attributes: d.Facts, Contents: []IntakeObject{}}
	for _, p := range d.Patients {
		out.Patients = append(out.Patients, IntakePatient(p))
	}
	for _, o := range d.Object {
		out.Contents = append(out.Contents, IntakeObject{Number: o.Seq, SOPInstance: o.SOPInstance, SOPClass: o.SOPClass, TransferSyntax: o.TransferSyntax, Size: o.Size})
	}
	s.answer(w, out, err)
}

func (s *Server) intakeRetry(w http.ResponseWriter, r *http.Request) {
	var a IntakeAllow
	if err := read(r, &a); err != nil {
		s.fail(w, err)
		return
	}
	s.done(w, s.o.Intake.Retry(r.Context(), actor(r), r.PathValue("id"), intake.Allow(a)))
}

func (s *Server) intakeDrop(w http.ResponseWriter, r *http.Request) {
	s.done(w, s.o.Intake.Drop(r.Context(), actor(r), r.PathValue("id")))
}

// Intake lists the studies of devices that are neither sent nor dropped, or all that are known yet.
func (c *Client) Intake(ctx context.Context, all bool) (out []IntakeStudy, err error) {
	at := path("intake")
	if all {
		at += "?all=1"
	}
	return out, c.ask(ctx, at, &out)
}

// IntakeStudy tells everything of one. NotFound.
func (c *Client) IntakeStudy(ctx context.Context, id string) (out IntakeDetails, err error) {
	return out, c.ask(ctx, path("intake", id), &out)
}

// RetryIntake has a study sent again that waits for a person. NotFound; Conflict where it does not wait.
func (c *Client) RetryIntake(ctx context.Context, id string, allow IntakeAllow) error {
	return c.call(ctx, http.MethodPost, path("intake", id, "retry"), allow, nil)
}

// DropIntake gives up a study that waits for a person, and erases its objects. NotFound; Conflict where it does not wait.
func (c *Client) DropIntake(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, path("intake", id), nil, nil)
}
