package gatewaytest

import (
	"net"
	"testing"

	"carepost/internal/gateway"
)

// Reopen stops and closes p and opens it again on the same addresses, with options changed by set. It runs when started again.
func (p *Practice) Reopen(tb testing.TB, set ...func(*gateway.Options)) {
	tb.Helper()
	p.Stop()
	if err := p.Close(); err != nil {
		tb.Fatal(err)
	}
	for _, l := range []*net.Listener{&p.Hears.MX, &p.Hears.HTTP, &p.Hears.DNSTCP} {
		(*l).Close() // a run has closed it already
		var err error
		if *l, err = net.Listen("tcp", (*l).Addr().String()); err != nil {
			tb.Fatal(err)
		}
	}
	p.Hears.DNS.Close()
	var err error
	if p.Hears.DNS, err = net.ListenPacket("udp", p.Hears.DNS.LocalAddr().String()); err != nil {
		tb.Fatal(err)
	}
	p.opts.Listeners = p.Hears
	for _, change := range set {
		change(&p.opts)
	}
	if p.open(tb); tb.Failed() {
		tb.FailNow()
	}
}
