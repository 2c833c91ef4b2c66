package storetest

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"carepost/addr"
	"carepost/internal/store"
	"carepost/internal/transit"
)

func account(t *testing.T, s *store.Store) {
	want(t, s.Tx(t.Context(), func(tx *store.Tx) error { _, err := tx.InsertAccount(address(t, "a@h.example")); return err }), store.ErrNotFound)
	do(t, s, func(tx *store.Tx) error {
		return errors.Join(tx.InsertDomain("h.example"), tx.InsertDomain("b.example"))
	})
	want(t, s.Tx(t.Context(), func(tx *store.Tx) error { return tx.InsertDomain("h.example") }), store.ErrDuplicate)
	var a store.Account
	do(t, s, func(tx *store.Tx) (err error) { a, err = tx.InsertAccount(address(t, "Dr.Lee@h.example")); return err })
	err := s.Tx(t.Context(), func(tx *store.Tx) error { _, err := tx.InsertAccount(address(t, "dr.LEE@h.example")); return err })
	var d *store.Duplicate
	if !errors.As(err, &d) || d.First != a.ID {
		t.Errorf("the same address again: %v", err)
	}
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		found, err := tx.Account(address(t, "DR.LEE@h.example")) // DIR-34: without regard to case
		byID, err2 := tx.AccountByID(a.ID)
		if found.ID != a.ID || byID != found || found.Address.String() != "Dr.Lee@h.example" {
			t.Errorf("found %+v, by id %+v", found, byID)
		}
		_, err3 := tx.Account(address(t, "dr.lee@b.example"))
		want(t, err3, store.ErrNotFound)
		_, err3 = tx.Domain("c.example")
		want(t, err3, store.ErrNotFound)
		domains, err4 := tx.Domains()
		accounts, err5 := tx.Accounts("h.example")
		if len(domains) != 2 || len(accounts) != 1 {
			t.Errorf("domains %v, accounts %v", domains, accounts)
		}
		return errors.Join(err, err2, err4, err5)
	}))
}

// An account that is closed is nobody's; opened again it has its mailboxes, but nobody's password.
func closed(t *testing.T, s *store.Store) {
	lee := address(t, "lee@h.example")
	do(t, s, func(tx *store.Tx) error { return tx.InsertDomain("h.example") })
	var a, other store.Account
	do(t, s, func(tx *store.Tx) (err error) { a, err = tx.InsertAccount(lee); return err })
	do(t, s, func(tx *store.Tx) (err error) { other, err = tx.InsertAccount(address(t, "lab@h.example")); return err })
	read := func() (got store.Account) {
		must(t, s.View(t.Context(), func(tx *store.Tx) (err error) { got, err = tx.AccountByID(a.ID); return err }))
		return got
	}
	password := func() (phc string) {
		must(t, s.View(t.Context(), func(tx *store.Tx) (err error) { phc, err = tx.Password(a.ID); return err }))
		return phc
	}
	if got := read(); got.HasPassword || got.Drops != (store.Drops{}) || !got.Closed.IsZero() || password() != "" {
		t.Errorf("fresh: %+v", got)
	}
	drops := store.Drops{Maildir: "/home/lee/Maildir", Studies: "/srv/studies/ü"}
	do(t, s, func(tx *store.Tx) error {
		return errors.Join(tx.SetPassword(a.ID, "$argon2id$v=19$x"), tx.SetDrops(a.ID, drops))
	})
	if got := read(); !got.HasPassword || got.Drops != drops || password() != "$argon2id$v=19$x" {
		t.Errorf("with password and drops: %+v, %q", got, password())
	}
	do(t, s, func(tx *store.Tx) error {
		return errors.Join(tx.SetPassword(a.ID, ""), tx.SetDrops(a.ID, store.Drops{Studies: "/x"}))
	})
	if got := read(); got.HasPassword || got.Drops != (store.Drops{Studies: "/x"}) || password() != "" {
		t.Errorf("without: %+v", got)
	}
	do(t, s, func(tx *store.Tx) error { return tx.SetPassword(a.ID, "again") })
	do(t, s, func(tx *store.Tx) error { _, err := tx.EnsureMailbox(a.ID, "INBOX"); return err })

	do(t, s, func(tx *store.Tx) error { return tx.CloseAccount(a.ID) })
	if got := read(); got.Closed.IsZero() || got.HasPassword || got.Drops != (store.Drops{}) || password() != "" || got.Address != lee {
		t.Errorf("closed: %+v", got)
	}
	for what, fn := range map[string]func(*store.Tx) error{
		"Account": func(tx *store.Tx) error { _, err := tx.Account(lee); return err }, "CloseAccount": func(tx *store.Tx) error { return tx.CloseAccount(a.ID) },
		"SetPassword": func(tx *store.Tx) error { return tx.SetPassword(a.ID, "x") }, "SetDrops": func(tx *store.Tx) error { return tx.SetDrops(a.ID, drops) },
		"close nothing": func(tx *store.Tx) error { return tx.CloseAccount("none") }, "password of nobody": func(tx *store.Tx) error { _, err := tx.Password("none"); return err },
	} {
		if err := s.Tx(t.Context(), fn); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		list, err := tx.Accounts("h.example")
		if len(list) != 2 || list[0].Closed.IsZero() || list[1].ID != other.ID || !list[1].Closed.IsZero() {
			t.Errorf("%+v", list)
		}
		return err
	}))
	var again store.Account
	do(t, s, func(tx *store.Tx) (err error) { again, err = tx.InsertAccount(address(t, "Lee@h.example")); return err })
	if again.ID != a.ID || again.HasPassword || !again.Closed.IsZero() || again != read() || again.Address.String() != "Lee@h.example" {
		t.Errorf("opened again: %+v", again)
	}
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		boxes, err := tx.Mailboxes(a.ID)
		if len(boxes) != 1 {
			t.Errorf("mailboxes: %+v", boxes)
		}
		return err
	}))
	want(t, s.Tx(t.Context(), func(tx *store.Tx) error { _, err := tx.InsertAccount(lee); return err }), store.ErrDuplicate)
}

func setting(t *testing.T, s *store.Store) {
	get := func() (v []byte, n int64, err error) {
		err = s.View(t.Context(), func(tx *store.Tx) (err error) { v, n, err = tx.Setting("k"); return err })
		return v, n, err
	}
	set := func(v string, n int64) error {
		return s.Tx(t.Context(), func(tx *store.Tx) error { return tx.SetSetting("k", []byte(v), n) })
	}
	_, _, err := get()
	want(t, err, store.ErrNotFound)
	want(t, set("x", 3), store.ErrConflict)
	must(t, set("one", 0))
	want(t, set("x", 0), store.ErrConflict)
	must(t, set("two", 1))
	want(t, set("x", 1), store.ErrConflict)
	if v, n, err := get(); string(v) != "two" || n != 2 || err != nil {
		t.Errorf("%q %d %v", v, n, err)
	}
}

func cert(t *testing.T, s *store.Store) {
	do(t, s, func(tx *store.Tx) error {
		return tx.InsertPrivateKey(store.PrivateKey{ID: "key", Public: []byte{1}, Wrapped: []byte{2}})
	})
	lee := store.Owner{Address: address(t, "Dr.Lee@h.example")}
	domain := store.Owner{Domain: "h.example"}
	rows := []*store.Cert{
		{Owner: lee, Key: "key", DER: []byte("old"), NotBefore: at("2025-01-01T00:00:00Z"), NotAfter: at("2026-01-01T00:00:00Z")},
		{Owner: lee, Key: "key", DER: []byte("new"), Chain: []byte("ca"), NotBefore: at("2026-01-01T00:00:00Z"), NotAfter: at("2027-01-01T00:00:00Z")},
		{Owner: domain, Key: "key", DER: []byte("dom"), NotBefore: at("2026-01-01T00:00:00Z"), NotAfter: at("2027-01-01T00:00:00Z")},
	}
	for _, c := range rows {
		do(t, s, func(tx *store.Tx) error { return tx.InsertCert(c) })
	}
	want(t, s.Tx(t.Context(), func(tx *store.Tx) error { c := *rows[0]; c.ID = ""; return tx.InsertCert(&c) }), store.ErrDuplicate)
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		of, err := tx.Certs(store.Owner{Address: address(t, "DR.LEE@h.example")})
		if len(of) != 2 || !reflect.DeepEqual(of[0], *rows[1]) || !reflect.DeepEqual(of[1], *rows[0]) {
			t.Errorf("of the address: %+v", of)
		}
		of, err2 := tx.Certs(domain)
		if len(of) != 1 || !reflect.DeepEqual(of[0], *rows[2]) {
			t.Errorf("of the domain: %+v", of)
		}
		all, err3 := tx.AllCerts()
		if len(all) != 3 {
			t.Errorf("all: %+v", all)
		}
		k, err4 := tx.PrivateKey("key")
		if k.Created.IsZero() || !bytes.Equal(k.Public, []byte{1}) || !bytes.Equal(k.Wrapped, []byte{2}) {
			t.Errorf("key: %+v", k)
		}
		_, err5 := tx.PrivateKey("none")
		want(t, err5, store.ErrNotFound)
		return errors.Join(err, err2, err3, err4)
	}))
}

func anchor(t *testing.T, s *store.Store) {
	lee := store.Owner{Address: addr.Address{Endpoint: "lee", Domain: "h.example"}}
	a := store.Anchor{Owner: lee, Direction: transit.Inbound, DER: []byte("root"), Source: "added by hand"}
	do(t, s, func(tx *store.Tx) error { a.ID = ""; return tx.InsertAnchor(&a) })
	again := a
	again.ID = ""
	err := s.Tx(t.Context(), func(tx *store.Tx) error { return tx.InsertAnchor(&again) })
	var d *store.Duplicate
	if !errors.As(err, &d) || d.First != a.ID {
		t.Errorf("again: %v", err)
	}
	count := func(o store.Owner, dir transit.Direction) (n int) {
		must(t, s.View(t.Context(), func(tx *store.Tx) error {
			list, err := tx.Anchors(o, dir)
			n = len(list)
			if n > 0 && (list[0].Owner != lee || list[0].Source != a.Source || list[0].Added.IsZero() || string(list[0].DER) != "root") {
				t.Errorf("%+v", list[0])
			}
			return err
		}))
		return n
	}
	if count(lee, transit.Inbound) != 1 || count(lee, transit.Outbound) != 0 || count(store.Owner{Domain: "h.example"}, transit.Inbound) != 0 {
		t.Error("anchors count for their owner and direction only")
	}
	do(t, s, func(tx *store.Tx) error { return tx.RemoveAnchor(a.ID) })
	want(t, s.Tx(t.Context(), func(tx *store.Tx) error { return tx.RemoveAnchor(a.ID) }), store.ErrNotFound)
	if count(lee, transit.Inbound) != 0 {
		t.Error("removed and still there")
	}
}

func crl(t *testing.T, s *store.Store) {
	c := store.CRL{URL: "http://ca.example/a.crl", Issuer: []byte("CN=A"), DER: []byte("one"), ThisUpdate: at("2026-11-21T00:00:00Z"), Fetched: at("2026-11-21T01:00:00Z")}
	do(t, s, func(tx *store.Tx) error { return tx.PutCRL(c) })
	c.DER, c.NextUpdate = []byte("two"), at("2026-11-22T00:00:00Z")
	do(t, s, func(tx *store.Tx) error { return tx.PutCRL(c) })
	must(t, s.View(t.Context(), func(tx *store.Tx) error {
		got, err := tx.CRL(c.URL)
		of, err2 := tx.CRLs([]byte("CN=A"))
		none, err3 := tx.CRLs([]byte("CN=B"))
		if !reflect.DeepEqual(got, c) || len(of) != 1 || !reflect.DeepEqual(of[0], c) || len(none) != 0 {
			t.Errorf("%+v, of the issuer %+v, of another %v", got, of, none)
		}
		_, err4 := tx.CRL("http://ca.example/b.crl")
		want(t, err4, store.ErrNotFound)
		return errors.Join(err, err2, err3)
	}))
}

func audits(t *testing.T, s *store.Store) {
	for i, actor := range []string{"flow", "account:1", "flow"} {
		do(t, s, func(tx *store.Tx) error {
			return tx.InsertAudit(store.Audit{ID: string(rune('a' + i)), At: at("2026-11-21T00:00:00Z").AddDate(0, 0, i), Actor: actor, Action: "act",
				Object: "message:1", Detail: []byte(actor), Digest: []byte{byte(i)}})
		})
	}
	list := func(f store.AuditFilter) (ids string) {
		must(t, s.View(t.Context(), func(tx *store.Tx) error {
			rows, err := tx.Audits(f)
			for _, r := range rows {
				ids += r.ID
				if string(r.Detail) != r.Actor {
					t.Errorf("detail %q of %q", r.Detail, r.Actor)
				}
			}
			return err
		}))
		return ids
	}
	for wanted, f := range map[string]store.AuditFilter{
		"abc": {}, "ac": {Actor: "flow"}, "ab": {Limit: 2, Object: "message:1", Action: "act"}, "bc": {After: "a"}, "": {Object: "message:2"},
		"b": {Since: at("2026-11-22T00:00:00Z"), Until: at("2026-11-23T00:00:00Z")}, "c": {Actor: "flow", After: "a", Limit: 5},
	} {
		if got := list(f); got != wanted {
			t.Errorf("%+v: %q, want %q", f, got, wanted)
		}
	}
}
