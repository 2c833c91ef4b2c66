package admin

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"carepost/addr"
	"carepost/internal/audit"
	"carepost/internal/store"
	"carepost/internal/store/storetest"
	"carepost/trust/certtest"
)

const (
	by     = audit.Actor("operator:1000")
	secret = "correct horse battery"
)

var (
	home  = addr.Domain("north.example")
	lab   = addr.Address{Endpoint: "lab", Domain: home}
	other = addr.Address{Endpoint: "desk", Domain: home}
)

// service has the domain north.example and the account lab, without password.
func service(t testing.TB, o Options) *Service {
	t.Helper()
	o.Store = storetest.SQLite(t)
	s := New(o)
	if err := o.Store.Tx(t.Context(), func(tx *store.Tx) error { return tx.InsertDomain(home) }); err != nil {
		t.Fatal(err)
	}
	must(t, s.AddAccount(t.Context(), by, lab))
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want(t testing.TB, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("got %v, want %v", err, target)
	}
}

func wantInvalid(t testing.TB, err error, words string) {
	t.Helper()
	if bad := (*Invalid)(nil); !errors.As(err, &bad) || !strings.Contains(bad.Reason, words) {
		t.Errorf("got %v, want a word on %q", err, words)
	}
}

// entries lists the actions in the audit, and fails if one names anybody, but for the sealed detail of who signed in or was tried.
func entries(t testing.TB, s *Service) (actions []string) {
	t.Helper()
	must(t, s.store.View(t.Context(), func(tx *store.Tx) error {
		list, err := audit.List(tx, audit.Filter{Limit: 10000})
		for _, e := range list {
			actions = append(actions, e.Action)
			delete(e.Detail, "account")
			if text := fmt.Sprint(e.Actor, e.Object, e.Detail); strings.Contains(text, "@") || strings.Contains(text, secret) {
				t.Errorf("%s: %s", e.Action, text)
			}
		}
		return err
	}))
	return actions
}

// DIR-46: accounts exist, are named once, and end.
func TestAccounts(t *testing.T) {
	s := service(t, Options{})
	ctx := t.Context()
	want(t, s.AddAccount(ctx, by, addr.Address{Endpoint: "LAB", Domain: home}), ErrOpen)
	want(t, s.AddAccount(ctx, by, addr.Address{Endpoint: "lab", Domain: "south.example"}), ErrNoDomain)
	must(t, s.AddAccount(ctx, by, other))
	must(t, s.SetPassword(ctx, by, lab, secret))
	must(t, s.SetDrops(ctx, by, lab, Drops{Maildir: filepath.Join(t.TempDir(), "mail")}))
	list, err := s.Accounts(ctx, by, "")
	must(t, err)
	if len(list) != 2 || !list[0].HasPassword || list[0].Drops.Maildir == "" || list[1].HasPassword {
		t.Errorf("got %+v", list)
	}
	who, err := s.Actor(ctx, lab)
	if must(t, err); who != audit.Actor("account:"+list[0].ID) {
		t.Errorf("acts as %s", who)
	}
	must(t, s.CloseAccount(ctx, by, lab))
	want(t, s.CloseAccount(ctx, by, lab), ErrNoAccount)
	want(t, s.SetPassword(ctx, by, lab, secret), ErrNoAccount)
	want(t, s.RemovePassword(ctx, by, lab), ErrNoAccount)
	want(t, s.SetDrops(ctx, by, lab, Drops{}), ErrNoAccount)
	_, err = s.Actor(ctx, lab)
	want(t, err, ErrNoAccount)
	must(t, s.AddAccount(ctx, by, lab)) // opened again: the password of whoever had it does not come back
	list, err = s.Accounts(ctx, by, home)
	must(t, err)
	if len(list) != 2 || !list[0].Closed.IsZero() || list[0].HasPassword || list[0].Drops != (Drops{}) {
		t.Errorf("got %+v", list)
	}
	_, err = s.Accounts(ctx, by, "south.example")
	want(t, err, ErrNoDomain)
	if got := strings.Join(entries(t, s), " "); got != "account.create account.create account.password account.drops account.list account.close account.create account.list" {
		t.Errorf("audit: %s", got)
	}
}

// Folders lie outside of what is ours, links or not, and stand apart.
func TestDrops(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "north", "data")
	must(t, os.MkdirAll(data, 0o700))
	must(t, os.Symlink(data, filepath.Join(dir, "link")))
	must(t, os.Symlink("loop", filepath.Join(dir, "loop")))
	must(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	s := service(t, Options{Private: []string{data}})
	for path, words := range map[string]string{
		"mail":                        "absolute",
		data:                          "outside",
		data + "/x/y":                 "outside",
		dir + "/mail/../north/data/x": "outside",
		dir + "/link":                 "outside",
		dir + "/link/new":             "outside",
		dir + "/loop":                 "cannot be used",
		dir + "/file":                 "no directory",
		dir + "/file/x":               "cannot be used",
		dir + "/a\nb":                 "absolute",
	} {
		wantInvalid(t, s.SetDrops(t.Context(), by, lab, Drops{Maildir: path}), words)
		wantInvalid(t, s.SetDrops(t.Context(), by, lab, Drops{Studies: path}), words)
	}
	s.suits = func(dir string) error { return errors.New("unfit: " + filepath.Base(dir)) }
	wantInvalid(t, s.SetDrops(t.Context(), by, lab, Drops{Maildir: dir + "/unfit"}), "unfit: unfit")
	s.suits = func(string) error { return nil }
	wantInvalid(t, s.SetDrops(t.Context(), by, lab, Drops{Maildir: dir + "/a", Studies: dir + "/a/b"}), "one in the other")
	wantInvalid(t, s.SetDrops(t.Context(), by, lab, Drops{Maildir: dir + "/a", Studies: dir + "/a/"}), "one in the other")
	must(t, s.SetDrops(t.Context(), by, lab, Drops{Maildir: dir + "/mail/", Studies: dir + "/north/database"}))
	list, err := s.Accounts(t.Context(), by, "")
	if must(t, err); list[0].Drops != (Drops{Maildir: dir + "/mail", Studies: dir + "/north/database"}) {
		t.Errorf("got %+v", list[0].Drops)
	}
}

// Direct 4.2.1: anchors of a domain and of an address; both directions go together.
func TestAnchors(t *testing.T) {
	s := service(t, Options{})
	ctx := t.Context()
	cert := certtest.NewCA(t, "Network").Certificate
	first, err := s.AddAnchor(ctx, by, NewAnchor{Owner: Owner{}, Certificate: cert, Source: "letter"})
	must(t, err)
	if len(first) != 2 || first[0].Owner.Domain != home || first[0].Direction == first[1].Direction {
		t.Errorf("got %+v", first)
	}
	again, err := s.AddAnchor(ctx, by, NewAnchor{Owner: Owner{Domain: home}, Certificate: cert, Source: "telephone"})
	must(t, err)
	if len(again) != 2 || again[0].ID != first[0].ID || again[0].Source != "letter" {
		t.Errorf("got %+v", again)
	}
	_, err = s.AddAnchor(ctx, by, NewAnchor{Owner: Owner{Address: lab}, Certificate: cert, Source: "own"})
	must(t, err)
	_, err = s.AddAnchor(ctx, by, NewAnchor{Owner: Owner{Address: other}, Certificate: cert, Source: ""})
	want(t, err, ErrNoAccount)
	_, err = s.AddAnchor(ctx, by, NewAnchor{Owner: Owner{Domain: "south.example"}, Certificate: cert, Source: ""})
	want(t, err, ErrNoDomain)
	_, err = s.AddAnchor(ctx, by, NewAnchor{Owner: Owner{}, Certificate: certtest.NewCA(t, "Old", certtest.Until(certtest.NotBefore.AddDate(1, 0, 0))).Certificate, Source: ""})
	wantInvalid(t, err, "ended on 2021-01-01")
	count := func(o Owner, n int) {
		t.Helper()
		if list, err := s.Anchors(ctx, by, o); err != nil || len(list) != n {
			t.Errorf("%d anchors, %v; want %d", len(list), err, n)
		}
	}
	count(Owner{}, 4)
	count(Owner{Address: lab}, 2)
	must(t, s.RemoveAnchor(ctx, by, first[1].ID))
	want(t, s.RemoveAnchor(ctx, by, first[0].ID), ErrNoAnchor)
	count(Owner{Domain: home}, 0)
	count(Owner{}, 2)
	if got := strings.Join(entries(t, s), " "); !strings.HasPrefix(got, "account.create anchor.add anchor.add anchor.add anchor.add anchor.list") ||
		strings.Count(got, "anchor.remove") != 2 {
		t.Errorf("audit: %s", got)
	}
}

func TestParseOwner(t *testing.T) {
	for text, ok := range map[string]bool{"lab@north.example": true, "north.example": true, "": false, "lab@": false, "a b": false} {
		if _, err := ParseOwner(text); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}
