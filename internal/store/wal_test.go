package store

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// The log stays small while others read all the time, one snapshot overlapping the next.
func TestLogStaysSmall(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir)
	const limit = 2 << 20
	s.engine.(*sqlite).limit = limit
	ctx, stop := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for ctx.Err() == nil {
				_ = s.View(ctx, func(tx *Tx) error {
					for range 20 {
						if _, err := tx.Works("", 10); err != nil {
							return err
						}
					}
					return nil
				})
			}
		})
	}
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			for range 200 {
				if err := s.Tx(t.Context(), func(tx *Tx) error { return tx.InsertBlob(testBlob(tx, 30_000)) }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	info, err := os.Stat(filepath.Join(dir, "data", "carepost.db-wal"))
	stop()
	readers.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > 16<<20 {
		t.Errorf("the log has %d MiB", info.Size()>>20)
	}
}
