package relay

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"carepost/addr"
	"carepost/internal/transit"
	"carepost/resolver"
)

// host is a server by name; target one of its addresses.
type host struct {
	name  string
	port  string
	route bool // given by the operator, who may use names that DNS does not know
}

type target struct {
	host    string // for EHLO's sake, certificates and reports
	address string // host:port to dial
}

// hosts lists the servers for d, the most wanted first (RFC 5321 §5.1).
func (c *Client) hosts(ctx context.Context, d addr.Domain) ([]host, *fault) {
	port := strconv.Itoa(c.opts.Port)
	if via := c.through(d); via != nil {
		name, p, err := net.SplitHostPort(via.Address)
		if err != nil {
			return nil, &fault{enhanced: "4.3.5", text: "the server that sends for us is no host:port"}
		}
		return []host{{name: name, port: p, route: true}}, nil
	}
	if r, ok := c.opts.Routes[d]; ok {
		name, p, err := net.SplitHostPort(r)
		if err != nil {
			name, p = r, port
		}
		return []host{{name: name, port: p, route: true}}, nil
	}
	if c.opts.Resolver == nil {
		return nil, &fault{enhanced: "4.3.5", text: "no route and no resolver"}
	}
	list, err := c.opts.Resolver.MX(ctx, d)
	switch {
	case errors.Is(err, resolver.ErrNullMX):
		return nil, &fault{result: transit.Rejected, enhanced: "5.1.10", text: "the domain takes no mail (RFC 7505)"}
	case errors.Is(err, resolver.ErrNotFound): // RFC 5321 §5.1: the implicit MX
		return []host{{name: string(d), port: port}}, nil
	case err != nil:
		return nil, &fault{enhanced: "4.4.3", text: "MX look-up: " + err.Error()}
	}
	list, f := order(list, c.opts.Hostname)
	hosts := make([]host, len(list))
	for i, m := range list {
		hosts[i] = host{name: m.Host, port: port}
	}
	return hosts, f
}

// order sorts by preference, equals at random, and leaves out ourselves and everybody who is no better than us, so that mail gets
// nearer with each hop (RFC 5321 §5.1).
func order(list []resolver.MX, self string) ([]resolver.MX, *fault) {
	list = slices.Clone(list)
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	slices.SortStableFunc(list, func(a, b resolver.MX) int { return cmp.Compare(a.Pref, b.Pref) })
	for _, m := range list {
		if same(m.Host, self) {
			list = slices.DeleteFunc(list, func(n resolver.MX) bool { return n.Pref >= m.Pref })
			break
		}
	}
	if len(list) == 0 {
		return nil, loop()
	}
	return list, nil
}

func loop() *fault {
	return &fault{result: transit.Rejected, enhanced: "5.4.6", text: "mail for this domain would come back to this server"}
}

// same compares host names.
func same(a, b string) bool {
	return strings.EqualFold(strings.TrimSuffix(a, "."), strings.TrimSuffix(b, "."))
}

// addresses resolves h to what can be dialled.
func (c *Client) addresses(ctx context.Context, h host) ([]string, *fault) {
	direct := []string{net.JoinHostPort(h.name, h.port)}
	if _, err := netip.ParseAddr(h.name); h.route && (err == nil || c.opts.Resolver == nil) {
		return direct, nil
	}
	found, err := c.opts.Resolver.Addrs(ctx, h.name)
	switch {
	case err != nil && h.route:
		return direct, nil // the system may know it
	case errors.Is(err, resolver.ErrNotFound):
		return nil, &fault{result: transit.Rejected, enhanced: "5.4.4", text: "no address for " + h.name, another: true}
	case err != nil:
		return nil, &fault{enhanced: "4.4.3", text: "address look-up: " + err.Error(), another: true}
	}
	var list []string
	for _, a := range found {
		if a = a.Unmap(); a.IsUnspecified() || a.IsMulticast() {
			continue // would be ourselves, or nobody
		}
		list = append(list, net.JoinHostPort(a.String(), h.port))
	}
	if len(list) == 0 {
		return nil, &fault{enhanced: "4.4.4", text: "no usable address for " + h.name, another: true}
	}
	return list, nil
}
