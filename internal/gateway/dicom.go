package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/netip"
	"os"
	"time"

	"carepost/addr"
	"carepost/dicom/dimse"
	"carepost/internal/dicomd"
	"carepost/internal/intake"
)

// DICOM is how devices and PACS of the house speak with an installation.
type DICOM struct {
	AETitle         string
	Called, Calling []string // patterns
	Hosts           []netip.Prefix

	// PEM files. Without a certificate that of the installation is shown.
	Certificate, Key string
	CA               string // of the certificates that devices show; empty: they show none

	Quiet, Remember time.Duration // zero = the defaults of package intake
	Routes          []intake.Route
	Tell            addr.Address // account that is told of studies that wait and that no account would send
}

func (o DICOM) intake(g *Gateway) intake.Options {
	return intake.Options{Store: g.store, Blobs: g.blobs, Flow: g.flow, Routes: o.Routes, Quiet: o.Quiet, Remember: o.Remember, Tell: o.Tell, Clock: g.opts.Clock, Log: g.opts.Log}
}

// Route exchanges the routes of studies that devices hand in.
func (g *Gateway) Route(ctx context.Context, routes []intake.Route) error {
	return g.intake.Use(ctx, routes)
}

// Intake takes the objects of devices.
func (g *Gateway) Intake() *intake.Service { return g.intake }

func (g *Gateway) newDICOM() (*dicomd.Server, error) {
	o := g.opts.DICOM
	title, err := dimse.ParseAETitle(or(o.AETitle, "CAREPOST"))
	if err != nil {
		return nil, err
	}
	own, err := o.tls(g.certificate)
	if err != nil {
		return nil, fmt.Errorf("DICOM by TLS: %w", err)
	}
	return dicomd.New(dicomd.Options{Intake: g.intake, AETitle: title, Called: patterns(o.Called), Calling: patterns(o.Calling), Hosts: o.Hosts, TLS: own, Log: g.opts.Log}), nil
}

func patterns(all []string) (out []intake.Pattern) {
	for _, s := range all {
		out = append(out, intake.Pattern(s))
	}
	return out
}

// tls reads the files; the certificate is read anew for each association.
func (o DICOM) tls(own func(*tls.ClientHelloInfo) (*tls.Certificate, error)) (*tls.Config, error) {
	c := &tls.Config{GetCertificate: own}
	if o.Certificate != "" {
		if _, err := tls.LoadX509KeyPair(o.Certificate, o.Key); err != nil { // what is wrong is told at the start
			return nil, err
		}
		c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(o.Certificate, o.Key)
			return &pair, err
		}
	}
	if o.CA != "" {
		pem, err := os.ReadFile(o.CA)
		if err != nil {
			return nil, err
		}
		c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		if !c.ClientCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate", o.CA)
		}
	}
	return c, nil
}

// intakeWarning tells the operator of studies that wait for a person.
func (g *Gateway) intakeWarning(ctx context.Context) (string, error) {
	l, err := g.intake.Load(ctx)
	if err != nil || l.Held == 0 {
		return "", err
	}
	return fmt.Sprintf("studies that devices handed in wait for somebody (%d): carepost dicom intake list tells why", l.Held), nil
}
