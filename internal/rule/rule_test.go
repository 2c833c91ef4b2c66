package rule_test

import (
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/rule"
	"carepost/internal/transit"
	"carepost/trust"
)

func TestOf(t *testing.T) {
	ours := addr.Address{Endpoint: "Lab", Domain: "north.example"}
	theirs := addr.Address{Endpoint: "desk", Domain: "south.example"}
	other := addr.Address{Endpoint: "desk", Domain: "sub.south.example"}
	strict := trust.V13
	yes, no := true, false
	south := rule.Who{Domains: map[addr.Domain]bool{"south.example": true}}
	lab := rule.Who{Addresses: map[string]bool{ours.Key(): true}}
	rs := rule.Rules{
		{For: lab, With: south, Direction: transit.Inbound, Size: 10, Hold: &no},
		{With: south, Profile: &strict, Size: 20, Accept: []string{"image/*"}},
		{Notices: rule.Never, Patience: time.Minute, Hold: &yes, Refuse: "closed"},
	}
	in := rs.Of(ours, theirs, transit.Inbound)
	if in.Size != 10 || in.Hold != &no || in.Profile != &strict || len(in.Accept) != 1 || in.Notices != rule.Never || in.Patience != time.Minute || in.Refuse != "closed" {
		t.Errorf("inbound: %+v", in)
	}
	if out := rs.Of(ours, theirs, transit.Outbound); out.Size != 20 || out.Hold != &yes {
		t.Errorf("outbound: %+v", out)
	}
	if of := rs.Of(ours, other, transit.Inbound); of.Size != 0 || of.Profile != nil || of.Accept != nil {
		t.Errorf("a domain below one that is named: %+v", of)
	}
	if of := rs.Of(addr.Address{Endpoint: "lab2", Domain: "north.example"}, theirs, transit.Inbound); of.Size != 20 {
		t.Errorf("another address: %+v", of)
	}
	if of := rule.Rules(nil).Of(ours, theirs, transit.Inbound); of.Refuse != "" || of.Hold != nil || of.Accept != nil || of.Size != 0 {
		t.Errorf("no rules demand something: %+v", of)
	}
}
