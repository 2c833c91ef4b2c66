package discovery_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"carepost/addr"
	"carepost/discovery"
	"carepost/ldap/ldaptest"
	"carepost/resolver/resolvertest"
	"carepost/trust/certtest"
)

// dialer counts connections.
type dialer struct {
	mu sync.Mutex
	n  map[string]int
}

func (d *dialer) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	d.mu.Lock()
	if d.n == nil {
		d.n = map[string]int{}
	}
	d.n[address]++
	d.mu.Unlock()
	return new(net.Dialer).DialContext(ctx, network, address)
}

func (d *dialer) count(address string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.n[address]
}

// srv is a record of _ldap._tcp.DOMAIN that leads to address by way of a name.
func srv(t *testing.T, s *resolvertest.Server, domain string, priority, weight int, address string) {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	s.Add(t, fmt.Sprintf("_ldap._tcp.%s. 60 IN SRV %d %d %s l%s.%[1]s.", domain, priority, weight, port, port), fmt.Sprintf("l%s.%s. 60 IN A %s", port, domain, host))
}

func outcomes(steps []discovery.Step) string {
	var out []string
	for _, s := range steps {
		out = append(out, s.Source+": "+s.Outcome)
	}
	return strings.Join(out, "\n")
}

// DIR-11, DIR-42: the LDAP half of the search, by real OpenLDAP: its place in the order, address before domain, where it ends, which
// servers are asked. The numbers are those of the conformance tests.
func TestDirectory(t *testing.T) {
	ca := certtest.NewCA(t, "Trial CA")
	issue := func(name string, edits ...certtest.Edit) certtest.Pair {
		return ca.Issue(t, name, append(edits, certtest.Key(certtest.ECDSA(t)))...)
	}
	lab, lab2, org, expired, john := issue("lab@h.example"), issue("lab@h.example"), issue("h.example"), issue("lab@h.example", certtest.Until(past)), issue("john@h.example")
	const base = "ou=dcdt"
	address := ldaptest.Start(t, []string{base, "ou=other"}, ldaptest.Root(base), ldaptest.Entry(base, "lab", "lab@h.example", lab.Certificate), ldaptest.Entry(base, "h", "h.example", org.Certificate),
		ldaptest.Root("ou=other"), ldaptest.Entry("ou=other", "old", "old@h.example", lab.Certificate)).Address
	second := ldaptest.Start(t, []string{base}, ldaptest.Root(base), ldaptest.Entry(base, "lab", "lab@h.example", lab2.Certificate)).Address
	domain := ldaptest.Start(t, []string{base}, ldaptest.Root(base), ldaptest.Entry(base, "h", "h.example", org.Certificate)).Address
	bad := ldaptest.Start(t, []string{base}, ldaptest.Root(base), ldaptest.Entry(base, "lab", "lab@h.example", expired.Certificate), ldaptest.Entry(base, "h", "h.example", org.Certificate)).Address
	wrong := ldaptest.Start(t, []string{base}, ldaptest.Root(base), ldaptest.Entry(base, "lab", "lab@h.example", john.Certificate), ldaptest.Entry(base, "h", "h.example", org.Certificate)).Address
	empty := ldaptest.Start(t, []string{base}, ldaptest.Root(base)).Address
	dead := ldaptest.Dead(t)
	type server struct {
		priority, weight int
		address          string
	}
	for _, tc := range []struct {
		name    string
		servers []server
		want    *certtest.Pair
		server  string
		err     error
		said    string
		policy  bool
	}{
		{name: "D3 the address's own", servers: []server{{0, 0, address}}, want: &lab, server: address, said: "begins at ou="},
		{name: "D4 the domain's where the address has none", servers: []server{{0, 0, domain}}, want: &org, server: domain, said: "LDAP: no entry with a certificate\nLDAP: 1 certificate, organizationally-bound"},
		{name: "Direct 5.2 by policy not", servers: []server{{0, 0, domain}}, policy: true},
		{name: "D7 an expired one ends the search", servers: []server{{0, 0, bad}}, want: &expired, server: bad},
		{name: "D10 the next server", servers: []server{{0, 0, dead}, {1, 0, address}}, want: &lab, server: address, said: "there is no connection to the server: the next one is asked"},
		{name: "D11 no server", said: "DNS SRV: no LDAP server is named"},
		{name: "D12 only a dead one", servers: []server{{0, 0, dead}}, err: discovery.ErrDirectory},
		{name: "D13 no entry", servers: []server{{0, 0, empty}}, said: "LDAP: no entry with a certificate"},
		{name: "D15 priority", servers: []server{{1, 100, address}, {0, 0, second}}, want: &lab2, server: second},
		{name: "D16 weight", servers: []server{{0, 0, address}, {0, 100, second}}, want: &lab2, server: second},
		{name: "the first that answers has said all", servers: []server{{0, 0, empty}, {1, 0, address}}},
		{name: "somebody else's is no hit", servers: []server{{0, 0, wrong}}, want: &org, server: wrong, said: "somebody else"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, d := resolvertest.Start(t), &dialer{}
			for _, x := range tc.servers {
				srv(t, s, "h.example", x.priority, x.weight, x.address)
			}
			f := &discovery.Finder{Resolver: s.Client(), Dial: d.Dial, NoOrganization: tc.policy}
			found, steps, err := f.Lookup(t.Context(), addressOf(t, "lab@h.example"))
			if !errors.Is(err, tc.err) || (err == nil) != (tc.err == nil) {
				t.Errorf("error %v, want %v", err, tc.err)
			}
			switch {
			case tc.want == nil && len(found) > 0, tc.want != nil && len(found) != 1:
				t.Errorf("%d found\n%s", len(found), outcomes(steps))
			case tc.want != nil:
				_, port, _ := net.SplitHostPort(tc.server)
				if x := found[0]; !x.Certificate.Equal(tc.want.Certificate) || x.Source != "LDAP" || x.Server != "l"+port+".h.example:"+port || x.Entry == "" || x.TTL <= 0 {
					t.Errorf("found %+v\n%s", x, outcomes(steps))
				}
			}
			if all := outcomes(steps); !strings.Contains(all, tc.said) || strings.Contains(all, "lab@") {
				t.Errorf("said\n%s\nwant %s", all, tc.said)
			}
			if err != nil && strings.Contains(err.Error(), "lab") {
				t.Errorf("the error tells who: %v", err)
			}
		})
	}
	t.Run("every naming context", func(t *testing.T) {
		s := resolvertest.Start(t)
		srv(t, s, "h.example", 0, 0, address)
		f := &discovery.Finder{Resolver: s.Client(), Dial: new(net.Dialer).DialContext}
		if _, steps, err := f.Lookup(t.Context(), addressOf(t, "old@h.example")); err != nil || !strings.Contains(outcomes(steps), "somebody else") {
			t.Errorf("%v\n%s", err, outcomes(steps))
		}
	})
	t.Run("D1 DNS comes first", func(t *testing.T) {
		s, d := resolvertest.Start(t), &dialer{}
		srv(t, s, "h.example", 0, 0, address)
		s.AddCERT(t, "h.example", 1, org.Certificate.Raw)
		f := &discovery.Finder{Resolver: s.Client(), Dial: d.Dial}
		if found, _, err := f.Lookup(t.Context(), addressOf(t, "lab@h.example")); err != nil || len(found) != 1 || found[0].Source != "DNS CERT" || len(d.n) != 0 {
			t.Errorf("%v, %v, %v", found, err, d.n)
		}
	})
}

func addressOf(t testing.TB, s string) addr.Address { return address(t, s) }

// A server that takes connections and says nothing costs its deadline once, for two hundred recipients of one domain at a time and for
// those who come after.
func TestDeadServerIsPaidOnce(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s, d := resolvertest.Start(t), &dialer{}
	srv(t, s, "h.example", 0, 0, l.Addr().String())
	now := time.Now()
	client := s.Client()
	f := &discovery.Finder{Resolver: client, Dial: d.Dial, Cache: discovery.NewCache(0, 0, func() time.Time { return now })}
	var failed atomic.Int32
	look := func(i int) {
		if _, _, err := f.Lookup(t.Context(), addressOf(t, fmt.Sprintf("r%d@h.example", i))); errors.Is(err, discovery.ErrDirectory) {
			failed.Add(1)
		}
	}
	start := time.Now()
	look(0)
	once := time.Since(start)
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() { look(i) })
	}
	wg.Wait()
	if all := time.Since(start); all > 3*once || failed.Load() != 201 {
		t.Errorf("one took %v, all %v; %d without answer", once, all, failed.Load())
	}
	if n := d.count(l.Addr().String()); n != 1 {
		t.Errorf("%d connections to a dead server", n)
	}
	l.Close()
	now = now.Add(2 * time.Minute)
	look(0)
	if n := d.count(l.Addr().String()); n != 2 {
		t.Errorf("after two minutes: %d connections", n)
	}
}

// Look-ups that many recipients share are made once: the domain's records, its servers, where the directory begins, mail=domain.
func TestShared(t *testing.T) {
	org := certtest.NewCA(t, "Trial CA").Issue(t, "h.example", certtest.Key(certtest.ECDSA(t))).Certificate
	const base = "ou=x"
	s, d := resolvertest.Start(t), &dialer{}
	at := ldaptest.Start(t, []string{base}, ldaptest.Root(base), ldaptest.Entry(base, "h", "h.example", org)).Address
	srv(t, s, "h.example", 0, 0, at)
	f := &discovery.Finder{Resolver: s.Client(), Dial: d.Dial, Cache: discovery.NewCache(0, 0, time.Now)}
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			if found, steps, err := f.Lookup(t.Context(), addressOf(t, fmt.Sprintf("r%d@h.example", i))); err != nil || len(found) != 1 {
				t.Errorf("%v, %v\n%s", found, err, outcomes(steps))
			}
		})
	}
	wg.Wait()
	for _, name := range []string{"h.example", "_ldap._tcp.h.example"} {
		n := 0
		for _, q := range s.Queries() {
			if q.Name == name {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%s was asked for %d times", name, n)
		}
	}
	if n := d.count(at); n != 52 { // each its own, the beginning, mail=domain
		t.Errorf("%d sessions", n)
	}
}

// The hit must be the same whoever asked before: what is kept is what was published, and whose it is is asked anew.
func TestCacheIsNobodys(t *testing.T) {
	ca := certtest.NewCA(t, "Trial CA")
	john, org := ca.Issue(t, "john@smith.h.example").Certificate, ca.Issue(t, "h.example").Certificate
	s := resolvertest.Start(t)
	s.AddCERT(t, "john.smith.h.example", 1, john.Raw)
	s.AddCERT(t, "h.example", 1, org.Raw)
	f := &discovery.Finder{Resolver: s.Client(), Cache: discovery.NewCache(0, 0, time.Now)}
	for range 3 {
		for who, want := range map[string]string{"john@smith.h.example": "john.smith.h.example", "john.smith@h.example": "h.example"} {
			found, _, err := f.Lookup(t.Context(), addressOf(t, who))
			if err != nil || len(found) != 1 || found[0].Name != want || slices.Equal(found[0].Certificate.Raw, john.Raw) != (who == "john@smith.h.example") {
				t.Errorf("%s: %+v, %v", who, found, err)
			}
		}
	}
	if n := len(s.Queries()); n != 2 {
		t.Errorf("%d queries", n)
	}
}
