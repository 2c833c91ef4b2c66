package admind

import (
	"context"
	"net/http"
	"slices"
	"time"

	"carepost/addr"
	"carepost/certificate"
	"carepost/internal/admin"
	"carepost/internal/flow"
)

// Pin is a certificate that is believed for one address alone (Direct 4.2.3).
type Pin struct {
	ID       string       `json:"id"`
	Owner    string       `json:"owner"`   // a domain or an address of ours: who believes it
	Address  addr.Address `json:"address"` // of the partner
	Subject  string       `json:"subject"`
	SHA256   string       `json:"sha256"`
	NotAfter time.Time    `json:"not_after"`
	Source   string       `json:"source,omitempty"`
	Vouched  string       `json:"vouched,omitempty"` // who has compared the fingerprint, and how
	By       string       `json:"by,omitempty"`      // who wrote that down
	Added    time.Time    `json:"added"`
	Waiting  int          `json:"waiting,omitempty"` // letters that are judged again now
	PEM      string       `json:"pem,omitempty"`
}

// NewPin is a certificate to be pinned.
type NewPin struct {
	Owner   string       `json:"owner,omitempty"` // empty: the only domain
	Address addr.Address `json:"address"`
	PEM     string       `json:"pem"`
	Source  string       `json:"source,omitempty"`
	Vouched string       `json:"vouched,omitempty"`
}

// TrustRequest is mail that was set aside for want of an anchor alone.
type TrustRequest struct {
	ID       string       `json:"id"`
	Message  string       `json:"message"` // id of its timeline
	Sender   addr.Address `json:"sender"`
	To       addr.Address `json:"to"`
	Subject  string       `json:"subject"` // of the certificate
	SHA256   string       `json:"sha256"`
	NotAfter time.Time    `json:"not_after"`
	At       time.Time    `json:"at"`
	PEM      string       `json:"pem,omitempty"`
}

// Acceptance says who vouches for the sender of a request.
type Acceptance struct {
	Owner   string `json:"owner,omitempty"` // who believes it; empty: the address that was written to
	Vouched string `json:"vouched"`
}

// Introduction asks for a hello, and Introduced is what was sent.
type (
	Introduction struct {
		From addr.Address `json:"from"`
		To   addr.Address `json:"to"`
	}
	Introduced struct {
		ID  string `json:"id"`  // of the message
		PEM string `json:"pem"` // the certificate that signs it, to be compared by telephone
	}
)

// Pins lists those of an owner; "" = of all.
func (c *Client) Pins(ctx context.Context, owner string) (out []Pin, err error) {
	return out, c.ask(ctx, path("pins")+query("owner", owner), &out)
}

// Pin believes a certificate for one address, in the place of the one believed so far.
func (c *Client) Pin(ctx context.Context, n NewPin) (out Pin, err error) {
	return out, c.call(ctx, http.MethodPost, path("pins"), n, &out)
}

// Unpin believes it no longer.
func (c *Client) Unpin(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, path("pins", id), nil, nil)
}

// TrustRequests lists mail that was set aside for want of an anchor, newest first.
func (c *Client) TrustRequests(ctx context.Context) (out []TrustRequest, err error) {
	return out, c.ask(ctx, path("requests"), &out)
}

// AcceptRequest pins the certificate of a request for its sender, and has what he wrote judged again.
func (c *Client) AcceptRequest(ctx context.Context, id string, a Acceptance) (out Pin, err error) {
	return out, c.call(ctx, http.MethodPost, path("requests", id, "accept"), a, &out)
}

// Hello introduces one of our accounts to somebody without a common anchor.
func (c *Client) Hello(ctx context.Context, i Introduction) (out Introduced, err error) {
	return out, c.call(ctx, http.MethodPost, path("hello"), i, &out)
}

func pinned(p admin.Pin) Pin {
	v := Pin{ID: p.ID, Owner: ownerName(p.Owner), Address: p.Address, SHA256: fingerprint(p.DER), Source: p.Source, Vouched: p.Vouched, By: p.By, Added: p.Added,
		PEM: armoured(p.DER)}
	if c, err := certificate.Parse(p.DER); err == nil {
		v.Subject, v.NotAfter = c.Subject.String(), c.NotAfter
	}
	return v
}

func (s *Server) pins(w http.ResponseWriter, r *http.Request) {
	o, err := owner(r.URL.Query().Get("owner"))
	if err != nil {
		s.fail(w, err)
		return
	}
	all, err := s.o.Admin.Pins(r.Context(), actor(r), o)
	out := []Pin{}
	for _, p := range all {
		out = append(out, pinned(p))
	}
	s.answer(w, out, err)
}

func (s *Server) pin(w http.ResponseWriter, r *http.Request) {
	var in NewPin
	if err := read(r, &in); err != nil {
		s.fail(w, err)
		return
	}
	o, err := owner(in.Owner)
	if err != nil {
		s.fail(w, err)
		return
	}
	c, err := oneCertificate(in.PEM)
	if err != nil {
		s.fail(w, err)
		return
	}
	s.vouch(w, r, admin.NewPin{Owner: o, Address: in.Address, Certificate: c, Source: in.Source, Vouched: in.Vouched})
}

func (s *Server) vouch(w http.ResponseWriter, r *http.Request, n admin.NewPin) {
	if s.o.Host.Vouch == nil {
		s.absent(w)
		return
	}
	p, waiting, err := s.o.Host.Vouch(r.Context(), actor(r), n)
	v := pinned(p)
	v.Waiting = waiting
	s.answer(w, v, err)
}

func (s *Server) unpin(w http.ResponseWriter, r *http.Request) {
	s.done(w, s.o.Admin.Unpin(r.Context(), actor(r), r.PathValue("id")))
}

func (s *Server) requests(w http.ResponseWriter, r *http.Request) {
	all, err := s.o.Flow.Requests(r.Context(), actor(r))
	out := []TrustRequest{}
	for _, q := range all {
		out = append(out, TrustRequest{ID: q.ID, Message: q.Message, Sender: q.Sender, To: q.To, Subject: q.Certificate.Subject.String(),
			SHA256: fingerprint(q.Certificate.Raw), NotAfter: q.Certificate.NotAfter, At: q.At, PEM: armoured(q.Certificate.Raw)})
	}
	s.answer(w, out, err)
}

func (s *Server) acceptRequest(w http.ResponseWriter, r *http.Request) {
	var in Acceptance
	if err := read(r, &in); err != nil {
		s.fail(w, err)
		return
	}
	o, err := owner(in.Owner)
	if err != nil {
		s.fail(w, err)
		return
	}
	all, err := s.o.Flow.Requests(r.Context(), actor(r))
	i := slices.IndexFunc(all, func(q flow.Request) bool { return q.ID == r.PathValue("id") })
	switch {
	case err != nil:
		s.fail(w, err)
		return
	case i < 0:
		s.fail(w, notFound("there is no such request: carepost trust requests lists those there are"))
		return
	case o == (admin.Owner{}):
		o.Address = all[i].To
	}
	s.vouch(w, r, admin.NewPin{Owner: o, Address: all[i].Sender, Certificate: all[i].Certificate, Source: "letter " + all[i].Message, Vouched: in.Vouched})
}

func (s *Server) hello(w http.ResponseWriter, r *http.Request) {
	var in Introduction
	if err := read(r, &in); err != nil {
		s.fail(w, err)
		return
	}
	id, cert, err := s.o.Flow.Hello(r.Context(), actor(r), in.From, in.To)
	if err != nil {
		s.fail(w, err)
		return
	}
	s.answer(w, Introduced{id, armoured(cert.Raw)}, nil)
}
