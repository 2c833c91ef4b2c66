package config

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"carepost/addr"
	"carepost/resolver"
	"carepost/trust"
)

// The values of a file, each with its own check.
type (
	domain    string
	hostPort  string // host:port, where we listen or are reached
	server    string // of DNS: an address, with or without port
	duration  time.Duration
	profile   string
	ipAddress netip.Addr
)

var policies = map[string]trust.Policy{"v1.2": trust.V12, "v1.3": trust.V13, "lenient": trust.Lenient}

func (d *domain) UnmarshalText(text []byte) error {
	parsed, err := addr.ParseDomain(string(text))
	if err != nil {
		return fmt.Errorf("%q is no domain such as clinic.example", text)
	}
	*d = domain(parsed)
	return nil
}

func (h *hostPort) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		return nil
	}
	host, port, err := net.SplitHostPort(string(text))
	if n, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil || strconv.FormatUint(n, 10) != port {
		return fmt.Errorf("%q is not host:port, such as 127.0.0.1:2525 or :25", text)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		host = ip.Unmap().String() // one way to write an address
	} else if strings.ContainsAny(host, " :/") {
		return fmt.Errorf("%q is not host:port, such as 127.0.0.1:2525 or :25", text)
	}
	*h = hostPort(net.JoinHostPort(host, port))
	return nil
}

func (s *server) UnmarshalText(text []byte) error {
	var h hostPort
	if err := h.UnmarshalText([]byte(resolver.WithPort(string(text)))); err != nil || len(text) == 0 {
		return fmt.Errorf("%q is no name server such as 192.0.2.53 or 192.0.2.53:53", text)
	}
	*s = server(h)
	return nil
}

func (d *duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil || parsed <= 0 {
		return fmt.Errorf("%q is no time such as 90m or 96h", text)
	}
	*d = duration(parsed)
	return nil
}

func (p *profile) UnmarshalText(text []byte) error {
	if _, known := policies[string(text)]; !known {
		names := []string{}
		for name := range policies {
			names = append(names, name)
		}
		slices.Sort(names)
		return fmt.Errorf("%q is none of %s", text, strings.Join(names, ", "))
	}
	*p = profile(text)
	return nil
}

func (a *ipAddress) UnmarshalText(text []byte) error {
	parsed, err := ParseAddress(string(text))
	if err != nil {
		return err
	}
	*a = ipAddress(parsed)
	return nil
}

// ParseAddress reads an IP address that others could reach.
func ParseAddress(text string) (netip.Addr, error) {
	a, err := netip.ParseAddr(text)
	a = a.Unmap()
	if err != nil || a.IsUnspecified() || a.IsMulticast() || a.Zone() != "" {
		return netip.Addr{}, fmt.Errorf("%q is no IP address that others could reach", text)
	}
	return a, nil
}

// reachable says whether a listener's address is one that others can be told.
func reachable(hostPort string) bool {
	host, port, err := net.SplitHostPort(hostPort)
	if err != nil || host == "" || port == "0" {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return err != nil || !ip.IsUnspecified()
}
