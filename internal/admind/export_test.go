package admind

import "time"

// SetGrace says how long requests may go on when the server ends.
func (s *Server) SetGrace(d time.Duration) { s.grace = d }
