package admind

import (
	"context"
	"net/http"
	"time"

	"carepost/internal/transit"
)

// HeldMail is mail that waits for a person to release it.
type HeldMail struct {
	ID        string    `json:"id"` // for release and cancel
	Message   string    `json:"message"`
	Direction string    `json:"direction"` // in, out
	From      string    `json:"from"`
	To        string    `json:"to"`
	Size      int64     `json:"size"`
	Since     time.Time `json:"since"`
	Until     time.Time `json:"until"`
}

func (s *Server) heldMail(w http.ResponseWriter, r *http.Request) {
	all, err := s.o.Flow.HeldMail(r.Context(), actor(r))
	out := []HeldMail{}
	for _, h := range all {
		way := "in"
		if h.Message.Direction == transit.Outbound {
			way = "out"
		}
		out = append(out, HeldMail{
			ID: h.Work, Message: h.Message.ID, Direction: way, From: h.Message.Envelope.From.Address.String(),
			To: h.Recipient.Address.String(), Size: h.Message.Size, Since: h.Since, Until: h.Until,
		})
	}
	s.answer(w, out, err)
}

func (s *Server) release(w http.ResponseWriter, r *http.Request) {
	s.done(w, s.o.Flow.Release(r.Context(), actor(r), r.PathValue("id")))
}

// HeldMail lists what waits for a person, longest first.
func (c *Client) HeldMail(ctx context.Context) (out []HeldMail, err error) {
	return out, c.ask(ctx, path("held"), &out)
}

// ReleaseWork lets mail go on that waits for a person. Conflict when its waiting has just ended; Refused for other work.
func (c *Client) ReleaseWork(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodPost, path("queue", id, "release"), nil, nil)
}
