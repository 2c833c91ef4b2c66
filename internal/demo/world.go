package demo

import (
	"context"
	"errors"
	"net/netip"
	"path/filepath"

	"carepost/addr"
	"carepost/internal/gateway"
)

// practice is one side: an ordinary installation.
type practice struct {
	*gateway.Gateway
	address addr.Address
	dir     string
	hears   gateway.Listeners
}

// world is both practices, running.
type world struct {
	a, b *practice
	c    *console
	dir  string

	stop context.CancelFunc
	over chan error // one for each practice
}

// loopback is the only network of the demo.
var loopback = netip.MustParsePrefix("127.0.0.0/8")

// open makes both practices. Nothing runs yet.
func open(ctx context.Context, dir string, c *console) (*world, error) {
	w := &world{
		a:   &practice{address: sender, dir: filepath.Join(dir, "a")},
		b:   &practice{address: recipient, dir: filepath.Join(dir, "b")},
		c:   c,
		dir: dir, over: make(chan error, 2),
	}
	for _, p := range []*practice{w.a, w.b} {
		var err error
		if p.hears, err = gateway.Loopback(); err != nil {
			w.shut()
			return nil, err
		}
	}
	made := make(chan error, 2)
	go func() { made <- w.a.open(ctx, w.b, c) }()
	go func() { made <- w.b.open(ctx, w.a, c) }()
	if err := errors.Join(<-made, <-made); err != nil {
		w.shut()
		return nil, err
	}
	return w, nil
}

// meet lets each practice trust the other's authority.
func (w *world) meet(ctx context.Context) error {
	return errors.Join(w.a.meet(ctx, w.b), w.b.meet(ctx, w.a))
}

// start has both practices run until ctx ends or the world is closed.
func (w *world) start(ctx context.Context) {
	ctx, w.stop = context.WithCancel(ctx)
	for _, p := range []*practice{w.a, w.b} {
		go func() { w.over <- p.Run(ctx) }()
	}
}

func (p *practice) open(ctx context.Context, other *practice, c *console) (err error) {
	p.Gateway, err = gateway.Open(ctx, gateway.Options{
		Dir: p.dir, Domain: p.address.Domain, Pilot: true, Listeners: p.hears,
		Network: gateway.Network{
			Stub:      map[addr.Domain][]string{other.address.Domain: {other.hears.DNSTCP.Addr().String()}},
			RelayPort: gateway.Port(other.hears.MX),
			Trial:     gateway.Trial{Prefixes: []netip.Prefix{loopback}, Ports: []uint16{uint16(gateway.Port(p.hears.HTTP)), uint16(gateway.Port(other.hears.HTTP))}},
		},
		Progress: c.progress,
	})
	return err
}

// meet is what two practices do before they exchange mail: each makes an account and takes the other's authority as an anchor.
func (p *practice) meet(ctx context.Context, other *practice) error {
	if err := p.AddAccount(ctx, actor, p.address); err != nil {
		return err
	}
	return p.Trust(ctx, actor, other.Anchor(), "handed over by "+other.address.Domain.String())
}

// close stops both practices and waits until they have.
func (w *world) close() {
	if w.stop != nil {
		w.stop()
		<-w.over
		<-w.over
	}
	w.shut()
}

func (w *world) shut() {
	for _, p := range []*practice{w.a, w.b} {
		p.hears.Close()
		if p.Gateway != nil {
			p.Gateway.Close()
		}
	}
}
