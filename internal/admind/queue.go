package admind

import (
	"net/http"
	"strconv"

	"carepost/internal/flow"
)

// mostWork is how many rows one answer lists.
const mostWork = 1000

func (s *Server) queue(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	switch q.Get("state") {
	case "", "ready", "leased", "held", "dead":
	default:
		s.fail(w, wrong("state: none of ready, leased, held, dead"))
		return
	}
	limit, err := number(q.Get("limit"), mostWork)
	if err != nil {
		s.fail(w, err)
		return
	}
	rows, err := s.o.Flow.Queue(r.Context(), actor(r), q.Get("state"), limit)
	out := []Work{}
	for _, b := range rows {
		out = append(out, work(b))
	}
	s.answer(w, out, err)
}

func (s *Server) work(w http.ResponseWriter, r *http.Request) {
	b, err := s.o.Flow.Queued(r.Context(), actor(r), r.PathValue("id"))
	s.answer(w, work(b), err)
}

func work(b flow.Backlog) Work {
	return Work{
		ID: b.ID, Kind: b.Kind, Ref: b.Ref, Message: b.Message, Lane: string(b.Lane), Dest: b.Dest, State: string(b.State), Attempts: b.Attempt,
		Next: b.NextAt, Created: b.Created, Error: b.Error,
	}
}

// number reads a limit: 1 to most, which stands for none too.
func number(text string, most int) (int, error) {
	if text == "" {
		return most, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, wrong("limit: not a number")
	}
	if n == 0 || n > most {
		n = most
	}
	return n, nil
}

func (s *Server) retry(w http.ResponseWriter, r *http.Request) {
	s.done(w, s.o.Flow.Retry(r.Context(), actor(r), r.PathValue("id")))
}

func (s *Server) cancel(w http.ResponseWriter, r *http.Request) {
	s.done(w, s.o.Flow.Cancel(r.Context(), actor(r), r.PathValue("id")))
}

func (s *Server) hold(w http.ResponseWriter, r *http.Request) {
	s.done(w, s.o.Flow.Hold(r.Context(), actor(r), r.PathValue("id")))
}
