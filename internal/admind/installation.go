package admind

import (
	"net/http"
	"path/filepath"
)

// absent answers for what the installation cannot do.
func (s *Server) absent(w http.ResponseWriter) {
	s.fail(w, notFound("this installation has no answer to that"))
}

func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	if s.o.Host.Status == nil {
		s.absent(w)
		return
	}
	v, err := s.o.Host.Status(r.Context())
	s.answer(w, v, err)
}

func (s *Server) identity(w http.ResponseWriter, r *http.Request) {
	if s.o.Host.Identity == nil {
		s.absent(w)
		return
	}
	v, err := s.o.Host.Identity(r.Context())
	s.answer(w, v, err)
}

func (s *Server) addPartner(w http.ResponseWriter, r *http.Request) {
	if s.o.Host.AddPartner == nil {
		s.absent(w)
		return
	}
	var c Card
	if err := read(r, &c); err != nil {
		s.fail(w, err)
		return
	}
	s.done(w, s.o.Host.AddPartner(r.Context(), actor(r), c))
}

func (s *Server) reload(w http.ResponseWriter, r *http.Request) {
	if s.o.Host.Reload == nil {
		s.absent(w)
		return
	}
	out, err := s.o.Host.Reload(r.Context(), actor(r))
	s.answer(w, out, err)
}

func (s *Server) keys(w http.ResponseWriter, r *http.Request) {
	if s.o.Host.Keys == nil {
		s.absent(w)
		return
	}
	v, err := s.o.Host.Keys(r.Context())
	s.answer(w, v, err)
}

func (s *Server) rotateKey(w http.ResponseWriter, r *http.Request) {
	if s.o.Host.RotateKey == nil {
		s.absent(w)
		return
	}
	s.long(w, func(progress func(done, total int64)) (any, error) {
		return s.o.Host.RotateKey(r.Context(), actor(r), progress)
	})
}

func (s *Server) rekey(w http.ResponseWriter, r *http.Request) {
	if s.o.Host.Rekey == nil {
		s.absent(w)
		return
	}
	s.done(w, s.o.Host.Rekey(r.Context(), actor(r)))
}

func (s *Server) backup(w http.ResponseWriter, r *http.Request) {
	if s.o.Host.Backup == nil {
		s.absent(w)
		return
	}
	dir := r.URL.Query().Get("dir")
	if !filepath.IsAbs(dir) { // the gateway stands in another directory than who asks
		s.fail(w, wrong("dir: not an absolute path"))
		return
	}
	s.long(w, func(progress func(done, total int64)) (any, error) {
		return s.o.Host.Backup(r.Context(), actor(r), filepath.Clean(dir), progress)
	})
}
