package fetch

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
)

// DialLDAP connects with a directory that an SRV record of strangers names, at an IP address and port: under the guard that holds for
// fetches, but for the ports. 389 is that of LDAP; publishers use others too, of which those below 1024 belong to services that are not
// to be bothered.
func (c *Client) DialLDAP(ctx context.Context, network, address string) (net.Conn, error) {
	if _, err := netip.ParseAddrPort(address); err != nil { // a name would be looked up by somebody else's rules
		return nil, fmt.Errorf("fetch: no IP address and port: %w", errGuard)
	}
	d := net.Dialer{Timeout: c.o.Timeout, ControlContext: c.guardLDAP}
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("fetch: directory: %w", plain(err))
	}
	return conn, nil
}

func (c *Client) guardLDAP(_ context.Context, network, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil || network != "tcp4" && network != "tcp6" {
		return errGuard
	}
	if c.place(to) {
		return nil
	}
	const ldap, unprivileged = 389, 1024
	ip, port := to.Addr().Unmap(), to.Port()
	if c.allowed(ip) {
		if port == ldap || slices.Contains(c.o.AllowPorts, port) {
			return nil
		}
		return errGuard
	}
	if port != ldap && port < unprivileged || !public(ip) {
		return errGuard
	}
	return nil
}

// place says that exactly this address and port is allowed.
func (c *Client) place(to netip.AddrPort) bool {
	return slices.ContainsFunc(c.o.AllowPlaces, func(at netip.AddrPort) bool {
		return at.Port() == to.Port() && at.Addr().Unmap() == to.Addr().Unmap()
	})
}

// allowed says that an address is allowed although it may not be public.
func (c *Client) allowed(ip netip.Addr) bool {
	return slices.ContainsFunc(c.o.AllowPrefixes, func(p netip.Prefix) bool { return p.Contains(ip) })
}
