package admind

import (
	"context"
	"net/http"
	"time"

	"carepost/internal/audit"
)

// CollectHost is what is asked of the room that fetches mail from providers.
type CollectHost struct {
	List  func(ctx context.Context) ([]Collecting, error)
	Now   func(ctx context.Context, by audit.Actor, patience time.Duration) (Fetched, error)
	Retry func(ctx context.Context, by audit.Actor, name string) (int64, error)
}

// Collecting is how the fetching from one mailbox goes.
type Collecting struct {
	Name    string     `json:"name"`
	For     string     `json:"for"`
	Manual  bool       `json:"manual"`            // only by carepost fetch
	Tried   *time.Time `json:"tried,omitempty"`   // last
	Heard   *time.Time `json:"fetched,omitempty"` // everything that lay there then has been fetched
	Error   string     `json:"error,omitempty"`
	Since   *time.Time `json:"since,omitempty"` // of the error
	Next    *time.Time `json:"next,omitempty"`
	Kept    int64      `json:"kept"`    // fetched, and still there because carepost.toml says so
	Refused []NotTaken `json:"refused"` // they stay there
}

// NotTaken is a mail that stays at the provider.
type NotTaken struct {
	Reason string    `json:"reason"`
	Size   int64     `json:"size"`
	At     time.Time `json:"at"`
}

// Fetched is what came of fetching and sending at once.
type Fetched struct {
	Mailboxes []FetchedFrom `json:"mailboxes"`
	Flushed   int           `json:"flushed"` // pieces of work that waited, and were tried again
	Due       int           `json:"due"`     // that are being done still
	Waiting   int           `json:"waiting"` // that were tried in vain, and wait for another try
}

// FetchedFrom is what came of one mailbox.
type FetchedFrom struct {
	Name    string `json:"name"`
	Taken   int    `json:"taken"`
	Refused int    `json:"refused"`
	Removed int    `json:"removed"` // at the provider
	Error   string `json:"error,omitempty"`
}

// FetchWish says how long it may take.
type FetchWish struct {
	Seconds int `json:"seconds"`
}

// maxFetch is how long one request may go on, in seconds.
const maxFetch = 12 * 3600

// Retried is how many mails are looked at again.
type Retried struct {
	Mails int64 `json:"mails"`
}

func (s *Server) collectRoutes(m *http.ServeMux) {
	m.HandleFunc("GET /v1/collect", s.collecting)
	m.HandleFunc("POST /v1/collect/now", s.fetchNow)
	m.HandleFunc("POST /v1/collect/{name}/retry", s.retryCollect)
}

func (s *Server) collecting(w http.ResponseWriter, r *http.Request) {
	if s.o.Host.Collect.List == nil {
		s.absent(w)
		return
	}
	all, err := s.o.Host.Collect.List(r.Context())
	s.answer(w, append([]Collecting{}, all...), err)
}

func (s *Server) fetchNow(w http.ResponseWriter, r *http.Request) {
	if s.o.Host.Collect.Now == nil {
		s.absent(w)
		return
	}
	var wish FetchWish
	if err := read(r, &wish); err != nil {
		s.fail(w, err)
		return
	}
	if wish.Seconds < 1 || wish.Seconds > maxFetch {
		s.fail(w, wrong("seconds: none of 1 to 43200"))
		return
	}
	out, err := s.o.Host.Collect.Now(r.Context(), actor(r), time.Duration(wish.Seconds)*time.Second)
	out.Mailboxes = append([]FetchedFrom{}, out.Mailboxes...)
	s.answer(w, out, err)
}

func (s *Server) retryCollect(w http.ResponseWriter, r *http.Request) {
	if s.o.Host.Collect.Retry == nil {
		s.absent(w)
		return
	}
	n, err := s.o.Host.Collect.Retry(r.Context(), actor(r), r.PathValue("name"))
	s.answer(w, Retried{n}, err)
}

// Collecting tells how fetching from providers goes.
func (c *Client) Collecting(ctx context.Context) (out []Collecting, err error) {
	return out, c.ask(ctx, path("collect"), &out)
}

// FetchNow fetches mail and sends what waits, for so long at most. Conflict where no gateway runs.
func (c *Client) FetchNow(ctx context.Context, patience time.Duration) (out Fetched, err error) {
	return out, c.call(ctx, http.MethodPost, path("collect", "now"), FetchWish{int(patience / time.Second)}, &out)
}

// RetryCollect has mails that were refused looked at again. NotFound.
func (c *Client) RetryCollect(ctx context.Context, name string) (out Retried, err error) {
	return out, c.call(ctx, http.MethodPost, path("collect", name, "retry"), nil, &out)
}
