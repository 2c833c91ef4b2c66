package admind

import (
	"context"
	"net/http"
	"time"

	"carepost/internal/audit"
)

// HookHost is what is asked of the room that sends webhooks.
type HookHost struct {
	List func(ctx context.Context) ([]Webhook, error)
	Test func(ctx context.Context, by audit.Actor, url string) (refused, err error)
}

// Webhook is a URL that is told what becomes of messages, and how far it has been told.
type Webhook struct {
	URL     string     `json:"url"`
	Events  []string   `json:"events"`
	Sent    *time.Time `json:"sent,omitempty"` // when an event was taken last
	Behind  int64      `json:"behind"`         // entries of the audit log that are to be looked at yet
	Dropped int64      `json:"dropped"`        // events that were given up
	Error   string     `json:"error,omitempty"`
	Next    *time.Time `json:"next,omitempty"` // when it is tried again
}

// HookTest is what became of a trial.
type HookTest struct {
	URL   string `json:"url"`
	Taken bool   `json:"taken"`
	Error string `json:"error,omitempty"`
}

func (s *Server) hookRoutes(m *http.ServeMux) {
	m.HandleFunc("GET /v1/webhooks", s.webhooks)
	m.HandleFunc("POST /v1/webhooks/test", s.testWebhook)
}

func (s *Server) webhooks(w http.ResponseWriter, r *http.Request) {
	if s.o.Host.Hooks.List == nil {
		s.absent(w)
		return
	}
	out, err := s.o.Host.Hooks.List(r.Context())
	s.answer(w, out, err)
}

func (s *Server) testWebhook(w http.ResponseWriter, r *http.Request) {
	if s.o.Host.Hooks.Test == nil {
		s.absent(w)
		return
	}
	var out HookTest
	if err := read(r, &out); err != nil {
		s.fail(w, err)
		return
	}
	refused, err := s.o.Host.Hooks.Test(r.Context(), actor(r), out.URL)
	if out.Taken, out.Error = refused == nil, ""; refused != nil {
		out.Error = refused.Error()
	}
	s.answer(w, out, err)
}

// Webhooks lists those of carepost.toml.
func (c *Client) Webhooks(ctx context.Context) (out []Webhook, err error) {
	return out, c.ask(ctx, path("webhooks"), &out)
}

// TestWebhook sends an event that says of itself that it is a trial. NotFound for a URL that is none of carepost.toml.
func (c *Client) TestWebhook(ctx context.Context, url string) (out HookTest, err error) {
	return out, c.call(ctx, http.MethodPost, path("webhooks", "test"), HookTest{URL: url}, &out)
}
