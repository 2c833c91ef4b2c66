package gatewaytest

import (
	"net"
	"testing"
)

// Reopen stops and closes p and opens it again on the same addresses. It runs when started again.
func (p *Practice) Reopen(tb testing.TB) {
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
	if p.open(tb); tb.Failed() {
		tb.FailNow()
	}
}
