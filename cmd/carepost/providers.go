package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"carepost/internal/collect"
	"carepost/internal/config"
	"carepost/internal/relay"
	"carepost/sasl"
)

// relaysOf reads the secrets of the servers that send for us.
func relaysOf(c *config.Config) (out []relay.Through, err error) {
	for _, r := range c.Relays {
		secure, who, err := provider(r.Provider)
		if err != nil {
			return nil, fmt.Errorf("carepost.toml, [[relay]]: %w", err)
		}
		out = append(out, relay.Through{Address: r.Address, Implicit: r.Implicit, TLS: secure, Credentials: who, Domains: r.For})
	}
	return out, nil
}

// collectsOf reads the secrets of the mailboxes at providers.
func collectsOf(c *config.Config) (out []collect.Source, err error) {
	for _, x := range c.Collects {
		secure, who, err := provider(x.Provider)
		if err != nil {
			return nil, fmt.Errorf("carepost.toml, [[collect]] %q: %w", x.Name, err)
		}
		out = append(out, collect.Source{Name: x.Name, For: x.For, POP3: x.POP3, Address: x.Address, Implicit: x.Implicit, TLS: secure, Credentials: who,
			Folder: x.Folder, Interval: x.Interval, Manual: x.Manual, Keep: x.Keep, Largest: x.Largest})
	}
	return out, nil
}

// provider reads the files that are named for a provider: how its server is known, and who we are there.
func provider(p config.Provider) (secure *tls.Config, who sasl.Credentials, err error) {
	if p.CA != "" {
		pem, err := os.ReadFile(p.CA)
		if err != nil {
			return nil, who, err
		}
		secure = &tls.Config{RootCAs: x509.NewCertPool()}
		if !secure.RootCAs.AppendCertsFromPEM(pem) {
			return nil, who, fmt.Errorf("%s holds no certificate", p.CA)
		}
	}
	who.User = p.User
	who.Password, err = p.Password.Read()
	return secure, who, err
}
