package admind

import (
	"context"
	"net/http"
	"time"

	"carepost/internal/audit"
)

// HandoverHost is what is asked of the room that gives studies to PACS.
type HandoverHost struct {
	List  func(ctx context.Context, ended bool) (Handovers, error)
	Show  func(ctx context.Context, by audit.Actor, id string) (Handover, error)
	Retry func(ctx context.Context, by audit.Actor, id string) error
	Drop  func(ctx context.Context, by audit.Actor, id string) error
	Test  func(ctx context.Context, by audit.Actor, name string) (refused, err error)
}

// Handovers are studies on their way to the destinations of carepost.toml.
type Handovers struct {
	Destinations []string   `json:"destinations"`
	Handovers    []Handover `json:"handovers"`
}

// Handover is the study of one mail on its way to one destination.
type Handover struct {
	ID          string     `json:"id"`
	Destination string     `json:"destination"`
	Account     string     `json:"account"`           // whose mail it came in
	UID         uint32     `json:"uid"`               // of that mail
	Message     string     `json:"message,omitempty"` // id
	State       string     `json:"state"`             // waiting, done, failed, left; idle: waiting, yet nobody does it
	Instances   int64      `json:"instances"`         // 0 until the study has been looked at
	Taken       int64      `json:"taken"`
	Refused     int        `json:"refused"`
	Warnings    int        `json:"warnings"`          // of those taken
	Letters     int        `json:"letters,omitempty"` // of the instances: those that the letter of the mail was made into
	Note        string     `json:"note,omitempty"`    // why it was not, though it should be
	Reason      string     `json:"reason,omitempty"`
	Verdict     string     `json:"verdict,omitempty"`
	Attempts    int64      `json:"attempts"`
	Created     time.Time  `json:"created"`
	Changed     time.Time  `json:"changed"`
	Next        *time.Time `json:"next,omitempty"` // when it is tried again

	Refusals []Refusal `json:"refusals,omitempty"` // the first ones; of a single one that is shown
}

// Refusal is an instance that a destination does not take.
type Refusal struct {
	SOPClass    string `json:"sop_class"`
	SOPInstance string `json:"sop_instance"`
	Reason      string `json:"reason"`
}

// HandoverTest is what became of asking a destination whether it is there.
type HandoverTest struct {
	Destination string `json:"destination"`
	Answers     bool   `json:"answers"`
	Error       string `json:"error,omitempty"`
}

func (s *Server) handoverRoutes(m *http.ServeMux) {
	m.HandleFunc("GET /v1/handovers", s.handovers)
	m.HandleFunc("GET /v1/handovers/{id}", s.handover)
	m.HandleFunc("POST /v1/handovers/{id}/retry", s.onHandover(func() func(context.Context, audit.Actor, string) error { return s.o.Host.Handovers.Retry }))
	m.HandleFunc("POST /v1/handovers/{id}/drop", s.onHandover(func() func(context.Context, audit.Actor, string) error { return s.o.Host.Handovers.Drop }))
	m.HandleFunc("POST /v1/destinations/test", s.testDestination)
}

func (s *Server) handovers(w http.ResponseWriter, r *http.Request) {
	if s.o.Host.Handovers.List == nil {
		s.absent(w)
		return
	}
	out, err := s.o.Host.Handovers.List(r.Context(), r.FormValue("all") != "")
	s.answer(w, out, err)
}

func (s *Server) handover(w http.ResponseWriter, r *http.Request) {
	if s.o.Host.Handovers.Show == nil {
		s.absent(w)
		return
	}
	out, err := s.o.Host.Handovers.Show(r.Context(), actor(r), r.PathValue("id"))
	s.answer(w, out, err)
}

func (s *Server) onHandover(act func() func(context.Context, audit.Actor, string) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		do := act()
		if do == nil {
			s.absent(w)
			return
		}
		s.done(w, do(r.Context(), actor(r), r.PathValue("id")))
	}
}

func (s *Server) testDestination(w http.ResponseWriter, r *http.Request) {
	if s.o.Host.Handovers.Test == nil {
		s.absent(w)
		return
	}
	var out HandoverTest
	if err := read(r, &out); err != nil {
		s.fail(w, err)
		return
	}
	refused, err := s.o.Host.Handovers.Test(r.Context(), actor(r), out.Destination)
	if out.Answers, out.Error = refused == nil, ""; refused != nil {
		out.Error = refused.Error()
	}
	s.answer(w, out, err)
}

// Handovers lists what waits and what failed; with all, also what ended.
func (c *Client) Handovers(ctx context.Context, all bool) (out Handovers, err error) {
	at := path("handovers")
	if all {
		at += "?all=1"
	}
	return out, c.ask(ctx, at, &out)
}

// Handover shows one, with what was refused. NotFound.
func (c *Client) Handover(ctx context.Context, id string) (out Handover, err error) {
	return out, c.ask(ctx, path("handovers", id), &out)
}

// RetryHandover has one tried now. NotFound; Conflict for one that is done.
func (c *Client) RetryHandover(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodPost, path("handovers", id, "retry"), nil, nil)
}

// DropHandover ends one; the mail stays. NotFound.
func (c *Client) DropHandover(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodPost, path("handovers", id, "drop"), nil, nil)
}

// TestDestination asks whether one is there. NotFound where carepost.toml has none of that name.
func (c *Client) TestDestination(ctx context.Context, name string) (out HandoverTest, err error) {
	return out, c.call(ctx, http.MethodPost, path("destinations", "test"), HandoverTest{Destination: name}, &out)
}
