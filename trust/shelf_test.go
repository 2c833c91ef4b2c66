package trust_test

import (
	"context"
	"crypto/x509"
	"errors"
	"math/big"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"carepost/trust"
	"carepost/trust/certtest"
)

// ledger is a Shelf in memory.
type ledger struct {
	mu   sync.Mutex
	rows map[[32]byte]trust.Stored
	err  error
}

func (l *ledger) Load(_ context.Context, name [32]byte) (trust.Stored, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, ok := l.rows[name]
	if !ok {
		return s, errors.Join(trust.ErrAbsent, l.err)
	}
	return s, l.err
}

func (l *ledger) Save(_ context.Context, name [32]byte, s trust.Stored) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rows == nil {
		l.rows = map[[32]byte]trust.Stored{}
	}
	l.rows[name] = s
	return l.err
}

func (l *ledger) Recent(_ context.Context, since time.Time, most int) (out []trust.Stored, _ error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.rows {
		if !s.Used.Before(since) {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b trust.Stored) int { return b.Used.Compare(a.Used) })
	return out[:min(len(out), most)], l.err
}

// status is an authority whose list or OCSP answer, good for a day, is all that a URL gives; nil: nothing comes.
type status struct {
	*certtest.CA
	leaf  *x509.Certificate
	mu    sync.Mutex
	body  []byte
	asked int
}

func (s *status) Fetch(context.Context, string, int64) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked++; s.body == nil {
		return nil, errors.New("no answer")
	}
	return s.body, nil
}

func newStatus(t *testing.T, byOCSP bool) *status {
	s := &status{CA: certtest.NewCA(t, "R")}
	s.leaf = s.Issue(t, "lab@h.example", func(c *x509.Certificate) {
		if c.OCSPServer = []string{"http://h.example/o"}; !byOCSP {
			c.OCSPServer, c.CRLDistributionPoints = nil, []string{"http://h.example/r.crl"}
		}
	}).Certificate
	return s
}

// publish makes what the URL gives from then on.
func (s *status) publish(t *testing.T, byOCSP bool, at time.Time, revoked bool) {
	t.Helper()
	var body []byte
	if byOCSP {
		r := ocsp.Response{Status: ocsp.Good, SerialNumber: s.leaf.SerialNumber, ThisUpdate: at, NextUpdate: at.Add(day)}
		if revoked {
			r.Status, r.RevokedAt, r.RevocationReason = ocsp.Revoked, at, ocsp.KeyCompromise
		}
		var err error
		if body, err = ocsp.CreateResponse(s.Certificate, s.Certificate, r, s.Key); err != nil {
			t.Fatal(err)
		}
	} else {
		var gone []*x509.Certificate
		if revoked {
			gone = append(gone, s.leaf)
		}
		body = s.EditedCRL(t, func(l *x509.RevocationList) {
			l.Number, l.ThisUpdate, l.NextUpdate = big.NewInt(at.Unix()), at, at.Add(day)
		}, gone...).Raw
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.body = body
}

func (s *status) judge(t *testing.T, j *trust.Judge, at time.Time) trust.Status {
	t.Helper()
	return j.Judge(t.Context(), trust.Question{Certificate: s.leaf, Address: lab, Now: at, Anchors: []*x509.Certificate{s.Certificate}}).Status
}

func (s *status) fetches() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, s.asked = s.asked, 0
	return n
}

const day = 24 * time.Hour

// both runs a test with lists and with OCSP answers.
func both(t *testing.T, f func(t *testing.T, byOCSP bool)) {
	t.Run("list", func(t *testing.T) { f(t, false) })
	t.Run("OCSP", func(t *testing.T) { f(t, true) })
}

// What was fetched outlives the process: it serves where nothing can be fetched, to its own end and no further, and an older one does not
// take its place. DIR-33. ATT-23.
func TestStatusesOutliveTheProcess(t *testing.T) {
	both(t, func(t *testing.T, byOCSP bool) {
		s, shelf := newStatus(t, byOCSP), &ledger{}
		start := func() *trust.Judge { j := trust.NewJudge(s); j.Shelf = shelf; return j }
		s.publish(t, byOCSP, now, false)
		if got := s.judge(t, start(), now); got != trust.Trusted || s.fetches() != 1 || len(shelf.rows) != 1 {
			t.Fatalf("%v, %d on the shelf", got, len(shelf.rows))
		}
		s.body = nil
		if got := s.judge(t, start(), now.Add(time.Minute)); got != trust.Trusted || s.fetches() != 0 {
			t.Errorf("after a restart: %v", got)
		}
		if got := s.judge(t, start(), now.Add(20*time.Hour)); got != trust.Trusted || s.fetches() != 1 {
			t.Errorf("the same day, and nothing to be had: %v", got)
		}
		if got := s.judge(t, start(), now.Add(25*time.Hour)); got != trust.Undecided {
			t.Errorf("a day later, and nothing to be had: %v", got)
		}
		s.fetches()

		old := func() { s.publish(t, byOCSP, now, false) }
		s.publish(t, byOCSP, now.Add(2*time.Hour), true)
		if got := s.judge(t, start(), now.Add(2*time.Hour)); got != trust.Refused {
			t.Fatalf("revoked: %v", got)
		}
		old() // whoever sits on the line gives the old answer, which is good for hours yet
		if got := s.judge(t, start(), now.Add(4*time.Hour)); got != trust.Refused {
			t.Errorf("an older status undid a revocation after a restart: %v", got)
		}
		j := start()
		if err := j.Restore(t.Context(), now, now.Add(4*time.Hour)); err != nil {
			t.Fatal(err)
		}
		j.Refresh(t.Context(), now.Add(4*time.Hour))
		if got := s.judge(t, start(), now.Add(5*time.Hour)); got != trust.Refused {
			t.Errorf("an older status undid a revocation by a refresh: %v", got)
		}
	})
}

// What lies on a shelf is proven before it is used: an answer of somebody else, about somebody else, or cut, is none. An error of the shelf
// costs a fetch, and no verdict.
func TestShelfIsNotTrusted(t *testing.T) {
	both(t, func(t *testing.T, byOCSP bool) {
		s, other, shelf := newStatus(t, byOCSP), newStatus(t, byOCSP), &ledger{}
		s.publish(t, byOCSP, now, true)
		other.publish(t, byOCSP, now, false)
		j := trust.NewJudge(s)
		j.Shelf = shelf
		if got := s.judge(t, j, now); got != trust.Refused || len(shelf.rows) != 1 {
			t.Fatalf("%v, %d rows", got, len(shelf.rows))
		}
		var name [32]byte
		for n := range shelf.rows {
			name = n
		}
		good := shelf.rows[name]
		for what, edit := range map[string]func(*trust.Stored){
			"another's":        func(r *trust.Stored) { r.Body = other.body },
			"another's, whole": func(r *trust.Stored) { r.Body, r.Issuer, r.Subject = other.body, other.Certificate.Raw, nil },
			"cut":              func(r *trust.Stored) { r.Body = r.Body[:len(r.Body)/2] },
			"empty":            func(r *trust.Stored) { r.Body = nil },
			"a changed bit":    func(r *trust.Stored) { r.Body = slices.Clone(r.Body); r.Body[len(r.Body)-20] ^= 1 },
			"another URL":      func(r *trust.Stored) { r.URL += "x" },
			"no issuer":        func(r *trust.Stored) { r.Issuer, r.Body = nil, other.body },
		} {
			row := good
			edit(&row)
			shelf.rows[name] = row
			j := trust.NewJudge(s)
			j.Shelf = shelf
			if err := j.Restore(t.Context(), time.Time{}, now); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			if got := s.judge(t, j, now); got != trust.Refused {
				t.Errorf("%s: %v", what, got)
			}
		}
		shelf.err = errors.New("the disk is full")
		j = trust.NewJudge(s)
		j.Shelf = shelf
		if got := s.judge(t, j, now); got != trust.Refused {
			t.Errorf("a broken shelf: %v", got)
		}
		if err := j.Restore(t.Context(), now, now); !errors.Is(err, shelf.err) {
			t.Errorf("a broken shelf: %v", err)
		}
	})
}

// What is in use is fetched before it ends, also what was fetched by the process before; what nobody uses is not, and a server that is away
// is asked again no sooner than in five minutes. DIR-33.
func TestRefresh(t *testing.T) {
	both(t, func(t *testing.T, byOCSP bool) {
		s, shelf := newStatus(t, byOCSP), &ledger{}
		before := trust.NewJudge(s)
		before.Shelf = shelf
		s.publish(t, byOCSP, now, false)
		if got := s.judge(t, before, now); got != trust.Trusted {
			t.Fatal(got)
		}
		s.fetches()
		j := trust.NewJudge(s)
		j.Shelf = shelf
		round := func(after time.Duration, replaced, failed int) {
			t.Helper()
			if r, f := j.Refresh(t.Context(), now.Add(after)); r != replaced || f != failed {
				t.Errorf("after %v: %d replaced, %d failed; want %d, %d", after, r, f, replaced, failed)
			}
		}
		round(23*time.Hour, 0, 0) // nothing is known yet
		if err := j.Restore(t.Context(), now.Add(-time.Minute), now.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		round(time.Minute, 0, 0)
		round(10*time.Hour, 0, 0)
		s.body = nil
		round(23*time.Hour, 0, 1)
		round(23*time.Hour+time.Minute, 0, 0)
		s.publish(t, byOCSP, now.Add(23*time.Hour), false)
		round(23*time.Hour+6*time.Minute, 1, 0)
		s.fetches()
		s.body = nil
		if got := s.judge(t, j, now.Add(23*time.Hour+7*time.Minute)); got != trust.Trusted || s.fetches() != 0 {
			t.Errorf("after the refresh: %v", got)
		}
		if got := s.judge(t, j, now.Add(30*time.Hour)); got != trust.Trusted {
			t.Errorf("beyond the end of the first one: %v", got)
		}
		s.publish(t, byOCSP, now.Add(47*time.Hour), true)
		round(47*time.Hour, 1, 0)
		s.body = nil
		if got := s.judge(t, j, now.Add(47*time.Hour)); got != trust.Refused {
			t.Errorf("a remembered verdict outlives the status: %v", got)
		}
		s.publish(t, byOCSP, now.Add(30*day), true)
		round(30*day, 0, 0) // used a month ago
	})
}
