package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/spf13/cobra"

	"carepost/dicom/dimse"
)

// Ports of DICOM where none is named (IANA: dicom, dicom-tls).
const (
	dicomPort    = "104"
	dicomTLSPort = "2762"
)

// dicomLink holds the flags of who speaks with a PACS.
type dicomLink struct {
	calling, called string
	tls             bool
	ca, cert, key   string
}

func (f *dicomLink) flags(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.called, "called", "ANY-SCP", "AE `TITLE` of the other side")
	fl.StringVar(&f.calling, "calling", "CAREPOST", "AE `TITLE` of ours, by which the other side may know us")
	fl.BoolVar(&f.tls, "tls", false, "speak TLS; the other side's certificate must be valid for HOST")
	fl.StringVar(&f.ca, "ca", "", "`FILE` with the certificates (PEM) that vouch for the other side, rather than those of the system; means --tls")
	fl.StringVar(&f.cert, "cert", "", "`FILE` with our own certificate (PEM), with --key; means --tls")
	fl.StringVar(&f.key, "key", "", "`FILE` with its private key (PEM)")
}

// client makes the Client that the flags ask for.
func (f *dicomLink) client(cmd *cobra.Command, address string) (*dimse.Client, error) {
	wrong := func(err error) error { return usage(fmt.Errorf("%s: %w", cmd.CommandPath(), err)) }
	c := &dimse.Client{Dialer: &net.Dialer{}}
	var err error
	if c.Called, err = dimse.ParseAETitle(f.called); err != nil {
		return nil, wrong(fmt.Errorf("--called: %w", err))
	}
	if c.Calling, err = dimse.ParseAETitle(f.calling); err != nil {
		return nil, wrong(fmt.Errorf("--calling: %w", err))
	}
	if c.TLS, err = f.config(); err != nil {
		return nil, wrong(err)
	}
	c.Address = address
	if host, port, err := net.SplitHostPort(address); err != nil {
		port = dicomPort
		if c.TLS != nil {
			port = dicomTLSPort
		}
		c.Address = net.JoinHostPort(address, port)
	} else if host == "" || port == "" {
		return nil, wrong(errors.New("the other side is HOST or HOST:PORT"))
	}
	return c, nil
}

// config is nil where nothing asks for TLS.
func (f *dicomLink) config() (*tls.Config, error) {
	if !f.tls && f.ca == "" && f.cert == "" && f.key == "" {
		return nil, nil
	}
	c := &tls.Config{}
	if f.ca != "" {
		pem, err := os.ReadFile(f.ca)
		if err != nil {
			return nil, err
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate (PEM)", f.ca)
		}
	}
	if (f.cert == "") != (f.key == "") {
		return nil, errors.New("--cert and --key go together")
	}
	if f.cert != "" {
		pair, err := tls.LoadX509KeyPair(f.cert, f.key)
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// linkError gives what went wrong with the other side its exit code: a refusal that will stay is one by a rule.
func linkError(err error) error {
	var no dimse.Reject
	if errors.As(err, &no) && !no.Temporary() || errors.Is(err, dimse.ErrNotAccepted) {
		return refused(err)
	}
	return notNow(err)
}
