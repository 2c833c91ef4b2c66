package flow_test

import (
	"testing"

	"carepost/addr"
	"carepost/internal/flow"
	"carepost/internal/transit"
	"carepost/trust/certtest"
)

func (s *side) requests() []flow.Request {
	s.t.Helper()
	all, err := s.Requests(s.t.Context(), by)
	s.must(err)
	return all
}

// Whom an authority of ours has certified lacks no anchor: where it has revoked what is between them, nobody is asked to call him.
func TestNoIntroductionOfTheRevoked(t *testing.T) {
	server := certtest.NewServer(t)
	s := newSide(t)
	below := s.ca.Intermediate(t, "Below")
	below.Publish(t, server)
	theirs, unknown := below.Issue(t, lab.Domain.String()), certtest.NewCA(t, "Unknown").Issue(t, ward.Domain.String())
	s.others = map[addr.Domain]certtest.Pair{lab.Domain: theirs, ward.Domain: unknown}
	s.ca.Revoke(t, below.Certificate)
	for _, from := range []addr.Address{lab, ward} {
		id := s.accept(from, s.seal(letter(from, "hello", desk), s.others[from.Domain]))
		s.step("inbound")
		if r := s.recipient(id, desk); r.State != transit.Aside {
			t.Errorf("%s: %q", from.Domain, r.State)
		}
	}
	if all := s.requests(); len(all) != 1 || all[0].Sender != ward {
		t.Errorf("requests: %+v", all)
	}
}
