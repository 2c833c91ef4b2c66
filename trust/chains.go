package trust

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"slices"
	"sync"
	"time"
)

// A path that was found good is not looked for again for ten minutes of the questions' time, or until the first moment at which
// anything in it could change. 2048 of them are kept, 4 KiB each; certificates that were given with the question are not among that.
const (
	chainAge  = 10 * time.Minute
	maxChains = 2048
)

// chainCache remembers the trusted end of inquiries. What refuses or is undecided is not kept: it may be mended at any moment. A
// verdict from here is the one that the inquiry would come to again, evidence included: the key holds everything that was given, and
// the entry everything that was fetched and every date that was looked at.
type chainCache struct {
	mu sync.Mutex
	m  map[chainKey]*chain
}

// chainKey stands for everything given that the search for a path depends on, but for the moment. All candidates count, not only those
// of the path: others could have led elsewhere.
type chainKey [sha256.Size]byte

func chainKeyOf(q Question, b Binding) (key chainKey) {
	h := sha256.New()
	h.Write([]byte{byte(q.Use), byte(q.Policy), byte(b), flag(q.Tolerant), byte(q.Revocation.Unknown)})
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(q.Revocation.Grace)))
	h.Write([]byte(q.Policies.key()))
	filter := sha256.Sum256([]byte(q.Filter.String()))
	h.Write(filter[:])
	h.Write(q.Certificate.Raw) // DER: it tells its own length
	some := func(n int) { h.Write(binary.BigEndian.AppendUint32(nil, uint32(n))) }
	for _, certs := range [][]*x509.Certificate{q.Anchors, q.Intermediates} {
		some(len(certs))
		for _, c := range certs {
			if c == nil {
				h.Write([]byte{0}) // no DER: it has a place all the same
				continue
			}
			h.Write(c.Raw)
		}
	}
	some(len(q.CRLs))
	for _, l := range q.CRLs {
		if l != nil {
			h.Write(l.Raw)
		}
	}
	h.Sum(key[:0])
	return key
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// chain is the trusted end of an inquiry: what came after the checks of the certificate itself.
type chain struct {
	made, until time.Time
	checks      []Check
	path        []link
	reason      Check // which closed it
	statuses    []keptStatus
	issuers     []keptIssuers
}

// link is a certificate of a path: the one at a place in the question, or a fetched one.
type link struct {
	at      int // in the order of given
	fetched *x509.Certificate
}

// given are the certificates of a question in their order.
func given(q Question) []*x509.Certificate {
	return slices.Concat([]*x509.Certificate{q.Certificate}, q.Anchors, q.Intermediates)
}

// watch notes what the answer to a question hangs on beside the question.
type watch struct {
	now, until time.Time // before until no comparison with the time has another outcome
	statuses   []keptStatus
	issuers    []keptIssuers
	fleeting   bool // something was asked of the network that may be answered otherwise next time
}

// keptStatus is what was kept from there when it was last looked at: nil if there was nothing.
type keptStatus struct {
	from  source
	kept  *kept
	fresh bool
}

// status notes what was kept from there.
func (w *watch) status(from source, k *kept, fresh bool) {
	for i := range w.statuses {
		if w.statuses[i].from == from {
			w.statuses[i] = keptStatus{from, k, fresh}
			return
		}
	}
	w.statuses = append(w.statuses, keptStatus{from, k, fresh})
}

type keptIssuers struct {
	url   string
	certs []*x509.Certificate
}

// moments notes times with which Now is compared.
func (w *watch) moments(ts ...time.Time) {
	for _, t := range ts {
		if !t.Before(w.now) && t.Before(w.until) {
			w.until = t
		}
	}
}

// holds says whether the outcome is still the same at now, by the dates and by what the caches hold.
func (c *chain) holds(j *Judge, now time.Time) bool {
	if now.Before(c.made) || now.After(c.made) && !now.Before(c.until) {
		return false
	}
	for _, k := range c.statuses {
		if is, fresh := j.statuses.get(k.from, now); is != k.kept || fresh != k.fresh {
			return false
		}
	}
	for _, k := range c.issuers {
		if certs, ok := j.issuers.get(k.url, now); !ok || !slices.Equal(certs, k.certs) {
			return false
		}
	}
	return true
}

// known answers q by an earlier inquiry, if there is one that still holds. v has the checks of the certificate itself.
func (j *Judge) known(ctx context.Context, key chainKey, q Question, v Verdict) (Verdict, bool) {
	j.chains.mu.Lock()
	c := j.chains.m[key]
	j.chains.mu.Unlock()
	if c == nil || ctx.Err() != nil || !c.holds(j, q.Now) {
		return v, false
	}
	at := given(q)
	v.Path = make([]*x509.Certificate, len(c.path))
	for i, l := range c.path {
		if v.Path[i] = l.fetched; l.fetched == nil {
			v.Path[i] = at[l.at]
		}
	}
	v.Anchor = v.Path[len(v.Path)-1]
	v.Checks = slices.Concat(v.Checks, c.checks)
	v.Status, v.Clause, v.Reason = c.reason.Status, c.reason.Clause, c.reason.Evidence
	return v, true
}

// learn keeps how the inquiry ended. own is how many checks were about the certificate itself.
func (in *inquiry) learn(key chainKey, own int) {
	v := in.best
	if v == nil || v.Status != Trusted || in.watch.fleeting {
		return
	}
	c := &chain{
		made: in.q.Now, until: in.watch.until, statuses: in.watch.statuses, issuers: in.watch.issuers,
		checks: slices.Clone(v.Checks[own:]), reason: Check{Status: v.Status, Clause: v.Clause, Evidence: v.Reason},
	}
	at := given(in.q)
	for _, cert := range v.Path {
		l := link{at: slices.Index(at, cert)}
		if l.at < 0 {
			l.fetched = cert
		}
		c.path = append(c.path, l)
	}
	in.chains.mu.Lock()
	defer in.chains.mu.Unlock()
	if in.chains.m == nil || len(in.chains.m) >= maxChains {
		in.chains.m = map[chainKey]*chain{} // as for signatures
	}
	in.chains.m[key] = c
}
