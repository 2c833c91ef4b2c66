// Package storetest is the behaviour suite of package store: whatever engine, the same outcome.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/internal/vault"
)

// Opener opens a store, empty at the first call in a test and the same one at the next.
type Opener func(t *testing.T) *store.Store

// Run runs the suite. fresh is called once per case.
func Run(t *testing.T, fresh func(t *testing.T) Opener) {
	for name, test := range map[string]func(*testing.T, *store.Store){
		"Status": status, "Message": message, "Dedupe": dedupe, "Recipient": recipient, "Moves": moves, "Notice": notice, "Correlation": correlation,
		"Blob": blobs, "BodyLife": life, "BodyReferred": referred, "Operate": operate, "AccountClosed": closed, "Mailbox": mailbox, "MailExactlyOnce": mailOnce, "MailOf": mailOf, "Account": account, "Holder": holder, "Setting": setting, "Cert": cert, "Anchor": anchor, "Evaluation": evaluation, "Bundle": bundle, "Pin": pin, "Contact": contact,
		"Issued": issued, "WrittenWith": writtenWith, "AnchorsOfAll": anchorsOfAll,
		"CRL": crl, "Announcement": announcement, "Remembered": remembered, "Intermediate": intermediate, "Audit": audits, "AuditLog": auditLog, "Rollback": rollback, "ViewIsReadOnly": viewReadOnly, "Snapshot": snapshot,
		"KeyRequest": keyRequest,
		"Held":       held, "Hook": hook, "Handover": handovers, "Intake": intake, "Transfer": transfer, "Collect": collecting,
		"Work": work, "WorkUnique": workUnique, "Lease": lease, "LeaseFence": leaseFence, "ClaimOnce": claimOnce, "PerDest": perDest, "Release": release, "Concurrent": concurrent,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, fresh(t)(t))
		})
	}
	t.Run("RotateUnderLoad", func(t *testing.T) { t.Parallel(); rotateUnderLoad(t, fresh(t)) })
	t.Run("Reopen", func(t *testing.T) { t.Parallel(); reopen(t, fresh(t)) })
}

// Keeper makes a key-encryption key in the test's directory.
func Keeper(t testing.TB) vault.Keeper {
	t.Helper()
	k, err := vault.OpenKEK(filepath.Join(t.TempDir(), "kek"))
	must(t, err)
	return k
}

// schema is an empty database, made once in a process: its migrations take a third of a second where races are looked for.
var schema = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "schema")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := store.Create(context.Background(), dir); err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(dir, "carepost.db"))
})

// Dir puts an empty database into dir, which is made, and returns dir.
func Dir(t testing.TB, dir string) string {
	t.Helper()
	b, err := schema()
	must(t, err)
	must(t, os.MkdirAll(dir, 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "carepost.db"), b, 0o600))
	return dir
}

// SQLite opens a new SQLite store for a test.
func SQLite(t testing.TB) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Dir: Dir(t, t.TempDir()), KEK: Keeper(t)})
	must(t, err)
	t.Cleanup(func() { s.Close() })
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
		t.Fatalf("error %v, want %v", err, target)
	}
}

// do is a transaction that must succeed.
func do(t testing.TB, s *store.Store, fn func(*store.Tx) error) {
	t.Helper()
	must(t, s.Tx(t.Context(), fn))
}

func address(t testing.TB, s string) addr.Address {
	t.Helper()
	a, err := addr.Parse(s)
	must(t, err)
	return a
}

// accepted puts a message for these addresses into s.
func accepted(t testing.TB, s *store.Store, to ...string) (m store.Message, rs []store.Recipient) {
	t.Helper()
	m = store.Message{
		Direction: transit.Outbound, Kind: transit.Mail, Size: 5,
		Envelope: transit.Envelope{From: addr.Path{Address: address(t, "dr.lee@practice.example")}},
	}
	do(t, s, func(tx *store.Tx) error {
		m.ID = ""
		if err := tx.InsertMessage(&m); err != nil {
			return err
		}
		rs = nil
		for _, a := range to {
			r := store.Recipient{Message: m.ID, Address: address(t, a)}
			if err := tx.InsertRecipient(&r); err != nil {
				return err
			}
			rs = append(rs, r)
		}
		return nil
	})
	return m, rs
}

// body puts an inline body into s and returns its id.
func body(t testing.TB, s *store.Store) string {
	t.Helper()
	var id string
	do(t, s, func(tx *store.Tx) error {
		b := newBody(s, tx.Now(), false)
		id = b.ID
		return tx.InsertBlob(b)
	})
	return id
}

// newBody makes the row of a body of three bytes, whose name was made at that time.
func newBody(s *store.Store, at time.Time, file bool) store.Blob {
	b := store.Blob{ID: vault.NewID(at), Size: 3, SHA256: bytes.Repeat([]byte{0xAB}, 32), Inline: []byte("abc")}
	if file {
		b.Key, b.Inline = "b/2026/11/21/10/"+b.ID, nil
	}
	b.KID, b.WrappedDEK = s.Box().WrapKey(b.ID, bytes.Repeat([]byte{7}, 32))
	return b
}

// Time is at for tests elsewhere.
func Time(s string) time.Time { return at(s) }

// at is a time that survives the store's milliseconds.
func at(s string) time.Time {
	v, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return v.UTC()
}
