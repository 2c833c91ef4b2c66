package trust

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"time"
)

// Limits of one Question.
const (
	maxPath       = 8   // certificates, leaf and anchor included
	maxSignatures = 100 // signature checks while paths are looked for
	maxIssuers    = 8   // fetches by AIA
	maxIssuer     = 64 << 10
	maxCRLs       = 8 // fetches from CRL distribution points
	maxCRL        = 32 << 20
	issuerTime    = 12 * time.Second // from the first fetch by AIA on: strangers name those servers
	crlTime       = 24 * time.Second // from the first fetch of a CRL or OCSP answer on: below an anchor, issuers name those
	maxDeltas     = 2                // places where the deltas of one CRL are looked for
	share         = 3                // of these times, one fetch takes a third: two dead servers do not hide a third
)

// Judge answers Questions. It keeps bounded caches of CRLs, fetched issuers, checked signatures and paths that were found good, and
// is safe for concurrent use. The zero Judge fetches nothing.
type Judge struct {
	Fetcher Fetcher // nil: nothing is fetched; not to be changed after first use. One that is a Poster too asks OCSP responders with a nonce
	Shelf   Shelf   // where statuses outlive the process; nil: nowhere. Not to be changed after first use

	signatures signatureCache
	forms      signatureCache // of certificates that nothing is odd about
	issuers    issuerCache
	statuses   statusCache
	chains     chainCache
}

// NewJudge returns a Judge that fetches missing issuers and CRLs through f; nil fetches nothing.
func NewJudge(f Fetcher) *Judge { return &Judge{Fetcher: f} }

// inquiry is one Question on its way to a Verdict.
type inquiry struct {
	*Judge
	q     Question
	watch watch
	pool  pool

	signed, issuersFetched, crlsFetched int
	asked                               int      // OCSP responders
	given                               []*list  // Question.CRLs, once read
	comparisons, compared               int      // of names with name constraints, and their octets
	fetched                             []string // caIssuers URLs, each asked once
	issuersBy, crlsBy                   patience

	best   *Verdict // of the paths tried so far
	detour Check    // why the search could not go on somewhere; the first counts
	unsure Check    // what the network did not say, while the search was on
}

// patience is the time for one kind of fetch, counted from the first.
type patience struct {
	all    time.Duration
	ctx    context.Context
	cancel context.CancelFunc
}

// within is ctx until the time is over. All calls are for one inquiry, and so for one ctx.
func (p *patience) within(ctx context.Context) context.Context {
	if p.ctx == nil {
		p.ctx, p.cancel = context.WithTimeout(ctx, p.all)
	}
	return p.ctx
}

// fetch fetches by f, and gives up while there is time for another.
func (p *patience) fetch(ctx context.Context, f Fetcher, url string, max int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(p.within(ctx), p.all/share)
	defer cancel()
	return f.Fetch(ctx, url, max)
}

// post is fetch for OCSP.
func (p *patience) post(ctx context.Context, f Poster, url string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(p.within(ctx), p.all/share)
	defer cancel()
	return f.Post(ctx, url, "application/ocsp-request", body, maxOCSP)
}

func (p *patience) end() {
	if p.cancel != nil {
		p.cancel()
	}
}

// Judge answers q. It never fails: what cannot be known now is Undecided, a ctx that ends too. Equal questions over equal
// answers of the network get equal verdicts.
func (j *Judge) Judge(ctx context.Context, q Question) Verdict {
	if q.Certificate == nil {
		return Verdict{Status: Refused, Clause: clauseNoPath, Reason: "there is no certificate to judge"}
	}
	v := Verdict{Certificate: q.Certificate}
	// What only the certificate itself decides comes first: no path is sought, and nothing fetched, for one that cannot pass.
	var binding Check
	v.Binding, binding = bind(q.Certificate, q.Address, q.Policy)
	const who = "the certificate"
	for _, check := range []Check{
		binding, j.checkForm(q.Certificate, who, q.Tolerant), checkKey(q.Certificate, who, q.Policy), checkUsage(q.Certificate, q.Use),
		checkExtendedUsage(q.Certificate), checkFilter(q.Certificate, q.Filter),
		checkCritical(q.Certificate, who, true), checkDates(q.Certificate, who, q.Now), checkAlgorithm(q.Certificate, who),
	} {
		v.Checks = append(v.Checks, check)
		if check.Status == Refused {
			return v.close(check)
		}
	}
	key := chainKeyOf(q, v.Binding)
	if q.Trace == nil { // who listens wants to hear how a path is found
		if known, ok := j.known(ctx, key, q, v); ok {
			return known
		}
	}
	return j.inquire(ctx, key, q, v)
}

func (j *Judge) inquiry(q Question) *inquiry {
	return &inquiry{Judge: j, q: q, watch: watch{now: q.Now, until: q.Now.Add(chainAge)},
		issuersBy: patience{all: issuerTime}, crlsBy: patience{all: crlTime}}
}

func (in *inquiry) end() {
	in.issuersBy.end()
	in.crlsBy.end()
}

// inquire looks for a path. v has what is to be said of the certificate itself.
func (j *Judge) inquire(ctx context.Context, key chainKey, q Question, v Verdict) Verdict {
	in := j.inquiry(q)
	defer in.end()
	in.search(ctx, v)
	if ctx.Err() != nil && (in.best == nil || in.best.Status != Trusted) {
		return v.close(Check{"time", Undecided, clauseNoPath, "the inquiry was stopped before it came to an end"})
	}
	if in.best != nil {
		in.learn(key, len(v.Checks))
		return *in.best
	}
	return in.noPath(v)
}

// close ends the verdict with what c says.
func (v Verdict) close(c Check) Verdict {
	v.Status, v.Clause, v.Reason = c.Status, c.Clause, c.Evidence
	if !slices.Contains(v.Checks, c) {
		v.Checks = append(v.Checks, c)
	}
	return v
}

// noPath is the verdict when no path reaches an anchor (Direct 4.2.3 steps 2 and 3.3). What the network did not say may yet
// change it.
func (in *inquiry) noPath(v Verdict) Verdict {
	switch {
	case in.unsure.Name != "":
		return v.close(in.unsure)
	case in.detour.Name != "":
		return v.close(in.detour)
	case len(in.q.Anchors) == 0:
		return v.close(Check{"path", Refused, clauseAnchors, "this address trusts no anchor at all"})
	}
	return v.close(Check{"path", Refused, clauseNoPath, "no path leads from the certificate to an anchor of this address"})
}

// tried takes the verdict on a whole path and says whether the search is over. Trusted beats Undecided beats Refused; among equals
// the first stays.
func (in *inquiry) tried(v Verdict, final bool) (over bool) {
	rank := func(s Status) int { return [...]int{Undecided: 1, Trusted: 2, Refused: 0}[s] }
	if in.best == nil || rank(v.Status) > rank(in.best.Status) || final {
		in.best = &v
	}
	return v.Status == Trusted || final
}

// describe names the certificate at place i of a path for people. Names come from strangers: quoted, and cut.
func describe(path []*x509.Certificate, i int) string {
	role := "the issuer"
	switch {
	case i == 0:
		return "the certificate"
	case i == len(path)-1:
		role = "the anchor"
	}
	return fmt.Sprintf("%s %s", role, nameOf(path[i]))
}

func nameOf(c *x509.Certificate) string {
	name := c.Subject.CommonName
	if name == "" {
		name = c.Subject.String()
	}
	if len(name) > 64 {
		name = name[:64] + "…"
	}
	return fmt.Sprintf("%+q", name)
}
