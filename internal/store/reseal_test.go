package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"carepost/internal/vault"
)

// openColumns are the columns of bytes that no store key seals: what else they are is said in the schema.
var openColumns = []string{
	"anchor.der", "anchor.fp", "audit.detail_sum", "audit.digest", "audit_tile.hashes", "blob_inline.data", "bundle_anchor.der", "bundle_anchor.fp", "crl.der", "crl.issuer", "crl.issuer_name", "intermediate.der", "intermediate.fp", "message.dedupe_key", "sealkey.wrapped",
}

// A rotation that forgets a column loses it: every column of bytes is either known to Reseal or named above.
func TestResealKnowsAllColumns(t *testing.T) {
	s := openTest(t, t.TempDir())
	var known []string
	for _, table := range sealedTables() {
		for _, c := range table.columns {
			known = append(known, table.name+"."+c)
		}
	}
	if err := s.View(t.Context(), func(tx *Tx) error {
		columns, err := all(tx, func(scan scanner) (name string, err error) {
			err = scan(&name)
			return name, err
		}, `SELECT m.name || '.' || c.name FROM sqlite_schema m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND c.type = 'BLOB'`)
		for _, c := range columns {
			if !strings.HasSuffix(c, "_hash") && !slices.Contains(openColumns, c) && !slices.Contains(known, c) {
				t.Errorf("%s is unknown", c)
			}
		}
		if len(columns) < len(known)+len(openColumns) {
			t.Errorf("columns %v", columns)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// A value that does not open keeps its key, and does not keep the others from the new one.
func TestResealDamaged(t *testing.T) {
	s := openTest(t, t.TempDir())
	old := s.box.KID()
	if err := s.Tx(t.Context(), func(tx *Tx) error {
		var errs []error
		for i := range 250 {
			errs = append(errs, tx.SetSetting(fmt.Sprintf("k%03d", i), []byte("value"), 0))
		}
		_, err := tx.exec(`UPDATE setting SET v = (SELECT v FROM setting WHERE k = 'k001') WHERE k IN ('k002', 'k200')`)
		return errors.Join(append(errs, err)...)
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RotateSealing(t.Context(), s.KEK(), nil); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Reseal(t.Context(), nil); !errors.Is(err, vault.ErrSealed) || !strings.Contains(err.Error(), "2 rows") || !strings.Contains(err.Error(), "k002") {
			t.Errorf("error %v", err)
		}
	}
	keys, err := s.SealingKeys(t.Context())
	if err != nil || len(keys) != 3 {
		t.Errorf("keys %v, %v", keys, err)
	}
	count := func() (n int) {
		t.Helper()
		if err := s.View(t.Context(), func(tx *Tx) error {
			return tx.one(`SELECT COUNT(*) FROM setting WHERE substr(hex(v), 3, 8) = $1`, []any{strings.ToUpper(old)}, &n)
		}); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := count(); n != 2 {
		t.Errorf("%d settings under the old key", n)
	}
	if err := s.Tx(t.Context(), func(tx *Tx) error { // set right
		return errors.Join(tx.SetSetting("k002", nil, 1), tx.SetSetting("k200", nil, 1))
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.Reseal(t.Context(), nil); err != nil {
		t.Error(err)
	}
	if keys, err := s.SealingKeys(t.Context()); err != nil || len(keys) != 2 || count() != 0 {
		t.Errorf("keys %v, %v", keys, err)
	}
}

// The machine's clock is set back by years: the newest key is still the one made last.
func TestRotationClockSetBack(t *testing.T) {
	s := openTest(t, t.TempDir())
	if err := s.Tx(t.Context(), func(tx *Tx) error {
		_, err := tx.exec(`UPDATE sealkey SET created_at = created_at + 100000000000`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	kid, err := s.RotateSealing(t.Context(), s.KEK(), nil)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := s.SealingKeys(t.Context())
	if err != nil || keys[len(keys)-1].KID != kid || !keys[len(keys)-1].Current || s.box.KID() != kid {
		t.Errorf("made %s, keys %+v, %v", kid, keys, err)
	}
}

// Only a store that was opened so does not wait for the disk.
func TestSynchronous(t *testing.T) {
	kek := openTest(t, t.TempDir()).KEK()
	for unsafe, want := range map[bool]int{false: 2, true: 1} {
		s, err := Open(t.Context(), Options{Dir: t.TempDir(), KEK: kek, Unsafe: unsafe})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		var got int
		if err := s.Tx(t.Context(), func(tx *Tx) error { return tx.one(`PRAGMA synchronous`, nil, &got) }); err != nil || got != want {
			t.Errorf("unsafe %v: synchronous is %d, %v", unsafe, got, err)
		}
	}
}
