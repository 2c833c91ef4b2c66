package trust

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"crypto/x509"
	"slices"
)

// pool holds the certificates at hand, without any trust in them but for the anchors.
type pool struct {
	watch    *watch
	byName   map[string][]*candidate // by the canonical form of the subject, best first
	anchors  map[[32]byte]bool
	seen     map[[32]byte]bool
	capacity int
}

type candidate struct {
	cert   *x509.Certificate
	hash   [32]byte
	anchor bool
}

// maxCandidates bounds what a message can make us hold and compare.
const maxCandidates = 256

func newPool(q Question, w *watch) pool {
	p := pool{watch: w, byName: map[string][]*candidate{}, anchors: map[[32]byte]bool{}, seen: map[[32]byte]bool{}, capacity: maxCandidates}
	for _, c := range q.Anchors {
		if c != nil {
			p.anchors[sha256.Sum256(c.Raw)] = true
		}
	}
	for _, c := range q.Anchors { // however many: they are ours
		p.add(c)
	}
	for _, c := range q.Intermediates {
		p.add(c)
	}
	return p
}

// add puts c in its place and says whether it is new.
func (p *pool) add(c *x509.Certificate) bool {
	if c == nil {
		return false
	}
	n := &candidate{cert: c, hash: sha256.Sum256(c.Raw)}
	n.anchor = p.anchors[n.hash]
	if p.seen[n.hash] || !n.anchor && p.capacity == 0 {
		return false
	}
	if !n.anchor {
		p.capacity--
	}
	p.seen[n.hash] = true
	p.watch.moments(c.NotBefore, c.NotAfter) // by which they are put in order, and judged
	name := canonical(c.RawSubject)
	p.byName[name] = append(p.byName[name], n)
	slices.SortFunc(p.byName[name], p.order)
	return true
}

// order puts anchors first, then what is in its dates, then what lasts longest. The hash makes it total: the order in which
// candidates came does not change a verdict.
func (p *pool) order(a, b *candidate) int {
	rank := func(c *candidate) int {
		switch {
		case c.anchor:
			return 0
		case !p.watch.now.Before(c.cert.NotBefore) && !p.watch.now.After(c.cert.NotAfter):
			return 1
		}
		return 2
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), b.cert.NotAfter.Compare(a.cert.NotAfter), bytes.Compare(a.hash[:], b.hash[:]))
}

func (p *pool) isAnchor(c *x509.Certificate) bool { return p.anchors[sha256.Sum256(c.Raw)] }

// issuers are the candidates that bear the name of c's issuer; those whose key identifier agrees come first. The identifier is a
// hint and no more: what counts is the signature.
func (p *pool) issuers(c *x509.Certificate) []*x509.Certificate {
	var agree, others []*x509.Certificate
	for _, i := range p.byName[canonical(c.RawIssuer)] {
		if len(c.AuthorityKeyId) == 0 || bytes.Equal(c.AuthorityKeyId, i.cert.SubjectKeyId) {
			agree = append(agree, i.cert)
		} else {
			others = append(others, i.cert)
		}
	}
	return append(agree, others...)
}
