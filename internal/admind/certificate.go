package admind

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"net/http"
)

// Request is a certificate request.
type Request struct {
	PEM string `json:"pem"` // PKCS #10
}

// NewCertificate is what an authority made of a Request: the certificate, then those above it.
type NewCertificate struct {
	PEM string `json:"pem"`
}

// CertificateRequest is the request for the domain's own certificate; the same until its answer has been imported.
func (c *Client) CertificateRequest(ctx context.Context) (out Request, err error) {
	return out, c.call(ctx, http.MethodGet, path("certificate", "request"), nil, &out)
}

// ImportCertificate takes the authority's answer, and publishes it. Refused where it is not of the request.
func (c *Client) ImportCertificate(ctx context.Context, n NewCertificate) error {
	return c.call(ctx, http.MethodPost, path("certificate"), n, nil)
}

func (s *Server) certificateRequest(w http.ResponseWriter, r *http.Request) {
	if s.o.Host.Request == nil {
		s.absent(w)
		return
	}
	text, err := s.o.Host.Request(r.Context(), actor(r))
	s.answer(w, Request{string(text)}, err)
}

func (s *Server) importCertificate(w http.ResponseWriter, r *http.Request) {
	if s.o.Host.Import == nil {
		s.absent(w)
		return
	}
	var n NewCertificate
	if err := read(r, &n); err != nil {
		s.fail(w, err)
		return
	}
	chain, err := readChain([]byte(n.PEM))
	if err != nil {
		s.fail(w, err)
		return
	}
	s.done(w, s.o.Host.Import(r.Context(), actor(r), chain))
}

const mostChain = 16

// readChain reads certificates in PEM.
func readChain(text []byte) (out []*x509.Certificate, err error) {
	for len(bytes.TrimSpace(text)) > 0 {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil || block.Type != "CERTIFICATE" || len(out) == mostChain {
			return nil, wrong("that is no list of certificates in PEM")
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, wrong("one of the certificates cannot be read")
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, wrong("there is no certificate in PEM")
	}
	return out, nil
}
