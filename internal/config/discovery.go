package config

import (
	"fmt"
	"net/netip"
	"time"
)

// Discovery says how certificates of others are looked for. The zero value is what is done without a word of it.
type Discovery struct {
	NoLDAP   bool             // DNS alone is asked
	Deadline time.Duration    // for one recipient; zero = 20 s
	Stale    time.Duration    // for how long what has ended serves where there is no answer; zero = 24 h, less than zero = not at all
	Remember bool             // certificates of signed mail serve where nothing was found or answered
	Allow    []netip.AddrPort // places that may be asked although they are not public
}

// discovery is the table of that name.
type discovery struct {
	LDAP     *bool    `toml:"ldap"`
	Deadline duration `toml:"deadline"`
	Stale    *span    `toml:"stale"`
	Remember bool     `toml:"remember"`
	Allow    []place  `toml:"allow"`
}

// span is a time that may be none.
type span time.Duration

func (s *span) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil || parsed < 0 {
		return fmt.Errorf("%q is no time such as 90m, 96h or 0", text)
	}
	*s = span(parsed)
	return nil
}

// place is one IP address and port.
type place netip.AddrPort

func (p *place) UnmarshalText(text []byte) error {
	at, err := netip.ParseAddrPort(string(text))
	if err != nil || at.Port() == 0 {
		return fmt.Errorf("%q is no IP address and port such as 10.0.0.5:389", text)
	}
	*p = place(at)
	return nil
}

func (d discovery) checked(wrong func(key, format string, a ...any) error) (out Discovery, err error) {
	const least, most = time.Second, 5 * time.Minute
	out = Discovery{NoLDAP: d.LDAP != nil && !*d.LDAP, Deadline: time.Duration(d.Deadline), Remember: d.Remember}
	if out.Deadline != 0 && (out.Deadline < least || out.Deadline > most) {
		return out, wrong("discovery.deadline", "it is to lie between %v and %v", least, most)
	}
	if d.Stale != nil {
		if out.Stale = time.Duration(*d.Stale); out.Stale == 0 {
			out.Stale = -1
		}
	}
	for _, p := range d.Allow {
		out.Allow = append(out.Allow, netip.AddrPort(p))
	}
	return out, nil
}
