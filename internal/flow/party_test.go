package flow

import (
	"crypto/x509"
	"fmt"
	"testing"

	"carepost/addr"
	"carepost/internal/store"
	"carepost/internal/store/storetest"
	"carepost/internal/transit"
	"carepost/trust/certtest"
)

// A pin of an address takes the place of its domain's for the same partner: both ways, or a key given up would still sign. The same anchor
// added and brought by a bundle is one. Direct 4.2.3.
func TestParty(t *testing.T) {
	db := storetest.SQLite(t)
	f := New(Options{Store: db})
	lab := addr.Address{Endpoint: "lab", Domain: "h.example"}
	ours := addr.Address{Endpoint: "desk", Domain: "north.example"}
	old, fresh, other := certtest.SelfSigned(t, "h.example").Certificate, certtest.SelfSigned(t, "h.example").Certificate, certtest.SelfSigned(t, "i.example").Certificate
	ca := certtest.NewCA(t, "Network").Certificate
	domain := store.Owner{Domain: ours.Domain}
	err := db.Tx(t.Context(), func(tx *store.Tx) error {
		for _, p := range []store.Pin{
			{Owner: domain, Address: lab, DER: old.Raw}, {Owner: domain, Address: addr.Address{Endpoint: "x", Domain: "i.example"}, DER: other.Raw},
			{Owner: store.Owner{Address: ours}, Address: lab, DER: fresh.Raw},
		} {
			if err := tx.PutPin(&p); err != nil {
				return err
			}
		}
		b := store.Bundle{Name: "network", Owner: domain}
		if err := tx.InsertBundle(&b); err != nil {
			return err
		}
		if err := tx.AddBundleAnchor(b.ID, ca.Raw); err != nil {
			return err
		}
		return tx.InsertAnchor(&store.Anchor{Owner: domain, Direction: transit.Inbound, DER: ca.Raw})
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		p, err := f.party(t.Context(), ours, transit.Inbound, transit.Outbound)
		if err != nil || len(p.Anchors) != 1 || len(p.Pinned) != 2 || !p.Pinned[0].Certificate.Equal(fresh) || !p.Pinned[1].Certificate.Equal(other) {
			t.Errorf("%d anchors, pins %v, %v", len(p.Anchors), p.Pinned, err)
		}
		p, err = f.party(t.Context(), addr.Address{Endpoint: "ward", Domain: ours.Domain}, transit.Inbound)
		if err != nil || len(p.Pinned) != 2 || !p.Pinned[0].Certificate.Equal(old) {
			t.Errorf("another of ours: %v, %v", p.Pinned, err)
		}
	}
}

// What is kept is bounded, and is what was read.
func TestParsed(t *testing.T) {
	var p parsed
	ca := certtest.NewCA(t, "One").Certificate
	p.m = map[[32]byte]*x509.Certificate{}
	for i := range maxParsed {
		p.m[[32]byte{byte(i), byte(i >> 8), 1}] = ca
	}
	c, _, err := p.read(ca.Raw)
	if err != nil || !c.Equal(ca) || len(p.m) != 1 {
		t.Errorf("%d kept, %v", len(p.m), err)
	}
	if again, _, _ := p.read(ca.Raw); again != c {
		t.Error("read again")
	}
	if _, _, err := p.read([]byte("no certificate")); err == nil || len(p.m) != 1 {
		t.Error("kept what is none")
	}
}

// A party with a bundle of five hundred anchors.
func BenchmarkParty(b *testing.B) {
	db := storetest.SQLite(b)
	f := New(Options{Store: db})
	ours := addr.Address{Endpoint: "desk", Domain: "north.example"}
	err := db.Tx(b.Context(), func(tx *store.Tx) error {
		n := store.Bundle{Name: "network", Owner: store.Owner{Domain: ours.Domain}}
		if err := tx.InsertBundle(&n); err != nil {
			return err
		}
		for i := range 500 {
			if err := tx.AddBundleAnchor(n.ID, certtest.NewCA(b, fmt.Sprint(i)).Certificate.Raw); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	for _, name := range []string{"known", "new"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if name == "new" {
					f.parsed.m = nil
				}
				if p, err := f.party(b.Context(), ours, transit.Inbound); err != nil || len(p.Anchors) != 500 {
					b.Fatal(err)
				}
			}
		})
	}
}
