package admind

import (
	"net/http"

	"carepost/addr"
	"carepost/internal/admin"
)

func (s *Server) accounts(w http.ResponseWriter, r *http.Request) {
	var d addr.Domain
	if text := r.URL.Query().Get("domain"); text != "" {
		var err error
		if d, err = addr.ParseDomain(text); err != nil {
			s.fail(w, wrong("domain: not a domain"))
			return
		}
	}
	rows, err := s.o.Admin.Accounts(r.Context(), actor(r), d)
	out := []Account{}
	for _, a := range rows {
		out = append(out, Account{Address: a.Address, Created: a.Created, Closed: a.Closed, HasPassword: a.HasPassword, Drops: Drops(a.Drops)})
	}
	s.answer(w, out, err)
}

func (s *Server) addAccount(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Address addr.Address `json:"address"`
	}
	err := read(r, &in)
	if err == nil && in.Address.IsZero() {
		err = wrong("address: none")
	}
	if err == nil {
		err = s.o.Admin.AddAccount(r.Context(), actor(r), in.Address)
	}
	s.done(w, err)
}

func (s *Server) closeAccount(w http.ResponseWriter, r *http.Request) {
	p, err := where(r)
	if err == nil {
		err = s.o.Admin.CloseAccount(r.Context(), actor(r), p.of)
	}
	s.done(w, err)
}

// setPassword sets it, or takes it away when it is empty.
func (s *Server) setPassword(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Password string `json:"password"`
	}
	p, err := where(r)
	if err == nil {
		err = read(r, &in)
	}
	switch {
	case err != nil:
	case in.Password == "":
		err = s.o.Admin.RemovePassword(r.Context(), actor(r), p.of)
	default:
		err = s.o.Admin.SetPassword(r.Context(), actor(r), p.of, in.Password)
	}
	s.done(w, err)
}

func (s *Server) setDrops(w http.ResponseWriter, r *http.Request) {
	var in Drops
	p, err := where(r)
	if err == nil {
		err = read(r, &in)
	}
	if err == nil {
		err = s.o.Admin.SetDrops(r.Context(), actor(r), p.of, admin.Drops(in))
	}
	s.done(w, err)
}
