package admind

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"net/http"
	"time"

	"carepost/certificate"
)

// Intermediate is a certificate given by hand for the way to an anchor (Direct 4.2.2). Nobody trusts it.
type Intermediate struct {
	Subject  string    `json:"subject"`
	Issuer   string    `json:"issuer"`
	SHA256   string    `json:"sha256"`
	NotAfter time.Time `json:"not_after"`
	Source   string    `json:"source,omitempty"`
	Added    time.Time `json:"added"`
	PEM      string    `json:"pem,omitempty"`
}

// NewIntermediate is one to be kept.
type NewIntermediate struct {
	PEM    string `json:"pem"` // one certificate
	Source string `json:"source,omitempty"`
}

// Intermediates lists those that are kept, oldest first.
func (c *Client) Intermediates(ctx context.Context) (out []Intermediate, err error) {
	return out, c.ask(ctx, path("intermediates"), &out)
}

// AddIntermediate keeps one. One that is there already stays as it is.
func (c *Client) AddIntermediate(ctx context.Context, n NewIntermediate) error {
	return c.call(ctx, http.MethodPost, path("intermediates"), n, nil)
}

// RemoveIntermediate forgets the one of that SHA-256, in hexadecimal digits.
func (c *Client) RemoveIntermediate(ctx context.Context, print string) error {
	return c.call(ctx, http.MethodDelete, path("intermediates", print), nil, nil)
}

func (s *Server) intermediates(w http.ResponseWriter, r *http.Request) {
	rows, err := s.o.Admin.Intermediates(r.Context())
	out := []Intermediate{}
	for _, row := range rows {
		print := sha256.Sum256(row.DER)
		i := Intermediate{SHA256: hex.EncodeToString(print[:]), Source: row.Source, Added: row.Added,
			PEM: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: row.DER}))}
		if c, err := certificate.Parse(row.DER); err == nil {
			i.Subject, i.Issuer, i.NotAfter = c.Subject.String(), c.Issuer.String(), c.NotAfter
		}
		out = append(out, i)
	}
	s.answer(w, out, err)
}

func (s *Server) addIntermediate(w http.ResponseWriter, r *http.Request) {
	var n NewIntermediate
	if err := read(r, &n); err != nil {
		s.fail(w, err)
		return
	}
	cert, err := oneCertificate(n.PEM)
	if err != nil {
		s.fail(w, err)
		return
	}
	s.done(w, s.o.Admin.AddIntermediate(r.Context(), actor(r), cert, n.Source))
}

func (s *Server) removeIntermediate(w http.ResponseWriter, r *http.Request) {
	print, err := hex.DecodeString(r.PathValue("sha256"))
	if err != nil || len(print) != sha256.Size {
		s.fail(w, wrong("no SHA-256 in 64 hexadecimal digits"))
		return
	}
	s.done(w, s.o.Admin.RemoveIntermediate(r.Context(), actor(r), [sha256.Size]byte(print)))
}
