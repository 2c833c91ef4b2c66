// Package dcdt plays the federal Direct Certificate Discovery Testing Tool (facts: DCDT) before Carepost: its eighteen discovery cases, laid out
// in a real BIND and three real slapd, with authorities whose lists and certificates are served over HTTP.
package dcdt

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/trust/certtest"
)

const base = "dcdt.example"

// sources of a certificate on the stage.
const (
	inDNS = iota
	inLDAP1
	inLDAP2
	inLDAP3
	sources
)

// certificate is one that stands somewhere on the stage.
type certificate struct {
	certtest.Pair
	name string // the address or the domain that it is bound to
	at   int    // where it is published
	good bool   // the one, or one of those, that the case wants used
}

// stage is the tool: what it publishes, and where.
type stage struct {
	root, mid *certtest.CA
	web       *certtest.Server
	dns       string // host:port of BIND
	ldap      [sources]int
	dead      int // a port where nobody listens

	certificates map[int][]certificate // by the number of the case
}

// recipient is the address of a case.
func recipient(n int) addr.Address {
	at := map[int]int{1: 1, 2: 1, 3: 2, 4: 2, 5: 1, 6: 4, 7: 2, 8: 5, 9: 1, 10: 3, 11: 6, 12: 7, 13: 8, 14: 1, 15: 2, 16: 5, 17: 9, 18: 10}
	return addr.Address{Endpoint: fmt.Sprintf("d%d", n), Domain: addr.Domain(fmt.Sprintf("domain%d.%s", at[n], base))}
}

// newStage builds the tool. The certificates of a domain stand there for all cases of the domain, as they do in the tool: a domain-bound one
// that a case needs is the background of its neighbours.
func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{web: certtest.NewServer(t), certificates: map[int][]certificate{}}
	s.root = certtest.NewCA(t, "DCDT root")
	s.root.Publish(t, s.web)
	s.mid = s.root.Intermediate(t, "DCDT intermediate")
	s.mid.Publish(t, s.web)
	s.fill(t)
	for i := inLDAP1; i < sources; i++ {
		s.ldap[i] = startSlapd(t, s.ldif(i))
	}
	s.dead = deadPort(t)
	s.dns = startNamed(t, base, s.zone(t))
	return s
}

// expired ends a certificate long ago.
var expired = certtest.Until(time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC))

// fill issues what each case publishes (facts §5a).
func (s *stage) fill(t *testing.T) {
	put := func(n, at int, good bool, name string, edits ...certtest.Edit) certtest.Pair {
		if name == "" {
			name = recipient(n).String()
		}
		p := s.root.Issue(t, name, edits...)
		s.certificates[n] = append(s.certificates[n], certificate{p, name, at, good})
		return p
	}
	domain := func(n int) string { return string(recipient(n).Domain) }

	put(1, inDNS, true, "") // background: the good domain-bound one of D2, and what is expired
	put(1, inDNS, false, domain(1), expired)
	put(1, inLDAP1, false, "", expired)
	put(1, inLDAP1, false, domain(1), expired)

	put(2, inDNS, true, domain(2))
	put(2, inLDAP1, false, "", expired)

	put(3, inLDAP1, true, "")
	put(3, inLDAP2, false, "", expired)

	put(4, inLDAP1, true, domain(4))
	put(4, inLDAP2, false, domain(4), expired)

	put(5, inDNS, false, "", expired)
	put(5, inLDAP1, false, "") // good, and never reached: the hit in DNS ends the search

	put(6, inDNS, false, domain(6), expired)
	put(6, inLDAP1, false, "")

	put(7, inLDAP1, false, "", expired)
	put(8, inLDAP3, false, domain(8), expired)
	put(8, inLDAP1, false, domain(8), expired)

	put(9, inDNS, false, "", expired)
	put(9, inDNS, true, "")

	put(10, inLDAP2, true, "")

	key, err := rsa.GenerateKey(rand.Reader, 4096)
	if err != nil {
		t.Fatal(err)
	}
	put(14, inDNS, true, "", certtest.Key(key))

	put(15, inLDAP1, true, "")
	put(15, inLDAP2, false, "")

	put(16, inLDAP3, true, "")
	put(16, inLDAP1, false, "")

	for range 2 {
		s.root.Revoke(t, put(17, inDNS, false, "").Certificate)
	}
	put(17, inDNS, true, "")
	put(17, inDNS, false, domain(17), expired)

	p := s.mid.Issue(t, recipient(18).String())
	s.certificates[18] = append(s.certificates[18], certificate{p, recipient(18).String(), inDNS, true})
	put(18, inDNS, false, domain(18), expired)
}

// servers are the SRV records of each domain: priority, weight, and which server; 0 is the dead one.
func (s *stage) servers() map[int][][3]int {
	return map[int][][3]int{
		1: {{0, 0, inLDAP1}},
		2: {{0, 0, inLDAP1}, {1, 0, inLDAP2}},
		3: {{0, 0, 0}, {1, 0, inLDAP2}},
		4: {{0, 0, inLDAP1}},
		5: {{0, 0, inLDAP1}, {0, 100, inLDAP3}},
		7: {{0, 0, 0}},
		8: {{0, 0, inLDAP1}},
	}
}

// zone is what BIND serves for the whole tool.
func (s *stage) zone(t *testing.T) string {
	var z strings.Builder
	fmt.Fprintf(&z, "$ORIGIN %s.\n$TTL 60\n@ IN SOA ns hostmaster 1 60 60 600 60\n@ IN NS ns\nns IN A 127.0.0.1\nldap IN A 127.0.0.1\n", base)
	for n := 1; n <= 10; n++ {
		fmt.Fprintf(&z, "domain%d IN MX 10 ns\n", n)
		for _, srv := range s.servers()[n] {
			port := s.dead
			if srv[2] > 0 {
				port = s.ldap[srv[2]]
			}
			fmt.Fprintf(&z, "_ldap._tcp.domain%d IN SRV %d %d %d ldap\n", n, srv[0], srv[1], port)
		}
	}
	for n := 1; n <= 18; n++ {
		for _, c := range s.certificates[n] {
			if c.at == inDNS {
				fmt.Fprintf(&z, "%s. IN CERT PKIX 0 0 %s\n", strings.Replace(c.name, "@", ".", 1), base64.StdEncoding.EncodeToString(c.Certificate.Raw))
			}
		}
	}
	return z.String()
}

// ldif is what one of the directories holds: an entry for each name, with all its certificates.
func (s *stage) ldif(at int) string {
	var l strings.Builder
	l.WriteString("dn: ou=dcdt\nobjectClass: organizationalUnit\nou: dcdt\n\n")
	byName, names := map[string][]*x509.Certificate{}, []string{}
	for n := 1; n <= 18; n++ {
		for _, c := range s.certificates[n] {
			if c.at != at {
				continue
			}
			if byName[c.name] == nil {
				names = append(names, c.name)
			}
			byName[c.name] = append(byName[c.name], c.Certificate)
		}
	}
	for _, name := range names {
		fmt.Fprintf(&l, "dn: cn=%s,ou=dcdt\nobjectClass: inetOrgPerson\ncn: %[1]s\nsn: %[1]s\nmail: %[1]s\n", name)
		for _, c := range byName[name] {
			fmt.Fprintf(&l, "userCertificate;binary:: %s\n", base64.StdEncoding.EncodeToString(c.Raw))
		}
		l.WriteString("\n")
	}
	return l.String()
}

// wanted are the certificates that the case wants the message sealed for.
func (s *stage) wanted(n int) (out []*x509.Certificate) {
	for _, c := range s.certificates[n] {
		if c.good {
			out = append(out, c.Certificate)
		}
	}
	return out
}

// label names a certificate of the stage in a complaint.
func (s *stage) label(c *x509.Certificate) string {
	for n, all := range s.certificates {
		for _, have := range all {
			if have.Certificate.Equal(c) {
				return fmt.Sprintf("D%d %s (place %d, until %s)", n, have.name, have.at, c.NotAfter.Format(time.DateOnly))
			}
		}
	}
	return hex.EncodeToString(c.SerialNumber.Bytes())
}
