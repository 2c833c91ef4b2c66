package flow_test

import (
	"testing"
	"time"

	"carepost/trust/certtest"
)

// DIR-11: the certificate of a trusted signer is kept where that is wanted, for its own address alone, and until it ends.
func TestRemembered(t *testing.T) {
	s := newSide(t)
	theirs, his := s.others[lab.Domain], s.others[ward.Domain]
	count := func() int {
		t.Helper()
		cs, err := s.Flow.Remembered(t.Context(), desk.Domain, lab)
		s.must(err)
		return len(cs)
	}
	s.open(lab, "unasked", nil, theirs)
	if n := count(); n != 0 {
		t.Errorf("%d kept, and nobody wanted it", n)
	}
	s.Flow.Remember = true
	s.open(lab, "wanted", nil, theirs, his)
	s.open(lab, "stranger", nil, certtest.NewCA(t, "Strange CA").Issue(t, lab.String()))
	cs, err := s.Flow.Remembered(t.Context(), desk.Domain, lab)
	s.must(err)
	if len(cs) != 1 || !cs[0].Equal(theirs.Certificate) {
		t.Errorf("%d kept", len(cs))
	}
	if cs, err := s.Flow.Remembered(t.Context(), ward.Domain, lab); err != nil || len(cs) != 0 {
		t.Errorf("known to another domain: %v, %v", cs, err)
	}
	s.now = theirs.Certificate.NotAfter.Add(time.Hour)
	if n := count(); n != 0 {
		t.Errorf("%d that have ended", n)
	}
}
