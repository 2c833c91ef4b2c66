package dcdt

import (
	"net"
	"os"
	"testing"
	"time"

	"github.com/miekg/dns"

	"carepost/addr"
	"carepost/discovery"
	"carepost/internal/agent"
	"carepost/resolver"
	"carepost/trust"
)

// serve answers for the crowd on loopback, each query after its time. It stops with the benchmark.
func (c *crowd) serve(b *testing.B) string {
	p, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := &dns.Server{PacketConn: p, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		time.AfterFunc(latency, func() { w.WriteMsg(c.answer(q)) })
	})}
	done := make(chan struct{})
	go func() { defer close(done); s.ActivateAndServe() }()
	b.Cleanup(func() { p.Close(); <-done })
	return p.LocalAddr().String()
}

// BenchmarkCrowd finds and judges the certificates of 1,000 recipients in 200 domains by a name server on loopback that answers after 20 ms:
// all together, and one after the other (with CAREPOST_FULL=1 all thousand, else the first hundred, taken ten times). Nothing is remembered
// at first. The metric "of-serial" is what issue 5 holds at 1/50 at most.
func BenchmarkCrowd(b *testing.B) {
	c := newCrowd(b)
	server := c.serve(b)
	fresh := func() *agent.Agent {
		r := &resolver.Client{Servers: []string{server}, Cache: resolver.NewCache(0, time.Now)}
		return &agent.Agent{Directory: &discovery.Finder{Resolver: r, Cache: discovery.NewCache(0, 0, time.Now)}, Judge: trust.NewJudge(nil)}
	}
	some, times := c.to[:100], 10
	if os.Getenv("CAREPOST_FULL") != "" {
		some, times = c.to, 1
	}
	a, start := fresh(), time.Now()
	for _, to := range some {
		c.resolve(b, a, []addr.Address{to}...)
	}
	serial := time.Since(start) * time.Duration(times)
	b.ResetTimer()
	for range b.N {
		c.resolve(b, fresh(), c.to...)
	}
	b.StopTimer()
	together := b.Elapsed() / time.Duration(b.N)
	b.ReportMetric(float64(together)/float64(serial), "of-serial")
	b.ReportMetric(serial.Seconds(), "s-serial")
	if together*50 > serial {
		b.Errorf("together %s, one after the other %s: more than a fiftieth", together, serial)
	}
}
