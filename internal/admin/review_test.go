package admin

import (
	"errors"
	"strings"
	"testing"
	"time"

	"carepost/internal/audit"
	"carepost/internal/store"
	"carepost/internal/store/storetest"
	"carepost/internal/transit"
	"carepost/trust/certtest"
)

// What was found about an anchor's keeper is written down, and called again: once a month before, once when it is due. DIR-59.
func TestReviews(t *testing.T) {
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	db := storetest.SQLite(t)
	s := New(Options{Store: db, Clock: func() time.Time { return now }})
	must(t, db.Tx(t.Context(), func(tx *store.Tx) error { return tx.InsertDomain("north.example") }))
	ca := certtest.NewCA(t, "Network")
	said := &Evaluation{Assured: "passports are shown", Policies: []string{"2.5.29.32.0"}, By: "security officer", Review: now.AddDate(0, 3, 0)}
	_, err := s.AddAnchor(t.Context(), "test", NewAnchor{Certificate: ca.Certificate, Evaluation: said})
	must(t, err)
	told := func(want int) {
		t.Helper()
		fresh, err := s.Remind(t.Context(), "test")
		if err != nil || len(fresh) != want {
			t.Errorf("at %v: %d told, want %d, %v", now, len(fresh), want, err)
		}
	}
	told(0)
	now = now.AddDate(0, 2, 15)
	told(1)
	told(0)
	now = now.AddDate(0, 1, 0)
	told(1)
	told(0)
	all, err := s.Reviews(t.Context())
	if err != nil || len(all) != 1 || !all[0].Past || !strings.Contains(all[0].Words(), "CN=Network was to be evaluated again by 2027-02-22") {
		t.Errorf("%+v, %v", all, err)
	}
	_, err = s.AddAnchor(t.Context(), "test", NewAnchor{Certificate: ca.Certificate, Evaluation: &Evaluation{Assured: "as before", Review: now.AddDate(1, 0, 0)}})
	must(t, err)
	if all, err := s.Reviews(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("after the review: %+v, %v", all, err)
	}
	must(t, db.View(t.Context(), func(tx *store.Tx) error {
		n, err := audit.List(tx, audit.Filter{Action: "review.due"})
		again, err2 := audit.List(tx, audit.Filter{Action: "anchor.evaluate"})
		if len(n) != 2 || len(again) != 2 || again[0].Detail["evaluation"] != "as before" {
			t.Errorf("%v, %v", n, again)
		}
		return errors.Join(err, err2)
	}))
}

// One direction goes, the other stays.
func TestOneDirection(t *testing.T) {
	db := storetest.SQLite(t)
	s := New(Options{Store: db})
	must(t, db.Tx(t.Context(), func(tx *store.Tx) error { return tx.InsertDomain("north.example") }))
	ca := certtest.NewCA(t, "Network")
	both, err := s.AddAnchor(t.Context(), "test", NewAnchor{Certificate: ca.Certificate})
	must(t, err)
	must(t, s.RemoveAnchor(t.Context(), "test", both[0].ID, transit.Outbound))
	left, err := s.Anchors(t.Context(), "test", Owner{})
	if err != nil || len(left) != 1 || left[0].Direction != transit.Inbound {
		t.Errorf("%+v, %v", left, err)
	}
	if err := s.RemoveAnchor(t.Context(), "test", both[0].ID, transit.Outbound); !errors.Is(err, ErrNoAnchor) {
		t.Error(err)
	}
}

// What cannot be said of an anchor.
func TestEvaluationRefused(t *testing.T) {
	s := New(Options{Store: storetest.SQLite(t)})
	for what, e := range map[string]Evaluation{
		"nothing":          {By: "officer"},
		"no policy":        {Assured: "x", Policies: []string{"level 3"}},
		"a policy of none": {Assured: "x", Policies: []string{"1"}},
		"too long":         {Assured: strings.Repeat("x", 2001)},
		"a past review":    {Assured: "x", Review: time.Now().AddDate(0, 0, -1)},
		"many policies":    {Assured: "x", Policies: strings.Split(strings.Repeat("1.2.3 ", 21)+"1.2.3", " ")},
	} {
		var invalid *Invalid
		if _, err := s.Evaluated(&e); !errors.As(err, &invalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
