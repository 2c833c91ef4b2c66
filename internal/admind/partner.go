package admind

import (
	"context"
	"net/http"

	"carepost/addr"
)

// RemovePartner forgets a partner's card and trusts its anchor no longer. NotFound where there is no such card.
func (c *Client) RemovePartner(ctx context.Context, d addr.Domain) error {
	return c.call(ctx, http.MethodDelete, path("partners", d.String()), nil, nil)
}

func (s *Server) removePartner(w http.ResponseWriter, r *http.Request) {
	if s.o.Host.RemovePartner == nil {
		s.absent(w)
		return
	}
	d, err := addr.ParseDomain(r.PathValue("domain"))
	if err != nil {
		s.fail(w, wrong("that is no domain"))
		return
	}
	s.done(w, s.o.Host.RemovePartner(r.Context(), actor(r), d))
}
