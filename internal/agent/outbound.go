package agent

import (
	"context"
	"crypto/x509"
	"slices"
	"strings"
	"sync"
	"time"

	"carepost/addr"
	"carepost/cms"
	"carepost/discovery"
	"carepost/trust"
)

const (
	maxLookups = 128             // recipients looked up at a time: each waits for the network
	maxJudges  = 8               // judged at a time, as their certificates come: that is work
	maxGroup   = 100             // recipients sealed together, and
	maxSealed  = 200             // certificates they are sealed for: readers have limits of their own (package cms: 1000)
	lookupTime = 5 * time.Minute // for all recipients of one message; who is left is asked about again
)

// Outgoing is a message on its way out, as far as the decision needs it.
type Outgoing struct {
	To    []addr.Address // the envelope's, not yet decided
	Named []addr.Address // whom To and Cc name; the others are blind and sealed apart (DIR-10)
	Now   time.Time
	// Announced, if set, tells what the holder of a recipient's certificate has announced that it reads, in the newest signed message
	// that was received from that address; nil: nothing.
	Announced func(addr.Address, *x509.Certificate) []cms.Algorithm
	// Progress, if set, is told of every recipient decided; an error ends the work, and who is left is undecided.
	Progress func() error
}

// Group is recipients of one destination domain, sealed together.
type Group struct {
	Domain       addr.Domain
	To           []addr.Address
	Certificates []*x509.Certificate // of all of them, each once
	Encryption   cms.Encryption      // how it is sealed
	Policy       trust.Policy        // by which it was decided
	SMIME        bool                // it is not wrapped (PS3.15 B.8)
	Blind        bool                // its one recipient is not named in the message

	members []int // of To, in Decision.Recipients
}

// Decision says for every recipient whether the message may go to it, and how those that may are sealed.
type Decision struct {
	Groups     []Group
	Recipients []Judged // in the order asked
}

// Outbound decides about recipients, each on its own: one bad recipient never holds back the good (Direct 2.3, 4.2.2).
// from is whose anchors the Party holds.
func (a *Agent) Outbound(ctx context.Context, from Party, m Outgoing) Decision {
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	d := Decision{Recipients: make([]Judged, len(m.To))}
	blind := m.blind()
	slots, judges := make(chan struct{}, maxLookups), make(chan struct{}, maxJudges)
	var wg sync.WaitGroup
	for i, rcpt := range m.To {
		slots <- struct{}{}
		wg.Go(func() {
			j := &d.Recipients[i]
			var unnamed trust.Verdict
			if blind[i] {
				unnamed = from.unnamed()
			}
			found := a.search(ctx, from, m, unnamed, rcpt, j)
			judges <- struct{}{}
			<-slots // held until here: who looks does not run far ahead of who judges
			if len(found) > 0 {
				a.judge(ctx, from, found, m.Now, j)
				j.Verdict.Checks = slices.Concat(j.Verdict.Checks, unnamed.Checks)
			}
			<-judges
			if m.Progress != nil && m.Progress() != nil {
				cancel()
			}
		})
	}
	wg.Wait()
	for i := range d.Recipients {
		if d.Recipients[i].Verdict.Status == trust.Trusted {
			d.add(i, blind[i])
		}
	}
	for i := range d.Groups {
		g := &d.Groups[i]
		g.Encryption, g.Policy, g.SMIME = from.encryption(m, d.of(*g)), from.Policy, from.SMIME
	}
	return d
}

// of are the recipients of a group.
func (d *Decision) of(g Group) (out []*Judged) {
	for _, i := range g.members {
		out = append(out, &d.Recipients[i])
	}
	return out
}

// blind says of each recipient whether the message does not name it.
func (m Outgoing) blind() []bool {
	named := make(map[string]bool, len(m.Named))
	for _, a := range m.Named {
		named[a.Key()] = true
	}
	out := make([]bool, len(m.To))
	for i, a := range m.To {
		out[i] = !named[a.Key()]
	}
	return out
}

// search finds what one recipient is to be judged by: nothing where it is decided without.
func (a *Agent) search(ctx context.Context, from Party, m Outgoing, unnamed trust.Verdict, to addr.Address, j *Judged) []discovery.Found {
	j.Address = to
	if unnamed.Status == trust.Refused { // nobody needs to be asked
		j.Verdict = unnamed
		return nil
	}
	if found := from.pinned(to, m.Now); len(found) > 0 {
		return found
	}
	return a.lookup(ctx, to, j)
}

// lookup finds the certificates of one recipient. Without any it is decided.
func (a *Agent) lookup(ctx context.Context, to addr.Address, j *Judged) []discovery.Found {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	if ctx.Err() != nil {
		j.Verdict = undecided("there was no time to look for a certificate")
		return nil
	}
	found, steps, err := a.Directory.Lookup(ctx, to)
	j.Steps = steps
	switch {
	case err != nil:
		j.Verdict = undecided("the directory of " + to.Domain.String() + " gave no answer")
		return nil
	case len(found) == 0:
		j.Verdict = refuse("Direct 2.3", "no certificate is published for this address or its domain")
		return nil
	}
	return found
}

// judge judges the certificates found for one recipient.
func (a *Agent) judge(ctx context.Context, from Party, found []discovery.Found, now time.Time, j *Judged) {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	if ctx.Err() != nil {
		j.Verdict = undecided("there was no time to judge the certificates")
		return
	}
	budget := trust.NewBudget(maxRecipientFetches)
	for i, f := range found {
		v := a.encryptable(ctx, from, j.Address, f.Certificate, now, budget)
		if v.Status == trust.Trusted {
			j.Found = append(j.Found, f)
		}
		if i == 0 || rank(v) > rank(j.Verdict) {
			j.Verdict = v
		}
	}
}

// encryptable is the verdict on one certificate of a recipient. A trusted key that we cannot encrypt to is of no use.
func (a *Agent) encryptable(ctx context.Context, from Party, to addr.Address, cert *x509.Certificate, now time.Time, budget *trust.Budget) trust.Verdict {
	q := from.ask(cert, to, budget)
	q.Use, q.Now = trust.Encryption, now
	v := a.Judge.Judge(ctx, q)
	if holds, why := from.Filters.Encrypt.Holds(cert); v.Status == trust.Trusted && !holds {
		v.Status, v.Clause, v.Reason = trust.Refused, "policy of the installation", "nothing is encrypted to this certificate: "+why
	}
	if v.Status == trust.Trusted && !from.encrypts(cert) {
		v.Status, v.Clause, v.Reason = trust.Refused, "RFC 8551 §2.3", "the certificate's key is of a kind that nothing can be encrypted to here"
	}
	return v
}

// rank orders verdicts: one trusted certificate suffices; while one is undecided, refusing would be rash.
func rank(v trust.Verdict) int {
	switch v.Status {
	case trust.Trusted:
		return 2
	case trust.Refused:
		return 0
	}
	return 1
}

// add puts a trusted recipient into a group of its domain. Whom the message does not name is alone in his: the others of his
// domain are not to learn of him (DIR-10).
func (d *Decision) add(member int, blind bool) {
	j := &d.Recipients[member]
	i := slices.IndexFunc(d.Groups, func(g Group) bool {
		return !blind && !g.Blind && g.Domain == j.Address.Domain && len(g.To) < maxGroup && g.takes(j.Found)
	})
	if i < 0 {
		d.Groups = append(d.Groups, Group{Domain: j.Address.Domain, Blind: blind})
		i = len(d.Groups) - 1
	}
	g := &d.Groups[i]
	g.To, g.members = append(g.To, j.Address), append(g.members, member)
	for _, f := range j.Found {
		if !slices.ContainsFunc(g.Certificates, func(c *x509.Certificate) bool { return sameName(c, f.Certificate) }) {
			g.Certificates = append(g.Certificates, f.Certificate)
		}
	}
}

// takes says whether a group may be sealed for these certificates too. One that shares its name with another's key must not be left
// out: who holds it could not open the message.
func (g Group) takes(found []discovery.Found) bool {
	more := 0
	for _, f := range found {
		i := slices.IndexFunc(g.Certificates, func(c *x509.Certificate) bool { return sameName(c, f.Certificate) })
		switch {
		case i < 0:
			more++
		case !g.Certificates[i].Equal(f.Certificate):
			return false
		}
	}
	return len(g.Certificates)+more <= maxSealed
}

// sameName says that two certificates are one to a RecipientInfo (RFC 5652 §6.2.1: issuer and serial number).
func sameName(a, b *x509.Certificate) bool {
	return a.SerialNumber.Cmp(b.SerialNumber) == 0 && string(a.RawIssuer) == string(b.RawIssuer)
}

// Where says in words where the certificates were found: "DNS CERT practice.example", "LDAP directory.practice.example:389".
func Where(found []discovery.Found) string {
	if len(found) == 0 {
		return ""
	}
	f, name := found[0], found[0].Name
	if f.Server != "" {
		name = f.Server
	}
	where := strings.TrimSpace(f.Source + " " + name)
	if f.Stale {
		where += ", outdated"
	}
	return where
}
