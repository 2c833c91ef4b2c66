package admind

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"net/http"
	"strings"

	"carepost/internal/admin"
	"carepost/internal/transit"
)

// owner reads whose anchors are meant; "" gives the zero Owner.
func owner(text string) (admin.Owner, error) {
	if text == "" {
		return admin.Owner{}, nil
	}
	return admin.ParseOwner(text)
}

func (s *Server) anchors(w http.ResponseWriter, r *http.Request) {
	o, err := owner(r.URL.Query().Get("owner"))
	if err != nil {
		s.fail(w, err)
		return
	}
	rows, err := s.o.Admin.Anchors(r.Context(), actor(r), o)
	s.answerAnchors(w, rows, err)
}

func (s *Server) addAnchor(w http.ResponseWriter, r *http.Request) {
	var in NewAnchor
	if err := read(r, &in); err != nil {
		s.fail(w, err)
		return
	}
	o, err := owner(in.Owner)
	if err != nil {
		s.fail(w, err)
		return
	}
	cert, err := oneCertificate(in.PEM)
	if err != nil {
		s.fail(w, err)
		return
	}
	rows, err := s.o.Admin.AddAnchor(r.Context(), actor(r), o, cert, in.Source)
	s.answerAnchors(w, rows, err)
}

func (s *Server) removeAnchor(w http.ResponseWriter, r *http.Request) {
	s.done(w, s.o.Admin.RemoveAnchor(r.Context(), actor(r), r.PathValue("id")))
}

func (s *Server) answerAnchors(w http.ResponseWriter, rows []admin.Anchor, err error) {
	out := []Anchor{}
	for _, a := range rows {
		print := sha256.Sum256(a.DER)
		v := Anchor{ID: a.ID, Owner: a.Owner.Domain.String(), Direction: "inbound", SHA256: hex.EncodeToString(print[:]), Source: a.Source,
			PEM: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.DER}))}
		if !a.Owner.Address.IsZero() {
			v.Owner = a.Owner.Address.String()
		}
		if a.Direction == transit.Outbound {
			v.Direction = "outbound"
		}
		if c, err := x509.ParseCertificate(a.DER); err == nil {
			v.Subject, v.NotAfter = c.Subject.String(), c.NotAfter
		}
		out = append(out, v)
	}
	s.answer(w, out, err)
}

// oneCertificate reads a PEM text that holds one certificate and nothing else.
func oneCertificate(text string) (*x509.Certificate, error) {
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" || strings.TrimSpace(string(rest)) != "" {
		return nil, wrong("pem: not one certificate in PEM")
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, wrong("pem: the certificate cannot be read")
	}
	return c, nil
}
