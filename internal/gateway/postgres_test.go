package gateway_test

import (
	"errors"
	"strings"
	"testing"

	"carepost/internal/gateway"
	"carepost/internal/gateway/gatewaytest"
	"carepost/internal/store"
	"carepost/internal/store/storetest"
	"carepost/internal/transit"
)

// An installation that keeps its rows in PostgreSQL does all that one on SQLite does, over a restart too: DIR-12, DIR-27, DIR-29. Its
// data directory is its own all the same.
func TestOnPostgres(t *testing.T) {
	dsn := storetest.Postgres(t)
	w := gatewaytest.NewWith(t, func(o *gateway.Options) {
		o.Postgres = schemaOf(t, dsn, strings.TrimSuffix(o.Domain.String(), ".example"))
	}, "north.example", "south.example")
	w.Trust()
	w.Run()
	a, b := w.All[0], w.All[1]
	large := strings.Repeat("a body that is kept in a file, ", 2000)
	var ids []string
	for _, text := range []string{"a letter", large} {
		ids = append(ids, a.Submit(t, a.Letter("s", text, b.Address), b.Address))
	}
	a.Await(t, ids[0], b.Address, transit.Processed)
	a.Reopen(t)
	a.Start(t)
	for _, id := range ids {
		a.Await(t, id, b.Address, transit.Processed)
	}
	mails := b.Inbox(t, 2)
	if len(mails) != 2 || !strings.Contains(b.Text(t, mails[0])+b.Text(t, mails[1]), large) {
		t.Errorf("%d mails", len(mails))
	}
	if n := actions(t, b, "notice.send"); n != 2 {
		t.Errorf("%d notices", n)
	}
	l, err := gateway.Loopback()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = gateway.Open(t.Context(), gateway.Options{Dir: a.Dir, Postgres: schemaOf(t, dsn, "north"), Domain: "north.example", Pilot: true, Listeners: l})
	if !errors.Is(err, store.ErrLocked) {
		t.Errorf("a second process on the same directory: %v", err)
	}
}

// schemaOf is the connection string of a schema of its own.
func schemaOf(t *testing.T, dsn, name string) string {
	t.Helper()
	storetest.SQL(t, dsn, "SET client_min_messages = error; CREATE SCHEMA IF NOT EXISTS "+name)
	return dsn + " search_path=" + name
}
