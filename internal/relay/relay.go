package relay

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"time"

	"carepost/addr"
	"carepost/internal/transit"
	"carepost/resolver"
)

// Resolver is what the relay asks of DNS. resolver.Client is one.
type Resolver interface {
	MX(ctx context.Context, d addr.Domain) ([]resolver.MX, error)
	Addrs(ctx context.Context, host string) ([]netip.Addr, error)
}

// Security is how safe the wire must be.
type Security uint8

const (
	Opportunistic Security = iota // TLS when offered, any certificate (RFC 7435); in clear otherwise
	Encrypted                     // TLS, any certificate
	Verified                      // TLS, and the certificate names the host and chains to Options.TLS.RootCAs
)

// Options of a Client. Only Hostname is wanted, and Resolver where Routes does not name every domain.
type Options struct {
	Hostname string                 // our name in EHLO
	TLS      *tls.Config            // roots, client certificate; protocols and suites are set by the Client. nil is fine
	Routes   map[addr.Domain]string // domain → host:port, instead of MX
	Resolver Resolver
	Port     int // of MX hosts; default 25
	Timeouts Timeouts
	// Security wanted for a destination; nil: Opportunistic for all.
	Security func(d addr.Domain) Security
	Dial     func(ctx context.Context, network, address string) (net.Conn, error) // nil: net.Dialer
}

// Timeouts of one delivery; a zero field takes the value of RFC 5321 §4.5.3.2, given here.
type Timeouts struct {
	Connect   time.Duration // 30 s (RFC 5321 is silent)
	Greeting  time.Duration // 5 min
	Hello     time.Duration // 5 min; also STARTTLS and its handshake
	Mail      time.Duration // 5 min
	Rcpt      time.Duration // 5 min
	DataStart time.Duration // 2 min
	DataBlock time.Duration // 3 min, for one write
	DataGrace time.Duration // 5 min plus one second for each DataRate bytes, for the whole content
	DataRate  int64         // 1024 bytes a second
	DataEnd   time.Duration // 10 min
	Quit      time.Duration // 5 s
	Lost      time.Duration // after ctx ends with the final dot sent: how long its reply is still awaited; 10 s
}

// Client sends mail to other servers. It is made by New and safe for concurrent use.
type Client struct{ opts Options }

// New returns a Client. Nothing is started.
func New(o Options) *Client { return &Client{opts: o} }

// Deliver hands d to the servers of its destination.
func (c *Client) Deliver(ctx context.Context, d transit.Consignment) transit.Outcome {
	panic("unimplemented")
}
