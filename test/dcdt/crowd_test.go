package dcdt

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"carepost/addr"
	"carepost/discovery"
	"carepost/internal/agent"
	"carepost/resolver"
	"carepost/trust"
	"carepost/trust/certtest"
)

// A crowd is the recipients of one large message: so many domains, five recipients in each. Two of five have a certificate of their own, the
// others are found at the second step, by their domain's.
const (
	crowdDomains = 200
	perDomain    = 5
	latency      = 20 * time.Millisecond // of the name server
)

// today is a day on which the certificates of the stage are good. A bubble's own clock begins in the year 2000.
var today = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

type crowd struct {
	root    *certtest.CA
	to      []addr.Address
	records map[string][]dns.RR // by name, in lower case with the final dot
	asked   atomic.Int64
}

func newCrowd(t testing.TB) *crowd {
	c := &crowd{root: certtest.NewCA(t, "Crowd root"), records: map[string][]dns.RR{}}
	key := certtest.Key(certtest.ECDSA(t)) // one for all: who has which key matters to nobody here
	usage := certtest.Usage(x509.KeyUsageDigitalSignature | x509.KeyUsageKeyAgreement)
	for d := range crowdDomains {
		domain := fmt.Sprintf("d%d.example", d)
		c.publish(domain, c.root.Issue(t, domain, key, usage))
		for i := range perDomain {
			a := addr.Address{Endpoint: fmt.Sprintf("p%d", i), Domain: addr.Domain(domain)}
			if i < 2 {
				c.publish(a.Endpoint+"."+domain, c.root.Issue(t, a.String(), key, usage))
			}
			c.to = append(c.to, a)
		}
	}
	return c
}

func (c *crowd) publish(name string, p certtest.Pair) {
	name = dns.Fqdn(name)
	c.records[name] = append(c.records[name], &dns.CERT{
		Hdr:  dns.RR_Header{Name: name, Rrtype: dns.TypeCERT, Class: dns.ClassINET, Ttl: 300},
		Type: 1, Certificate: base64.StdEncoding.EncodeToString(p.Certificate.Raw),
	})
}

// answer answers one query, as an authoritative server does.
func (c *crowd) answer(q *dns.Msg) *dns.Msg {
	c.asked.Add(1)
	m := new(dns.Msg).SetReply(q)
	m.Authoritative = true
	name := strings.ToLower(q.Question[0].Name)
	for _, rr := range c.records[name] {
		if rr.Header().Rrtype == q.Question[0].Qtype {
			m.Answer = append(m.Answer, rr)
		}
	}
	if len(m.Answer) == 0 {
		if c.records[name] == nil {
			m.Rcode = dns.RcodeNameError
		}
		soa, _ := dns.NewRR("example. 60 IN SOA ns.example. hostmaster.example. 1 60 60 60 60")
		m.Ns = []dns.RR{soa}
	}
	if o := q.IsEdns0(); o != nil {
		m.SetEdns0(1232, o.Do())
	}
	return m
}

// dial is the way to the server in a bubble: packets cross a pipe, and each answer takes its time. Nothing here waits for the kernel.
func (c *crowd) dial(_ context.Context, network, _ string) (net.Conn, error) {
	if network != "udp" {
		return nil, fmt.Errorf("nothing of the crowd is too large for UDP: %s", network)
	}
	ours, theirs := net.Pipe()
	go func() {
		defer theirs.Close()
		buf := make([]byte, 4096)
		for {
			n, err := theirs.Read(buf)
			if err != nil {
				return
			}
			q := new(dns.Msg)
			if q.Unpack(buf[:n]) != nil {
				return
			}
			time.Sleep(latency)
			out, err := c.answer(q).Pack()
			if err != nil {
				return
			}
			if _, err := theirs.Write(out); err != nil {
				return
			}
		}
	}()
	return ours, nil
}

// agent is a Security/Trust Agent with nothing in its caches, whose name server is the crowd's.
func (c *crowd) agent() *agent.Agent {
	r := &resolver.Client{Servers: []string{"crowd"}, Dial: c.dial, Cache: resolver.NewCache(0, time.Now)}
	return &agent.Agent{Directory: &discovery.Finder{Resolver: r, Cache: discovery.NewCache(0, 0, time.Now)}, Judge: trust.NewJudge(nil)}
}

// resolve asks an agent about all of to at once, and fails the test where one of them has no certificate.
func (c *crowd) resolve(t testing.TB, a *agent.Agent, to ...addr.Address) {
	t.Helper()
	party := agent.Party{Anchors: certs(c.root.Certificate)}
	d := a.Outbound(t.Context(), party, agent.Outgoing{To: to, Named: to, Now: today})
	for _, r := range d.Recipients {
		if r.Verdict.Status != trust.Trusted {
			t.Fatalf("%s: %s: %s", r.Address, r.Verdict.Status, r.Verdict.Reason)
		}
	}
}

// A message to a thousand recipients in two hundred domains finds its certificates in a fiftieth of the time that it takes one after the
// other, each with an empty memory at first. The clock is the bubble's: it counts what is waited for, and nothing else, so that the
// proportion is the same on every machine. BenchmarkCrowd has the time of a real one.
func TestThousandRecipients(t *testing.T) {
	c := newCrowd(t)
	measure := func(f func(*testing.T)) (took time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			f(t)
			took = time.Since(start)
		})
		return took
	}
	one := measure(func(t *testing.T) {
		a := c.agent()
		for _, to := range c.to {
			c.resolve(t, a, to)
		}
	})
	queries := c.asked.Swap(0)
	all := measure(func(t *testing.T) { c.resolve(t, c.agent(), c.to...) })
	t.Logf("%d recipients in %d domains: one after the other %s (%d queries), together %s (%d queries), 1/%.0f",
		len(c.to), crowdDomains, one, queries, all, c.asked.Load(), float64(one)/float64(all))
	if all*50 > one {
		t.Errorf("together they take %s, one after the other %s: more than a fiftieth", all, one)
	}
	if got := c.asked.Load(); got > queries {
		t.Errorf("together they ask %d times, one after the other %d times", got, queries)
	}
}

// A directory that says nothing costs its deadline once, however many recipients of however many domains are to be looked for there: then
// it is known to be dead. The clock is the bubble's.
func TestDeadDirectory(t *testing.T) {
	c := newCrowd(t)
	server, err := dns.NewRR("ldap.example. 300 IN A 192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	c.records["ldap.example."] = []dns.RR{server}
	var to []addr.Address
	for d := range 10 {
		domain := fmt.Sprintf("dead%d.example.", d)
		srv, err := dns.NewRR("_ldap._tcp." + domain + " 300 IN SRV 0 0 389 ldap.example.")
		if err != nil {
			t.Fatal(err)
		}
		c.records["_ldap._tcp."+domain] = []dns.RR{srv}
		for i := range 5 {
			to = append(to, addr.Address{Endpoint: fmt.Sprintf("p%d", i), Domain: addr.Domain(strings.TrimSuffix(domain, "."))})
		}
	}
	ask := func(to ...addr.Address) (took time.Duration, dialled int64) {
		synctest.Test(t, func(t *testing.T) {
			var dials atomic.Int64
			a := c.agent()
			a.Directory.(*discovery.Finder).Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
				dials.Add(1)
				<-ctx.Done() // packets go nowhere
				return nil, ctx.Err()
			}
			start := time.Now()
			for _, r := range a.Outbound(t.Context(), agent.Party{Anchors: certs(c.root.Certificate)}, agent.Outgoing{To: to, Now: today}).Recipients {
				if r.Verdict.Status == trust.Trusted {
					t.Errorf("%s: trusted", r.Address)
				}
			}
			took, dialled = time.Since(start), dials.Load()
		})
		return took, dialled
	}
	one, _ := ask(to[0])
	all, dialled := ask(to...)
	t.Logf("one recipient %s, %d recipients of ten domains %s, %d connections tried", one, len(to), all, dialled)
	if all > one+time.Second {
		t.Errorf("%d recipients take %s, one takes %s: the server's deadline is paid more than once", len(to), all, one)
	}
}
