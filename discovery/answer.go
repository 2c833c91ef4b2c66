package discovery

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"carepost/addr"
	"carepost/resolver"
	"carepost/trust"
)

// answer is what one question yields, whoever's certificates these are.
type answer struct {
	certs   []published
	notes   []string
	times   map[string]int // how often each note was made
	pending error          // a certificate is published here, and could not be got now
	steps   []Step         // on the way to it: servers that were passed over
	server  string         // that gave it
	servers []resolver.SRV // SRV
	bases   []string       // of a server
	dnssec  bool
	ttl     time.Duration
}

// published is one certificate.
type published struct {
	cert       *x509.Certificate
	url, entry string
}

// published says that there is something to keep.
func (a *answer) published() bool { return len(a.certs) > 0 || len(a.servers) > 0 || len(a.bases) > 0 }

func (a *answer) size() int {
	n := perAnswer
	for _, p := range a.certs {
		n += perCert * len(p.cert.Raw)
	}
	return n
}

func (a *answer) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if a.times == nil {
		a.times = map[string]int{}
	}
	if a.times[text]++; a.times[text] == 1 {
		a.notes = append(a.notes, text)
	}
}

func (a *answer) add(p published) {
	if !slices.ContainsFunc(a.certs, func(q published) bool { return q.cert.Equal(p.cert) }) {
		a.certs = append(a.certs, p)
	}
}

// of picks the certificates of one address, and tells in words what there is.
func (a *answer) of(who addr.Address) (mine []published, bindings []trust.Binding, outcome string) {
	told := answer{notes: slices.Clone(a.notes), times: map[string]int{}}
	for k, n := range a.times {
		told.times[k] = n
	}
	var kinds []string
	for _, p := range a.certs {
		binding, why := trust.Names(p.cert, who)
		if binding == trust.Unbound {
			told.note("a certificate of somebody else (Direct 4.1, 5.1): %s", why)
			continue
		}
		mine, bindings, kinds = append(mine, p), append(bindings, binding), append(kinds, binding.String())
	}
	first := "no certificate of use"
	if n := len(mine); n > 0 {
		slices.Sort(kinds)
		first = counted(n, "certificate") + ", " + strings.Join(slices.Compact(kinds), " and ")
	}
	parts := []string{first}
	for _, note := range told.notes {
		if n := told.times[note]; n > 1 {
			note += fmt.Sprintf(" (%d times)", n)
		}
		parts = append(parts, note)
	}
	return mine, bindings, strings.Join(parts, "; ")
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
