package admin

import (
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/audit"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/trust/certtest"
)

// What ends is told at 30, 14, 7 and 1 days and when it has ended, each step once, also by another node and after a new start; what was
// passed over while nothing ran is told once. It is listed until somebody has done something about it. DIR-06, RFC 5280 §4.1.2.5.
func TestEndings(t *testing.T) {
	s := keeper(t)
	now := s.clock()
	s.clock = func() time.Time { return now }
	end := now.AddDate(0, 0, 100)
	ca := certtest.NewCA(t, "Network")
	_, err := s.take(t, answer(t, ca, lab.String(), asked(t, s, Order{Owner: Owner{Address: lab}}), certtest.Until(end)))
	must(t, err)
	asked(t, s, Order{Owner: Owner{Address: lab}, Use: UseSign}) // waits: it has no end
	for _, c := range []*x509.Certificate{
		certtest.NewCA(t, "Short", certtest.Until(end)).Certificate, certtest.NewCA(t, "Ours", certtest.Until(end)).Certificate} {
		_, err := s.AddAnchor(t.Context(), by, NewAnchor{Certificate: c})
		must(t, err)
	}
	partner := addr.Address{Endpoint: "secretname", Domain: "south.example"}
	pinned := certtest.SelfSigned(t, partner.String(), certtest.Until(end)).Certificate
	must(t, s.store.Tx(t.Context(), func(tx *store.Tx) error {
		must(t, tx.PutPin(&store.Pin{Owner: Owner{Domain: home}, Address: partner, DER: pinned.Raw}))
		b := store.Bundle{Name: "network", Owner: Owner{Domain: home}, Direction: transit.Inbound}
		must(t, tx.InsertBundle(&b))
		for _, name := range []string{"One", "Two"} {
			must(t, tx.AddBundleAnchor(b.ID, certtest.NewCA(t, name, certtest.Until(end)).Certificate.Raw))
		}
		return tx.AddBundleAnchor(b.ID, certtest.NewCA(t, "Three").Certificate.Raw)
	}))
	anchors, err := s.Anchors(t.Context(), by, Owner{Domain: home})
	must(t, err)
	w := Watch{}
	for _, a := range anchors {
		if strings.Contains(subject(a.DER), "Ours") {
			w.Ours = append(w.Ours, a.DER)
		}
	}
	another := New(Options{Store: s.store, Keys: s.keys, Clock: func() time.Time { return now }})
	const kinds = 4 // own, anchor, pin, bundle
	for _, step := range []struct {
		before         time.Duration
		days, told, at int
	}{{31 * 24 * time.Hour, 0, 0, 0}, {30 * 24 * time.Hour, 30, kinds, kinds}, {29 * 24 * time.Hour, 30, 0, kinds}, {6 * 24 * time.Hour, 7, kinds, kinds}, // 14 was passed over
		{24 * time.Hour, 1, kinds, kinds}, {0, 1, 0, kinds}, {-time.Second, 0, kinds, kinds}, {-500 * 24 * time.Hour, 0, 0, kinds}} {
		now = end.Add(-step.before)
		fresh, err := s.TellEndings(t.Context(), by, w)
		must(t, err)
		again, err := another.TellEndings(t.Context(), by, w)
		must(t, err)
		all, err := another.Endings(t.Context(), w)
		must(t, err)
		if len(fresh) != step.told || len(again) != 0 || len(all) != step.at {
			t.Errorf("%v before the end: %d told, %d again, %d listed; %+v", step.before, len(fresh), len(again), len(all), all)
		}
		for _, e := range all {
			if e.Days() != step.days || e.Ended() != (step.before < 0) || e.Remedy == "" || strings.Contains(e.Traced, "secretname") || strings.Contains(e.Traced, lab.String()) {
				t.Errorf("%+v", e)
			}
			if e.Kind == EndingBundle && !strings.HasPrefix(e.Words(), "2 anchors of the trust bundle network ") {
				t.Error(e.Words())
			}
			if e.Kind == EndingAnchor && !strings.Contains(e.What, "Short") {
				t.Error(e.What)
			}
		}
	}
	must(t, s.store.View(t.Context(), func(tx *store.Tx) error {
		told, err := audit.List(tx, audit.Filter{Action: "certificate.ends"})
		if len(told) != 4*kinds {
			t.Errorf("%d entries", len(told))
		}
		for _, r := range told {
			for _, v := range r.Detail {
				if strings.Contains(v, "@") || r.Detail["sha256"] == "" {
					t.Errorf("%+v", r)
				}
			}
		}
		return err
	}))
}

// What has a successor is not told of, nor whose account is closed; one that ended is listed until it is taken out of use.
func TestEndingsAnswered(t *testing.T) {
	s := keeper(t)
	now := s.clock()
	s.clock = func() time.Time { return now }
	ca := certtest.NewCA(t, "Network")
	take := func(o Order, until time.Time) {
		t.Helper()
		name, edits := o.Owner.Domain.String(), []certtest.Edit{certtest.Until(until)}
		if !o.Owner.Address.IsZero() {
			name = o.Owner.Address.String()
		}
		if o.Use == UseSign {
			edits = append(edits, certtest.Usage(x509.KeyUsageDigitalSignature))
		}
		_, err := s.take(t, answer(t, ca, name, asked(t, s, o), edits...))
		must(t, err)
	}
	listed := func(what string, want int) []Ending {
		t.Helper()
		all, err := s.Endings(t.Context(), Watch{})
		if err != nil || len(all) != want {
			t.Errorf("%s: %d listed, want %d; %v\n%+v", what, len(all), want, err, all)
		}
		return all
	}
	take(Order{Owner: Owner{Address: lab}}, now.AddDate(0, 0, 10))
	listed("alone", 1)
	take(Order{Owner: Owner{Address: lab}, Use: UseSign}, now.AddDate(1, 0, 0))
	if c, err := s.Endings(t.Context(), Watch{Renews: func(*x509.Certificate) bool { return true }}); err != nil || len(c) != 1 || !strings.Contains(c[0].Words(), "cert issue "+lab.String()) {
		t.Errorf("for encryption it is still the only one: %+v, %v", c, err)
	}
	take(Order{Owner: Owner{Address: lab}}, now.AddDate(0, 6, 0))
	listed("followed", 0)
	certs, err := s.Certificates(t.Context(), by, Owner{Address: lab})
	must(t, err)
	for _, c := range certs {
		if c.State == StateInUse && c.Use == UseBoth && c.Certificate.NotAfter.After(now.AddDate(0, 1, 0)) {
			_, err := s.ExpireCertificate(t.Context(), by, c.ID)
			must(t, err)
		}
	}
	listed("what followed is out of use", 1)
	now = now.AddDate(0, 0, 11)
	listed("it ended while nothing followed", 0)

	now = s.clock().AddDate(0, 0, -11)
	take(Order{Owner: Owner{Domain: home}}, now.AddDate(0, 0, 10))
	now = now.AddDate(0, 0, 11)
	for _, e := range listed("of the domain, ended", 1) {
		_, err := s.ExpireCertificate(t.Context(), by, strings.TrimPrefix(e.object, "certificate:"))
		must(t, err)
	}
	listed("taken out of use after its end", 0)

	now = now.AddDate(0, 11, 10)
	listed("the one for signing", 1)
	must(t, s.CloseAccount(t.Context(), by, lab))
	listed("of a closed account", 0)
}
