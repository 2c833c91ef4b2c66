package agent

import (
	"context"
	"crypto/x509"
	"slices"
	"sync"
	"time"

	"carepost/addr"
	"carepost/discovery"
	"carepost/trust"
)

// maxLookups is how many recipients are looked up at a time.
const maxLookups = 8

// Group is the recipients of one destination domain, sealed together.
type Group struct {
	Domain       addr.Domain
	To           []addr.Address
	Certificates []*x509.Certificate // of all of them, each once
}

// Decision says for every recipient whether the message may go to it, and how those that may are sealed.
type Decision struct {
	Groups     []Group
	Recipients []Judged // in the order asked
}

// Outbound decides about recipients, each on its own: one bad recipient never holds back the good (Direct 2.3, 4.2.2).
// from is whose anchors the Party holds.
func (a *Agent) Outbound(ctx context.Context, from Party, to []addr.Address, now time.Time) Decision {
	d := Decision{Recipients: make([]Judged, len(to))}
	slots := make(chan struct{}, maxLookups)
	var wg sync.WaitGroup
	for i, rcpt := range to {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			d.Recipients[i] = a.recipient(ctx, from, rcpt, now)
		})
	}
	wg.Wait()
	for _, j := range d.Recipients {
		if j.Verdict.Status == trust.Trusted {
			d.add(j)
		}
	}
	return d
}

// recipient finds and judges the certificates of one recipient.
func (a *Agent) recipient(ctx context.Context, from Party, to addr.Address, now time.Time) Judged {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	j := Judged{Address: to}
	found, steps, err := a.Directory.Lookup(ctx, to)
	j.Steps = steps
	switch {
	case err != nil:
		j.Verdict = undecided("the directory of " + to.Domain.String() + " gave no answer")
		return j
	case len(found) == 0:
		j.Verdict = refuse("Direct 2.3", "no certificate is published for this address or its domain")
		return j
	}
	for _, f := range found {
		v := a.Judge.Judge(ctx, trust.Question{
			Certificate: f.Certificate, Address: to, Anchors: from.Anchors, Intermediates: from.Intermediates,
			Use: trust.Encryption, Now: now, Policy: from.Policy,
		})
		if v.Status == trust.Trusted {
			j.Found = append(j.Found, f)
		}
		j.Verdict = better(j.Verdict, v)
	}
	return j
}

// better keeps the verdict that decides: one trusted certificate suffices; while one is undecided, refusing would be rash.
func better(a, b trust.Verdict) trust.Verdict {
	rank := func(v trust.Verdict) int {
		switch {
		case v.Status == trust.Trusted:
			return 3
		case v.Status == trust.Undecided && v.Reason != "":
			return 2
		case v.Status == trust.Refused:
			return 1
		}
		return 0
	}
	if rank(b) > rank(a) {
		return b
	}
	return a
}

func (d *Decision) add(j Judged) {
	i := slices.IndexFunc(d.Groups, func(g Group) bool { return g.Domain == j.Address.Domain })
	if i < 0 {
		d.Groups = append(d.Groups, Group{Domain: j.Address.Domain})
		i = len(d.Groups) - 1
	}
	g := &d.Groups[i]
	g.To = append(g.To, j.Address)
	for _, f := range j.Found {
		if !slices.ContainsFunc(g.Certificates, f.Certificate.Equal) {
			g.Certificates = append(g.Certificates, f.Certificate)
		}
	}
}

// Where says in words where the certificates were found: "DNS CERT practice.example".
func Where(found []discovery.Found) string {
	if len(found) == 0 {
		return ""
	}
	return found[0].Source + " " + found[0].Name
}
