package admind

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"carepost/addr"
	"carepost/internal/audit"
)

// PilotHost is what the pilot authority of an installation can tell or do. A function that is not set is answered with NotFound.
type PilotHost struct {
	Anchors func(ctx context.Context) (Authority, error)
	Issue   func(ctx context.Context, by audit.Actor, o PilotOrder) (IssuedCertificate, error)
	Revoke  func(ctx context.Context, by audit.Actor, o RevokeOrder) (Revoked, error)
	Advice  func(ctx context.Context, a addr.Address) (Advice, error)
}

// Authority is the pilot authority of an installation.
type Authority struct {
	Anchors []AuthorityKey `json:"anchors"` // oldest first; the last one issues
}

// AuthorityKey is one certificate of an authority: an anchor for partners.
type AuthorityKey struct {
	Subject   string    `json:"subject"`
	Serial    string    `json:"serial"` // hexadecimal
	SHA256    string    `json:"sha256"`
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	Issues    bool      `json:"issues"` // what is issued now comes from it
	PEM       string    `json:"pem"`
}

// PilotOrder is a certificate that is wanted.
type PilotOrder struct {
	Owner string `json:"owner"`          // an address or a domain of ours
	Kind  string `json:"kind,omitempty"` // rsa2048 (default), rsa3072, rsa4096, p256
	Use   string `json:"use,omitempty"`  // both (default), sign, encrypt
}

// IssuedCertificate is a certificate of our own authority.
type IssuedCertificate struct {
	Owner    string    `json:"owner"`
	Kind     string    `json:"kind,omitempty"`
	Use      string    `json:"use,omitempty"`
	Serial   string    `json:"serial"`
	SHA256   string    `json:"sha256"`
	NotAfter time.Time `json:"not_after"`
	PEM      string    `json:"pem"`
	Warnings []string  `json:"warnings,omitempty"` // of the address
}

// RevokeOrder is a certificate that is to be taken back.
type RevokeOrder struct {
	Which  string `json:"which"`            // its serial number or SHA-256, hexadecimal
	Reason string `json:"reason,omitempty"` // of RFC 5280 §5.3.1; empty: unspecified
	Tell   bool   `json:"tell,omitempty"`   // partners are told by letter
}

// Revoked is what became of a certificate that was taken back.
type Revoked struct {
	Owner     string             `json:"owner"`
	Serial    string             `json:"serial"`
	SHA256    string             `json:"sha256"`
	Reason    string             `json:"reason"`
	At        time.Time          `json:"at"`
	Already   bool               `json:"already,omitempty"`   // it was revoked before
	Successor *IssuedCertificate `json:"successor,omitempty"` // in use instead from now on
	Partners  []addr.Domain      `json:"partners"`            // with whom mail was exchanged lately
	Told      []Told             `json:"told"`                // letters to them; empty: not asked for
}

// Told is a letter to a partner.
type Told struct {
	Domain  addr.Domain `json:"domain"`
	Message string      `json:"message"` // id of its timeline
}

// Advice is what is to be known of an address before it is given out.
type Advice struct {
	Warnings []string `json:"warnings"`
}

// Authority tells the anchors of the pilot authority. NotFound where there is none.
func (c *Client) Authority(ctx context.Context) (out Authority, err error) {
	return out, c.ask(ctx, path("authority"), &out)
}

// Issue has the pilot authority issue a certificate. Refused where that cannot be.
func (c *Client) Issue(ctx context.Context, o PilotOrder) (out IssuedCertificate, err error) {
	return out, c.call(ctx, http.MethodPost, path("authority", "issue"), o, &out)
}

// Revoke takes a certificate of the pilot authority back; what is revoked already stays so. NotFound where it is none of the authority's.
func (c *Client) Revoke(ctx context.Context, o RevokeOrder) (out Revoked, err error) {
	return out, c.call(ctx, http.MethodPost, path("authority", "revoke"), o, &out)
}

// Advice tells what an address would give away, and whom it could be mistaken for.
func (c *Client) Advice(ctx context.Context, a addr.Address) (out Advice, err error) {
	return out, c.ask(ctx, path("advice")+"?"+url.Values{"address": {a.String()}}.Encode(), &out)
}

// pilotRoutes are those of the pilot authority.
func (s *Server) pilotRoutes(m *http.ServeMux) {
	h := s.o.Host.Pilot
	m.HandleFunc("GET /v1/authority", func(w http.ResponseWriter, r *http.Request) {
		if h.Anchors == nil {
			s.absent(w)
			return
		}
		v, err := h.Anchors(r.Context())
		s.answer(w, v, err)
	})
	m.HandleFunc("POST /v1/authority/issue", func(w http.ResponseWriter, r *http.Request) {
		var o PilotOrder
		if h.Issue == nil {
			s.absent(w)
		} else if err := read(r, &o); err != nil {
			s.fail(w, err)
		} else {
			v, err := h.Issue(r.Context(), actor(r), o)
			s.answer(w, v, err)
		}
	})
	m.HandleFunc("POST /v1/authority/revoke", func(w http.ResponseWriter, r *http.Request) {
		var o RevokeOrder
		if h.Revoke == nil {
			s.absent(w)
		} else if err := read(r, &o); err != nil {
			s.fail(w, err)
		} else {
			v, err := h.Revoke(r.Context(), actor(r), o)
			s.answer(w, v, err)
		}
	})
	m.HandleFunc("GET /v1/advice", func(w http.ResponseWriter, r *http.Request) {
		a, err := addr.Parse(r.URL.Query().Get("address"))
		if h.Advice == nil {
			s.absent(w)
		} else if err != nil {
			s.fail(w, wrong("address: none"))
		} else {
			v, err := h.Advice(r.Context(), a)
			s.answer(w, v, err)
		}
	})
}
