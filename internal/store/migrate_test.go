package store

import (
	"path/filepath"
	"strings"
	"testing"

	"carepost/internal/vault"
)

// A store of a later program is refused: this one does not know what its rows mean.
func TestLaterSchema(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir)
	if err := s.Tx(t.Context(), func(tx *Tx) error {
		_, err := tx.exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	kek, err := vault.LoadKEK(filepath.Join(dir, "kek"))
	if err != nil {
		t.Fatal(err)
	}
	if s, err := Open(t.Context(), Options{Dir: filepath.Join(dir, "data"), KEK: kek}); err == nil {
		s.Close()
		t.Error("opened")
	} else if !strings.Contains(err.Error(), "99") {
		t.Errorf("error %v", err)
	}
}
