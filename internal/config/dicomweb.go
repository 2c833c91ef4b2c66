package config

import (
	"slices"
	"strings"

	"carepost/addr"
)

// DICOMWeb is [dicom.web]: where programs of the house hand in objects by STOW-RS.
type DICOMWeb struct {
	Listen           string // host:port; empty = not at all
	Plain            bool   // without TLS
	Certificate, Key string // PEM files; without: the certificate of the installation
	CA               string // authorities of certificates that programs may show
	Clients          []DICOMWebClient
}

// DICOMWebClient is a program that signs in with a token.
type DICOMWebClient struct {
	Name    string
	Token   Secret
	Account addr.Address // zero: the routes say who sends
}

// dicomWeb is [dicom.web] as it is written.
type dicomWeb struct {
	Listen      hostPort         `toml:"listen"`
	Plain       bool             `toml:"plain"`
	Certificate string           `toml:"certificate"`
	Key         string           `toml:"key"`
	CA          string           `toml:"ca"`
	Clients     []dicomWebClient `toml:"client"`
}

type dicomWebClient struct {
	Name    string `toml:"name"`
	Token   string `toml:"token_file"`
	Account person `toml:"account"`
}

// maxWebClients of one installation.
const maxWebClients = 1000

// checked is what the table says, within the installation c.
func (f dicomWeb) checked(c *Config, within func(string) string, wrong func(key, format string, a ...any) error) (d DICOMWeb, err error) {
	d = DICOMWeb{Listen: string(f.Listen), Plain: f.Plain, Certificate: within(f.Certificate), Key: within(f.Key), CA: within(f.CA)}
	switch {
	case d.Listen == "" && (f.Plain || f.CA != "" || f.Certificate != "" || f.Key != "" || len(f.Clients) > 0):
		return d, wrong("dicom.web", "listen is missing: where are objects handed in?")
	case (f.Certificate == "") != (f.Key == ""):
		return d, wrong("dicom.web.certificate", "certificate and key go together")
	case f.Plain && (f.CA != "" || f.Certificate != ""):
		return d, wrong("dicom.web.plain", "plain is without TLS: there is no ca, certificate or key then")
	case f.Plain && !private(d.Listen):
		return d, wrong("dicom.web.plain", "without TLS passwords and studies are open to the network: plain is for 127.0.0.1 or [::1], behind a proxy of this machine")
	case len(f.Clients) > maxWebClients:
		return d, wrong("dicom.web.client", "more than %d clients", maxWebClients)
	}
	for i, x := range f.Clients {
		one := DICOMWebClient{Name: strings.TrimSpace(x.Name), Token: Secret{File: within(x.Token)}, Account: addr.Address(x.Account)}
		reason := ""
		switch {
		case one.Name == "" || len(one.Name) > maxOutName || strings.ContainsFunc(one.Name, func(r rune) bool { return r < ' ' || r > '~' }):
			reason = "name is missing, or no word"
		case x.Token == "":
			reason = "token_file is missing: the program is known by it"
		case slices.ContainsFunc(d.Clients, func(o DICOMWebClient) bool { return o.Name == one.Name }):
			reason = "the name stands there twice"
		case !one.Account.IsZero() && one.Account.Domain != c.Domain && !slices.Contains(c.Domains, one.Account.Domain):
			reason = "account is of no domain of this installation"
		}
		if reason != "" {
			return d, wrong("dicom.web.client", "dicom.web.client %d: %s", i+1, reason)
		}
		d.Clients = append(d.Clients, one)
	}
	return d, nil
}
