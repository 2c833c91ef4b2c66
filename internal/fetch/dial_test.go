package fetch

import (
	"errors"
	"net"
	"net/netip"
	"testing"

	"carepost/trust"
)

// ATT-23: an SRV record of a stranger leads to no directory inside the house, and to no other service than one that may be a directory.
func TestDirectories(t *testing.T) {
	open := New(Options{AllowPorts: []uint16{10389}})
	trial := New(Options{AllowPorts: []uint16{10389}, AllowPrefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	place := New(Options{AllowPlaces: []netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:10389"), netip.MustParseAddrPort("[::ffff:10.0.0.2]:636")}})
	for _, tc := range []struct {
		c       *Client
		network string
		to      string
		want    bool
	}{
		{open, "tcp4", "9.9.9.9:389", true}, {open, "tcp6", "[2606:4700::1111]:389", true}, {open, "tcp4", "9.9.9.9:10389", true}, {open, "tcp4", "9.9.9.9:1024", true},
		{open, "tcp4", "9.9.9.9:25", false}, {open, "tcp4", "9.9.9.9:80", false}, {open, "tcp4", "9.9.9.9:1023", false}, {open, "tcp4", "9.9.9.9:0", false},
		{open, "udp4", "9.9.9.9:389", false}, {open, "unix", "/run/x", false}, {open, "tcp4", "127.0.0.1:389", false}, {open, "tcp4", "10.0.0.1:10389", false},
		{open, "tcp6", "[::ffff:10.0.0.1]:389", false}, {open, "tcp6", "[64:ff9b::a00:1]:389", false}, {open, "tcp4", "169.254.169.254:389", false},
		{open, "tcp6", "[::1]:389", false}, {open, "tcp6", "[fe80::1%lo]:389", false}, {open, "tcp4", "0.0.0.0:389", false},
		{trial, "tcp4", "10.0.0.1:389", true}, {trial, "tcp4", "10.0.0.1:10389", true}, {trial, "tcp4", "10.0.0.1:11389", false}, {trial, "tcp4", "10.0.0.1:22", false},
		{trial, "tcp4", "192.168.0.1:389", false},
		{place, "tcp4", "10.0.0.1:10389", true}, {place, "tcp4", "10.0.0.2:636", true}, {place, "tcp4", "10.0.0.1:389", false}, {place, "tcp4", "10.0.0.1:636", false},
		{place, "tcp4", "10.0.0.2:10389", false}, {place, "tcp4", "10.0.0.1:80", false}, {place, "udp4", "10.0.0.1:10389", false}, {place, "tcp4", "9.9.9.9:636", false},
	} {
		if err := tc.c.guardLDAP(t.Context(), tc.network, tc.to, nil); (err == nil) != tc.want {
			t.Errorf("%s %s: %v", tc.network, tc.to, err)
		}
	}
	for _, to := range []string{"", "localhost:389", "127.0.0.1", "directory.h.example:389", "127.0.0.1:389"} {
		if conn, err := open.DialLDAP(t.Context(), "tcp", to); !errors.Is(err, trust.ErrAbsent) {
			t.Errorf("%q: %v, %v", to, conn, err)
		}
	}
}

func TestDirectoryIsReached(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	at := netip.MustParseAddrPort(l.Addr().String())
	c := New(Options{AllowPrefixes: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, AllowPorts: []uint16{at.Port()}})
	conn, err := c.DialLDAP(t.Context(), "tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}
