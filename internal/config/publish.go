package config

import (
	"carepost/internal/dnsd"
)

// Publish says how our certificates are published.
type Publish struct {
	NoDNS       bool     // no CERT records
	NoLDAP      bool     // no directory, and no file for one
	URL         bool     // CERT records of type 4, which lead to the listener http
	NameServers []string // of the zone
	Records     []string // further ones of the zone, lines of a master file
}

type publication struct {
	DNS         *bool    `toml:"dns"`
	LDAP        *bool    `toml:"ldap"`
	URL         bool     `toml:"url"`
	NameServers []domain `toml:"nameservers"`
	Records     []string `toml:"records"`
}

func publish(c *Config, f publication, wrong func(key, format string, a ...any) error) (p Publish, err error) {
	p = Publish{NoDNS: f.DNS != nil && !*f.DNS, NoLDAP: f.LDAP != nil && !*f.LDAP, URL: f.URL, Records: f.Records}
	for _, ns := range f.NameServers {
		p.NameServers = append(p.NameServers, string(ns))
	}
	switch {
	case p.NoLDAP && c.Listen.LDAP != "":
		return p, wrong("publish.ldap", "a directory listens ([listen] ldap), and nothing is to be published by it")
	case p.NoDNS && p.NoLDAP:
		return p, wrong("publish.dns", "a Health Domain publishes its certificates by DNS, by LDAP, or both (Direct 1.1)")
	case p.URL && c.Listen.HTTP == "":
		return p, wrong("publish.url", "the listener http is needed: the certificates are fetched there")
	case p.URL && !reachable(c.Listen.HTTP) && !c.Address.IsValid():
		return p, wrong("publish.url", `where do others reach the listener http? Name an IP address there, or the key "address"`)
	}
	for i, line := range p.Records {
		if err := dnsd.CheckRecord(c.Domain, line); err != nil {
			return p, wrong("publish.records", "record %d: %v", i+1, err)
		}
	}
	return p, nil
}
