package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"

	"carepost/addr"
	"carepost/internal/admin"
	"carepost/internal/dicomweb"
	"carepost/smtp"
)

// Web is how programs of the house hand in objects by STOW-RS.
type Web struct {
	Plain                bool   // without TLS
	Certificate, Key, CA string // PEM files, as of DICOM; whoever shows no certificate of CA signs in
	Clients              []dicomweb.Client
}

func (g *Gateway) newWeb() (*dicomweb.Server, error) {
	o := g.opts.Web
	out := dicomweb.Options{Intake: g.intake, SignIn: g.signInWeb, Clients: o.Clients, Log: g.opts.Log}
	if !o.Plain {
		c, err := DICOM{Certificate: o.Certificate, Key: o.Key, CA: o.CA}.tls(g.certificate)
		if err != nil {
			return nil, fmt.Errorf("DICOMweb: %w", err)
		}
		if c.ClientCAs != nil {
			c.ClientAuth = tls.VerifyClientCertIfGiven
		}
		out.TLS = smtp.HardenTLS(c)
	}
	return dicomweb.New(out), nil
}

// signInWeb says whose account a program speaks for.
func (g *Gateway) signInWeb(ctx context.Context, peer netip.Addr, user, password string) (addr.Address, error) {
	a, err := g.admin.Authenticate(ctx, peer, user, password)
	switch {
	case errors.Is(err, admin.ErrCredentials):
		return a, dicomweb.ErrCredentials
	case errors.Is(err, admin.ErrTooMany):
		return a, dicomweb.ErrTooMany
	}
	return a, err
}
