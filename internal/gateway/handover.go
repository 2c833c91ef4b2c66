package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"carepost/dicom/dimse"
	"carepost/dicom/stow"
	"carepost/internal/handover"
	"carepost/internal/mailbox"
	"carepost/internal/rule"
	"carepost/smtp"
)

// Out is a PACS that gets the studies which arrive by mail: one [[dicom.out]].
type Out struct {
	Name      string
	For, With rule.Who // accounts, senders
	Patience  time.Duration
	Quietly   bool // see mailbox.Out
	Letter    bool // see handover.Destination

	STOW                     string // URL; empty: C-STORE
	Address, Called, Calling string // host:port and AE titles

	Plain                bool   // without TLS
	CA, Certificate, Key string // PEM files: authorities, empty = those of this host; what we show, both or none
	User, Password       string
	Token                string // bearer
}

// outs are the destinations as package mailbox has them.
func (o Options) outs() (out []mailbox.Out) {
	for _, x := range o.Outs {
		out = append(out, mailbox.Out{Name: x.Name, For: x.For, Quietly: x.Quietly})
	}
	return out
}

// CheckOuts says what is wrong with files that destinations name.
func CheckOuts(all []Out) error {
	for _, x := range all {
		if _, err := x.tls(); err != nil {
			return fmt.Errorf("dicom.out %q: %w", x.Name, err)
		}
	}
	return nil
}

// handOver makes the room that gives studies away.
func (g *Gateway) handOver() (*handover.Service, error) {
	o := handover.Options{Store: g.store, Blobs: g.blobs, Clock: g.opts.Clock, Log: g.opts.Log}
	for _, x := range g.opts.Outs {
		to, err := x.taker()
		if err != nil {
			return nil, fmt.Errorf("dicom.out %q: %w", x.Name, err)
		}
		o.Destinations = append(o.Destinations, handover.Destination{Name: x.Name, With: x.With, Patience: x.Patience, Letter: x.Letter, To: to,
			Calling: x.Calling, Called: x.Called, Host: x.host(), Secure: !x.Plain})
	}
	return handover.New(o), nil
}

// host is that of the other side.
func (x Out) host() string {
	if u, err := url.Parse(x.STOW); err == nil && x.STOW != "" {
		return u.Hostname()
	}
	host, _, _ := net.SplitHostPort(x.Address)
	return host
}

func (x Out) taker() (handover.Taker, error) {
	secure, err := x.tls()
	if err != nil {
		return nil, err
	}
	if x.STOW != "" {
		return x.stow(secure), nil
	}
	return x.dimse(secure), nil
}

// stow speaks to a STOW-RS server: no proxy, no redirection, no compression, and bounds on what comes back.
func (x Out) stow(secure *tls.Config) handover.Taker {
	const (
		connecting = 30 * time.Second
		storing    = 5 * time.Minute // from the last octet of a request to the first of the answer
		idle       = 30 * time.Second
		maxHeader  = 64 << 10
	)
	way := &http.Transport{
		DialContext:     (&net.Dialer{Timeout: connecting}).DialContext,
		TLSClientConfig: secure, TLSHandshakeTimeout: connecting, ResponseHeaderTimeout: storing, IdleConnTimeout: idle,
		MaxResponseHeaderBytes: maxHeader, MaxConnsPerHost: 4, DisableCompression: true, ForceAttemptHTTP2: true,
	}
	c := &stow.Client{URL: x.STOW, Header: http.Header{"User-Agent": {"carepost"}}, HTTP: &http.Client{
		Transport: way, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	switch {
	case x.Token != "":
		c.Header.Set("Authorization", "Bearer "+x.Token)
	case x.User != "":
		c.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(x.User+":"+x.Password)))
	}
	return handover.STOW{Client: c}
}

// tls is how the connection is protected; nil without. What we show is read anew each time, for it is replaced while we run.
func (x Out) tls() (*tls.Config, error) {
	if x.Plain {
		return nil, nil
	}
	c := smtp.HardenTLS(nil)
	if x.CA != "" {
		pem, err := os.ReadFile(x.CA)
		if err != nil {
			return nil, err
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate", x.CA)
		}
	}
	if x.Certificate == "" {
		return c, nil
	}
	if _, err := tls.LoadX509KeyPair(x.Certificate, x.Key); err != nil {
		return nil, err
	}
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		own, err := tls.LoadX509KeyPair(x.Certificate, x.Key)
		return &own, err
	}
	return c, nil
}

// dimse speaks to a C-STORE SCP.
func (x Out) dimse(secure *tls.Config) handover.Taker {
	return handover.DIMSE{Client: &dimse.Client{
		Address: x.Address, Called: dimse.AETitle(x.Called), Calling: dimse.AETitle(x.Calling), Dialer: &net.Dialer{}, TLS: secure,
	}}
}
