package admind

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"net/http"
	"net/url"
	"time"

	"carepost/internal/admin"
)

// Order asks for a certificate request.
type Order struct {
	Owner string `json:"owner,omitempty"` // a domain or an address of ours; empty: the only domain
	Use   string `json:"use,omitempty"`   // both, sign, encrypt; empty: both
	Kind  string `json:"kind,omitempty"`  // rsa2048, rsa3072, rsa4096, p256, p384; empty: what waits, or rsa2048
	Token bool   `json:"token,omitempty"` // the key is made on the token
}

// Request is a certificate request.
type Request struct {
	PEM string `json:"pem"` // PKCS #10
}

// Delivery is what an authority has made of a Request, or what another program has kept.
type Delivery struct {
	Owner    string   `json:"owner,omitempty"` // a domain or an address of ours; empty: whom the certificates name
	Files    [][]byte `json:"files"`           // PEM, DER, PKCS #7, PKCS #12
	Password string   `json:"password,omitempty"`
	TokenKey string   `json:"token_key,omitempty"` // RFC 7512
}

// Certificate is one of our own, or a key that waits for one.
type Certificate struct {
	ID        string    `json:"id"`
	Owner     string    `json:"owner"`
	Use       string    `json:"use"`  // both, sign, encrypt
	Kind      string    `json:"kind"` // "RSA 2048"
	OnToken   bool      `json:"on_token,omitempty"`
	State     string    `json:"state"`
	Asked     time.Time `json:"asked,omitzero"` // while it waits
	Subject   string    `json:"subject,omitempty"`
	Issuer    string    `json:"issuer,omitempty"`
	Serial    string    `json:"serial,omitempty"` // hex
	SHA256    string    `json:"sha256,omitempty"` // of the certificate, hex
	NotBefore time.Time `json:"not_before,omitzero"`
	NotAfter  time.Time `json:"not_after,omitzero"`
	Until     time.Time `json:"until,omitzero"` // of its use: before NotAfter when it was ended
	Path      []string  `json:"path,omitempty"` // subjects above it, nearest first
	Flags     []Flag    `json:"flags,omitempty"`
	PEM       string    `json:"pem,omitempty"`
}

// Flag is what an operator should know of a certificate.
type Flag struct {
	Code   string `json:"code"`
	Text   string `json:"text"`
	Clause string `json:"clause,omitempty"`
	Remedy string `json:"remedy,omitempty"`
}

// Export asks for a certificate as a file.
type Export struct {
	Form     string `json:"form"` // pem, p12
	Key      bool   `json:"key,omitempty"`
	Password string `json:"password,omitempty"`
}

// Certificates lists those of an owner, or all where it is empty: what waits first, then the newest.
func (c *Client) Certificates(ctx context.Context, owner string) (out []Certificate, err error) {
	u := path("certificates")
	if owner != "" {
		u += "?" + url.Values{"owner": {owner}}.Encode()
	}
	return out, c.ask(ctx, u, &out)
}

// CertificateRequest is a certificate request; the same until its answer has been imported.
func (c *Client) CertificateRequest(ctx context.Context, o Order) (out Request, err error) {
	return out, c.call(ctx, http.MethodPost, path("certificates", "request"), o, &out)
}

// ImportCertificates takes certificates of our own, with their keys where the files have them, and publishes them.
func (c *Client) ImportCertificates(ctx context.Context, d Delivery) (out []Certificate, err error) {
	return out, c.call(ctx, http.MethodPost, path("certificates", "import"), d, &out)
}

// ExportCertificate writes a certificate with those above it, and its private key where that was asked for.
func (c *Client) ExportCertificate(ctx context.Context, id string, e Export) ([]byte, error) {
	var out struct {
		File []byte `json:"file"`
	}
	err := c.call(ctx, http.MethodPost, path("certificates", id, "export"), e, &out)
	return out.File, err
}

// ExpireCertificate takes a certificate out of use; its key still decrypts. Of a request that waits, the key is deleted.
func (c *Client) ExpireCertificate(ctx context.Context, id string) (out Certificate, err error) {
	return out, c.call(ctx, http.MethodPost, path("certificates", id, "expire"), nil, &out)
}

func (s *Server) certificates(w http.ResponseWriter, r *http.Request) {
	o, err := owner(r.URL.Query().Get("owner"))
	if err != nil {
		s.fail(w, err)
		return
	}
	list, err := s.o.Admin.Certificates(r.Context(), actor(r), o)
	s.answer(w, certificatesOf(list), err)
}

func (s *Server) certificateRequest(w http.ResponseWriter, r *http.Request) {
	var in Order
	err := read(r, &in)
	order := admin.Order{Use: in.Use, Token: in.Token}
	if err == nil {
		order.Owner, err = owner(in.Owner)
	}
	if err == nil && in.Kind != "" {
		if order.Kind, err = admin.ParseKind(in.Kind); err != nil {
			err = wrong("kind: rsa2048, rsa3072, rsa4096, p256 or p384")
		}
	}
	if err != nil {
		s.fail(w, err)
		return
	}
	text, err := s.o.Admin.RequestCertificate(r.Context(), actor(r), order)
	s.answer(w, Request{string(text)}, err)
}

func (s *Server) importCertificates(w http.ResponseWriter, r *http.Request) {
	var in Delivery
	err := readUpTo(r, &in, mostDelivery)
	files := admin.Files{Files: in.Files, Password: in.Password, TokenKey: in.TokenKey}
	if err == nil {
		files.Owner, err = owner(in.Owner)
	}
	if err != nil {
		s.fail(w, err)
		return
	}
	list, err := s.o.Admin.ImportCertificates(r.Context(), actor(r), files)
	s.answer(w, certificatesOf(list), err)
}

func (s *Server) exportCertificate(w http.ResponseWriter, r *http.Request) {
	var in Export
	if err := read(r, &in); err != nil {
		s.fail(w, err)
		return
	}
	file, err := s.o.Admin.ExportCertificate(r.Context(), actor(r), admin.Export{ID: r.PathValue("id"), Form: in.Form, Key: in.Key, Password: in.Password})
	s.answer(w, map[string][]byte{"file": file}, err)
}

func (s *Server) expireCertificate(w http.ResponseWriter, r *http.Request) {
	c, err := s.o.Admin.ExpireCertificate(r.Context(), actor(r), r.PathValue("id"))
	s.answer(w, certificateOf(c), err)
}

func certificatesOf(list []admin.Certificate) []Certificate {
	out := []Certificate{}
	for _, c := range list {
		out = append(out, certificateOf(c))
	}
	return out
}

func certificateOf(c admin.Certificate) Certificate {
	v := Certificate{ID: c.ID, Owner: c.Owner.Domain.String(), Use: c.Use, Kind: c.Kind, OnToken: c.OnToken, State: c.State, Asked: c.Since}
	if !c.Owner.Address.IsZero() {
		v.Owner = c.Owner.Address.String()
	}
	for _, f := range c.Flags {
		v.Flags = append(v.Flags, Flag(f))
	}
	if c.Certificate == nil {
		return v
	}
	describe(&v, c.Certificate, c.Chain)
	v.Until = c.Until
	return v
}

func describe(v *Certificate, c *x509.Certificate, chain []*x509.Certificate) {
	print := sha256.Sum256(c.Raw)
	v.Subject, v.Issuer, v.Serial, v.SHA256 = c.Subject.String(), c.Issuer.String(), c.SerialNumber.Text(16), hex.EncodeToString(print[:])
	v.NotBefore, v.NotAfter = c.NotBefore, c.NotAfter
	v.PEM = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	for _, above := range chain {
		v.Path = append(v.Path, above.Subject.String())
	}
}
