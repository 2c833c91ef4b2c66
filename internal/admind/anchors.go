package admind

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"net/http"
	"strings"

	"carepost/certificate"
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

// ownerName is what owner reads.
func ownerName(o admin.Owner) string {
	if !o.Address.IsZero() {
		return o.Address.String()
	}
	return o.Domain.String()
}

// direction reads a direction; "" gives 0, which is both.
func direction(text string) (transit.Direction, error) {
	for _, d := range []transit.Direction{transit.Inbound, transit.Outbound} {
		if admin.DirectionWord(d) == text {
			return d, nil
		}
	}
	if text == "" || text == admin.DirectionWord(0) {
		return 0, nil
	}
	return 0, wrong("direction: neither inbound nor outbound")
}

// directions is direction as a list; none are both.
func directions(text string) ([]transit.Direction, error) {
	d, err := direction(text)
	if d == 0 {
		return nil, err
	}
	return []transit.Direction{d}, nil
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
	n, err := in.anchor()
	if err != nil {
		s.fail(w, err)
		return
	}
	rows, err := s.o.Admin.AddAnchor(r.Context(), actor(r), n)
	s.answerAnchors(w, rows, err)
}

func (in NewAnchor) anchor() (n admin.NewAnchor, err error) {
	if n.Owner, err = owner(in.Owner); err != nil {
		return n, err
	}
	if n.Certificate, err = oneCertificate(in.PEM); err != nil {
		return n, err
	}
	n.Source, n.Evaluation = in.Source, in.Evaluation.said()
	n.Directions, err = directions(in.Direction)
	return n, err
}

func (e *Evaluation) said() *admin.Evaluation {
	if e == nil {
		return nil
	}
	return &admin.Evaluation{Assured: e.Assured, Policies: e.Policies, By: e.By, Review: e.Review}
}

func evaluationOf(e *admin.Evaluation) *Evaluation {
	if e == nil {
		return nil
	}
	return &Evaluation{Assured: e.Assured, Policies: e.Policies, By: e.By, At: e.At, Review: e.Review}
}

func (s *Server) removeAnchor(w http.ResponseWriter, r *http.Request) {
	ds, err := directions(r.URL.Query().Get("direction"))
	if err == nil {
		err = s.o.Admin.RemoveAnchor(r.Context(), actor(r), r.PathValue("id"), ds...)
	}
	s.done(w, err)
}

func (s *Server) answerAnchors(w http.ResponseWriter, rows []admin.Anchor, err error) {
	out := []Anchor{}
	for _, a := range rows {
		v := Anchor{ID: a.ID, Owner: ownerName(a.Owner), Direction: admin.DirectionWord(a.Direction), SHA256: fingerprint(a.DER), Source: a.Source,
			Bundle: a.Bundle, Evaluation: evaluationOf(a.Evaluation), PEM: armoured(a.DER)}
		if c, err := certificate.Parse(a.DER); err == nil {
			v.Subject, v.NotAfter, v.Kind = c.Subject.String(), c.NotAfter, kindOf(c)
		}
		out = append(out, v)
	}
	s.answer(w, out, err)
}

// kindOf says what an anchor is: one that vouches for others, by itself or below another authority, or one that speaks for itself alone.
func kindOf(c *x509.Certificate) string {
	self := bytes.Equal(c.RawSubject, c.RawIssuer)
	switch {
	case c.IsCA && self:
		return "authority"
	case c.IsCA:
		return "intermediate"
	case self:
		return "self-signed"
	}
	return "leaf"
}

func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

func armoured(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// oneCertificate reads a PEM text that holds one certificate and nothing else.
func oneCertificate(text string) (*x509.Certificate, error) {
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" || strings.TrimSpace(string(rest)) != "" {
		return nil, wrong("pem: not one certificate in PEM")
	}
	c, err := certificate.Parse(block.Bytes)
	if err != nil {
		return nil, wrong("pem: the certificate cannot be read")
	}
	return c, nil
}
