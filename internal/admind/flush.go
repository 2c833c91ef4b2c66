package admind

import (
	"context"
	"net/http"
)

// flush forgets what is known of others' certificates.
func (s *Server) flush(w http.ResponseWriter, r *http.Request) {
	if s.o.Host.Flush == nil {
		s.absent(w)
		return
	}
	s.done(w, s.o.Host.Flush(r.Context(), actor(r)))
}

// Flush has a running gateway forget what it has kept of DNS, of LDAP and of fetched certificates of others: the next message looks
// everything up anew.
func (c *Client) Flush(ctx context.Context) error {
	return c.call(ctx, http.MethodDelete, path("discovery"), nil, nil)
}
