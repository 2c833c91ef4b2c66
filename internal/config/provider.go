package config

import (
	"net"
	"slices"
	"strings"
	"time"

	"carepost/addr"
)

// Provider is a server of an e-mail provider, and who we are there. It is spoken to by TLS alone.
type Provider struct {
	Address  string // host:port
	Implicit bool   // TLS from the first byte; else STARTTLS
	CA       string // PEM file of authorities; empty: those of this host
	User     string
	Password Secret
}

// Relay is a provider that sends for us.
type Relay struct {
	Provider
	For []addr.Domain // of recipients; nil: all
}

// Collect is a mailbox at a provider whose mail is fetched.
type Collect struct {
	Provider
	Name     string
	For      addr.Address // whose mail lies there
	POP3     bool         // else IMAP
	Folder   string       // of IMAP
	Interval time.Duration
	Manual   bool          // only when somebody asks
	Keep     time.Duration // how long what was fetched stays at the provider; less than zero: for ever
	Largest  int64         // octets of a mail; 0: the default of package collect
}

// provided is what both tables have in common.
type provided struct {
	Host     string `toml:"host"`
	TLS      string `toml:"tls"`
	CA       string `toml:"ca"`
	User     string `toml:"user"`
	Password string `toml:"password_file"`
}

// relayTo is one [[relay]].
type relayTo struct {
	provided
	For []domain `toml:"for"`
}

// collecting is one [[collect]].
type collecting struct {
	provided
	Name     string   `toml:"name"`
	For      person   `toml:"for"`
	Protocol string   `toml:"protocol"`
	Folder   string   `toml:"folder"`
	Interval duration `toml:"interval"`
	Manual   bool     `toml:"manual"`
	Keep     string   `toml:"keep"`
	Largest  size     `toml:"largest"`
}

// Bounds of what an installation has of them.
const (
	maxRelays   = 20
	maxCollects = 20
	maxNaming   = 40 // octets of a name
	minInterval = 10 * time.Second
	maxInterval = 24 * time.Hour
)

// checked is the server that a table names; begin is the port where TLS begins at once, plain that of STARTTLS.
func (p provided) checked(begin, plain string, within func(string) string) (out Provider, wrong string) {
	out = Provider{CA: within(p.CA), User: p.User, Password: Secret{File: within(p.Password)}}
	host, port, err := net.SplitHostPort(p.Host)
	if err != nil && p.Host != "" {
		host, port = strings.Trim(p.Host, "[]"), ""
	}
	switch p.TLS {
	case "":
		out.Implicit = port != plain // RFC 8314 §3
	case "implicit":
		out.Implicit = true
	case "starttls":
	default:
		return out, `tls is "implicit" or "starttls"; without it nobody is told a password`
	}
	if port == "" {
		if port = plain; out.Implicit {
			port = begin
		}
	}
	var at hostPort
	if err := at.UnmarshalText([]byte(net.JoinHostPort(host, port))); err != nil || portless(string(at)) {
		return out, "host is missing, or no name such as mail.provider.example, with or without a port"
	}
	out.Address = string(at)
	switch {
	case (p.User == "") != (p.Password == ""):
		return out, "user and password_file go together"
	case strings.ContainsFunc(p.User, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return out, "user is no name"
	}
	return out, ""
}

// relays is what the tables [[relay]] say.
func relays(all []relayTo, within func(string) string, wrong func(key, format string, a ...any) error) (out []Relay, err error) {
	for i, r := range all {
		p, reason := r.checked("465", "587", within)
		one := Relay{Provider: p}
		for _, d := range r.For {
			one.For = append(one.For, addr.Domain(d))
		}
		for _, o := range out {
			switch {
			case reason != "":
			case o.For == nil && one.For == nil:
				reason = "another one sends to all already: name its domains with for"
			case slices.ContainsFunc(one.For, func(d addr.Domain) bool { return slices.Contains(o.For, d) }):
				reason = "another one sends to that domain already"
			}
		}
		if reason == "" && i == maxRelays {
			reason = "so many are too many for one installation"
		}
		if reason != "" {
			return nil, wrong("relay", "relay %d: %s", i+1, reason)
		}
		out = append(out, one)
	}
	return out, nil
}

// checked is what one table says, within the installation c.
func (f collecting) checked(c *Config, within func(string) string) (out Collect, wrong string) {
	out = Collect{Name: f.Name, For: addr.Address(f.For), Folder: f.Folder, Interval: time.Duration(f.Interval), Manual: f.Manual, Largest: int64(f.Largest)}
	begin, plain := "993", "143"
	switch f.Protocol {
	case "", "imap":
	case "pop3":
		out.POP3, begin, plain = true, "995", "110"
	default:
		return out, `protocol is "imap" or "pop3"`
	}
	if out.Provider, wrong = f.provided.checked(begin, plain, within); wrong != "" {
		return out, wrong
	}
	switch f.Keep {
	case "":
	case "forever":
		out.Keep = -1
	default:
		var d duration
		if err := d.UnmarshalText([]byte(f.Keep)); err != nil {
			return out, `keep is a time such as 168h, or "forever"`
		}
		out.Keep = time.Duration(d)
	}
	switch {
	case f.Name == "" || len(f.Name) > maxNaming || strings.ContainsFunc(f.Name, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`/\"'`, r) }):
		return out, "name is missing, or no word of letters and digits"
	case out.For.IsZero():
		return out, "for is missing: the address whose mail lies there"
	case out.For.Domain != c.Domain && !slices.Contains(c.Domains, out.For.Domain):
		return out, "for is of no domain of this installation"
	case f.User == "":
		return out, "user and password_file are missing"
	case out.POP3 && f.Folder != "":
		return out, "folder is for imap: POP3 has none"
	case out.Manual && f.Interval != 0:
		return out, "manual is without an interval"
	case f.Interval != 0 && (out.Interval < minInterval || out.Interval > maxInterval):
		return out, "interval is between 10s and 24h"
	}
	return out, ""
}

// collects is what the tables [[collect]] say.
func collects(c *Config, all []collecting, within func(string) string, wrong func(key, format string, a ...any) error) (out []Collect, err error) {
	for i, f := range all {
		one, reason := f.checked(c, within)
		switch {
		case reason != "":
		case slices.ContainsFunc(out, func(o Collect) bool { return o.Name == one.Name }):
			reason = "the name stands there twice"
		case slices.ContainsFunc(out, func(o Collect) bool {
			return o.Address == one.Address && o.User == one.User && o.Folder == one.Folder && o.POP3 == one.POP3
		}):
			reason = "the mailbox stands there twice"
		case i == maxCollects:
			reason = "so many are too many for one installation"
		}
		if reason != "" {
			return nil, wrong("collect", "collect %d: %s", i+1, reason)
		}
		out = append(out, one)
	}
	return out, nil
}
