package pilot

import (
	"context"
	"crypto/x509"
	"math/big"
	"testing"
	"time"

	"carepost/internal/keyring"
	"carepost/internal/store"
	"carepost/internal/store/storetest"
)

// A list that is made anew for its age while something is revoked has it: on PostgreSQL both run at once, and who read first must not
// write last. DIR-52.
func TestRenewedListHasWhatWasRevoked(t *testing.T) {
	s, err := store.Open(t.Context(), store.Options{DSN: storetest.Postgres(t), KEK: storetest.Keeper(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	now := time.Now()
	if err := s.Tx(t.Context(), func(tx *store.Tx) error { return tx.InsertDomain("north.example") }); err != nil {
		t.Fatal(err)
	}
	a, err := Establish(t.Context(), s, keyring.New(s), Options{Domain: "north.example", Hostname: "mx.north.example", URL: "http://127.0.0.1:8080", Now: now})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.CRL(t.Context(), Name, now); err != nil {
		t.Fatal(err)
	}
	later := now.Add(crlLife) // the list is to be made anew
	made := make(chan error, 1)
	if err := s.Tx(t.Context(), func(tx *store.Tx) error {
		st, version, err := a.read(tx)
		if err != nil {
			return err
		}
		if err := a.revoke(tx, "test", &st, big.NewInt(4711), KeyCompromise, later); err != nil {
			return err
		}
		go func() {
			_, err := a.CRL(context.WithoutCancel(t.Context()), Name, later)
			made <- err
		}()
		select { // it waits for our row; whether it has come so far decides nothing
		case err := <-made:
			made <- err
		case <-time.After(300 * time.Millisecond):
		}
		return a.write(tx, st, version)
	}); err != nil {
		t.Fatal(err)
	}
	if err := <-made; err != nil {
		t.Fatal(err)
	}
	der, err := a.CRL(t.Context(), Name, later)
	if err != nil {
		t.Fatal(err)
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil || len(list.RevokedCertificateEntries) != 1 {
		t.Errorf("%d entries: %v", len(list.RevokedCertificateEntries), err)
	}
}
