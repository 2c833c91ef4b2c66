package relay

import (
	"cmp"
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"slices"
	"time"

	"carepost/addr"
	"carepost/internal/transit"
	"carepost/resolver"
	"carepost/smtp"
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
	Through  []Through              // servers that send for us, instead of Routes where they name the domain, and of MX
	Resolver Resolver
	Port     int // of MX hosts; default 25
	Timeouts Timeouts
	// Security wanted for a destination; nil: Opportunistic for all.
	Security func(d addr.Domain) Security
	Dial     func(ctx context.Context, network, address string) (net.Conn, error) // nil: net.Dialer
}

// Timeouts of one delivery; a zero field takes the value of RFC 5321 §4.5.3.2, given here.
type Timeouts struct {
	// All of a delivery, whatever each step may take: 30 min plus one second for each DeliveryRate (16 KiB) of content. Whoever is left
	// then is Deferred. Only the reply to the final dot is awaited longer.
	Delivery     time.Duration
	DeliveryRate int64

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
	Lost      time.Duration // after ctx ends with the final dot sent: how long its reply is still awaited; 10 s
}

func (o Options) withDefaults() Options {
	o.Port = cmp.Or(o.Port, 25)
	t := &o.Timeouts
	t.Delivery = cmp.Or(t.Delivery, 30*time.Minute)
	t.DeliveryRate = cmp.Or(t.DeliveryRate, 16<<10)
	t.Connect = cmp.Or(t.Connect, 30*time.Second)
	t.Greeting = cmp.Or(t.Greeting, 5*time.Minute)
	t.Hello = cmp.Or(t.Hello, 5*time.Minute)
	t.Mail = cmp.Or(t.Mail, 5*time.Minute)
	t.Rcpt = cmp.Or(t.Rcpt, 5*time.Minute)
	t.DataStart = cmp.Or(t.DataStart, 2*time.Minute)
	t.DataBlock = cmp.Or(t.DataBlock, 3*time.Minute)
	t.DataGrace = cmp.Or(t.DataGrace, 5*time.Minute)
	t.DataRate = cmp.Or(t.DataRate, 1024)
	t.DataEnd = cmp.Or(t.DataEnd, 10*time.Minute)
	t.Lost = cmp.Or(t.Lost, 10*time.Second)
	o.TLS = smtp.HardenTLS(o.TLS)
	o.Through = slices.Clone(o.Through)
	for i := range o.Through {
		o.Through[i].TLS = smtp.HardenTLS(o.Through[i].TLS)
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{}).DialContext
	}
	if o.Security == nil {
		o.Security = func(addr.Domain) Security { return Opportunistic }
	}
	return o
}

// Client sends mail to other servers. It is made by New and safe for concurrent use.
type Client struct {
	opts     Options
	troubles troubles
}

// New returns a Client. Nothing is started.
func New(o Options) *Client { return &Client{opts: o.withDefaults()} }

// whole is the time for a delivery of size bytes.
func (t Timeouts) whole(size int64) time.Duration {
	const longest = 30 * 24 * time.Hour // of content, so that nothing overflows
	seconds := min(size/max(t.DeliveryRate, 1), int64(longest/time.Second))
	return t.Delivery + time.Duration(seconds)*time.Second
}

// maxAttempts bounds the addresses tried in one delivery, and the hosts asked for in vain, whatever DNS lists.
const maxAttempts = 10

// Deliver hands d to the servers of its destination, in the order of their preference, and says what became of each recipient. It
// returns when all have their answer, when no server is left, when Timeouts.Delivery is over, or soon after ctx ends.
func (c *Client) Deliver(ctx context.Context, d transit.Consignment) transit.Outcome {
	v := newDelivery(c, d)
	if len(v.open()) == 0 {
		return v.out
	}
	if f := v.inspect(ctx); f != nil {
		return v.end(f)
	}
	v.until = time.Now().Add(c.opts.Timeouts.whole(d.Body.Size()))
	asking, cancel := context.WithDeadline(ctx, v.until)
	defer cancel()
	hosts, f := c.hosts(asking, d.Domain)
	if f != nil {
		return v.end(f)
	}
	tried, security := 0, c.opts.Security(d.Domain)
	if v.through != nil {
		security = Verified
	}
	for _, h := range hosts {
		addresses, f := c.addresses(asking, h)
		if f != nil {
			v.note(f)
			tried++
		}
		for _, a := range addresses[:min(len(addresses), maxAttempts-tried)] {
			tried++
			if v.attempt(ctx, target{host: h.name, address: a}, security); v.over(ctx) {
				return v.out
			}
		}
		if tried >= maxAttempts || v.over(ctx) {
			break
		}
	}
	return v.out
}
