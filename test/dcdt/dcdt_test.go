package dcdt

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"carepost/addr"
	"carepost/cms"
	"carepost/internal/agent"
	"carepost/internal/gateway"
	"carepost/internal/gateway/gatewaytest"
	"carepost/internal/smtpd"
	"carepost/internal/transit"
	"carepost/trust"
)

// cases are the numbers of the eighteen.
const cases = 18

// Each case alone, as its first and as a later question, when everything is remembered that the cases before it have looked up.
func TestDiscovery(t *testing.T) {
	s := newStage(t)
	warm := s.agent()
	for n := 1; n <= cases; n++ {
		t.Run(fmt.Sprintf("D%d", n), func(t *testing.T) {
			for _, a := range []*agent.Agent{s.agent(), warm} {
				s.judge(t, n, a.Outbound(t.Context(), s.party(), agent.Outgoing{To: []addr.Address{recipient(n)}, Now: time.Now()}))
			}
		})
	}
}

// One question about all eighteen.
func TestAllTogether(t *testing.T) {
	s := newStage(t)
	var all []addr.Address
	for n := 1; n <= cases; n++ {
		all = append(all, recipient(n))
	}
	d := s.agent().Outbound(t.Context(), s.party(), agent.Outgoing{To: all, Named: all, Now: time.Now()})
	for n := 1; n <= cases; n++ {
		one := agent.Decision{Recipients: d.Recipients[n-1 : n]}
		s.judge(t, n, one)
	}
}

// party trusts the tool's root and nobody else.
func (s *stage) party() agent.Party { return agent.Party{Anchors: certs(s.root.Certificate)} }

// judge compares the certificates that a message would be sealed for with those that the case wants.
func (s *stage) judge(t *testing.T, n int, d agent.Decision) {
	t.Helper()
	r := d.Recipients[0]
	var got []*x509.Certificate
	for _, f := range r.Found {
		got = append(got, f.Certificate)
	}
	want := s.wanted(n)
	for _, c := range got {
		if !slices.ContainsFunc(want, c.Equal) {
			t.Errorf("D%d: sealed for %s, which the case does not want", n, s.label(c))
		}
	}
	for _, c := range want {
		if !slices.ContainsFunc(got, c.Equal) {
			t.Errorf("D%d: not sealed for %s", n, s.label(c))
		}
	}
	if trusted := r.Verdict.Status == trust.Trusted; trusted != (len(want) > 0) {
		t.Errorf("D%d: %s (%s): %s", n, r.Verdict.Status, r.Verdict.Clause, r.Verdict.Reason)
	}
	if t.Failed() || testing.Verbose() {
		t.Logf("D%d: %s: %s", n, r.Verdict.Status, r.Verdict.Reason)
		for _, step := range r.Steps {
			t.Logf("     %s: %s", step.Source, step.Outcome)
		}
	}
}

// One message to all eighteen addresses, through a gateway (the later edition of the tool asks for it so): it arrives for the good ones,
// sealed for the wanted certificates and no other, and its sender is told of each of the others.
func TestOneMessage(t *testing.T) {
	s := newStage(t)
	sink := startSink(t)
	w := gatewaytest.NewWith(t, func(o *gateway.Options) {
		o.Network = s.network(t, sink)
		o.Queue.DelayNotice = 3 * time.Second // then the sender is told of D12, whose directory does not answer: it is asked again for days
	}, "north.example")
	p := w.All[0]
	if err := p.Trust(t.Context(), gatewaytest.Actor, s.root.Certificate, "DCDT"); err != nil {
		t.Fatal(err)
	}
	w.Run()
	var all []addr.Address
	for n := 1; n <= cases; n++ {
		all = append(all, recipient(n))
	}
	id := p.Submit(t, p.Letter("discovery", "to all eighteen", all...), all...)
	bad := 0
	for n := 1; n <= cases; n++ {
		want := transit.Sent
		switch {
		case n == 12:
			want = transit.Accepted
			bad++
		case len(s.wanted(n)) == 0:
			want = transit.Failed
			bad++
		}
		p.Await(t, id, recipient(n), want)
	}
	s.examine(t, sink.taken())
	reports := ""
	told := func(n int) int {
		return strings.Count(reports, fmt.Sprintf("Final-Recipient: rfc822;%s\r\n", recipient(n)))
	}
	gatewaytest.Until(t, func() bool {
		reports = ""
		for _, m := range p.Inbox(t, 1) {
			reports += p.Text(t, m)
		}
		all := 0
		for n := 1; n <= cases; n++ {
			all += told(n)
		}
		return all >= bad
	}, func() string { return fmt.Sprintf("%d to be told of:\n%s", bad, reports) })
	for n := 1; n <= cases; n++ {
		if want := map[bool]int{true: 1}[len(s.wanted(n)) == 0]; told(n) != want {
			t.Errorf("D%d: its sender is told %d times, want %d", n, told(n), want)
		}
	}
	if failed, delayed := strings.Count(reports, "Action: failed\r\n"), strings.Count(reports, "Action: delayed\r\n"); failed != bad-1 || delayed != 1 {
		t.Errorf("%d failed and %d delayed, want %d and 1", failed, delayed, bad-1)
	}
}

// network is how the gateway reaches the tool: its name server, the sink for mail, and what loopback has on the way.
func (s *stage) network(t *testing.T, sink *sink) gateway.Network {
	web, err := url.Parse(s.web.URL)
	if err != nil {
		t.Fatal(err)
	}
	n := gateway.Network{
		Stub: map[addr.Domain][]string{base: {s.dns}}, Routes: map[addr.Domain]string{},
		Trial: gateway.Trial{Prefixes: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
	}
	for i := 1; i <= cases; i++ {
		n.Routes[recipient(i).Domain] = sink.addr
	}
	port, err := strconv.Atoi(web.Port())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range append([]int{port, s.dead}, s.ldap[1:]...) {
		n.Trial.Ports = append(n.Trial.Ports, uint16(p))
	}
	return n
}

// examine compares what crossed the wire with what the cases want.
func (s *stage) examine(t *testing.T, mails []taken) {
	t.Helper()
	arrived := map[int]int{}
	for _, m := range mails {
		var want, all []cms.Recipient
		header, body, _ := strings.Cut(m.text, "\r\n\r\n")
		for n := 1; n <= cases; n++ {
			to := slices.ContainsFunc(m.to, recipient(n).Equal)
			if to {
				arrived[n]++
			} else if strings.Contains(header, recipient(n).String()) {
				t.Errorf("the outer header of mail for others names D%d", n)
			}
			for _, c := range s.certificates[n] {
				all = append(all, cms.Recipient{Certificate: c.Certificate, Key: c.Key})
				if to && c.good {
					want = append(want, all[len(all)-1])
				}
			}
		}
		der, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(body, "\r\n", ""))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range all {
			e, _, err := cms.ReadEnveloped(bytes.NewReader(der), []cms.Recipient{r}, cms.ReadOptions{Draft: true})
			wanted := slices.ContainsFunc(want, func(w cms.Recipient) bool { return w.Certificate.Equal(r.Certificate) })
			if (err == nil) != wanted {
				t.Errorf("sealed for %s: %v, want %v (%v)", s.label(r.Certificate), err == nil, wanted, err)
			}
			if err == nil && e.Recipients != len(want) {
				t.Errorf("sealed for %d, want %d", e.Recipients, len(want))
			}
		}
	}
	for n := 1; n <= cases; n++ {
		if good := len(s.wanted(n)) > 0; arrived[n] != map[bool]int{true: 1}[good] {
			t.Errorf("D%d: the message came %d times", n, arrived[n])
		}
	}
}

// sink is where all mail for the tool goes.
type sink struct {
	addr string
	mu   sync.Mutex
	all  []taken
}

type taken struct {
	to   []addr.Address
	text string
}

func startSink(t *testing.T) *sink {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &sink{addr: l.Addr().String()}
	server := smtpd.New(smtpd.Options{Hostname: "mx." + base, Accept: func(_ context.Context, env transit.Envelope, body io.Reader) (string, error) {
		text, err := io.ReadAll(body)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.all = append(s.all, taken{env.To, string(text)})
		return strconv.Itoa(len(s.all)), err
	}})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *sink) taken() []taken {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.all)
}
