package store

import (
	"context"
	"fmt"
	"os"
	"time"
)

// The write-ahead log is brought into the database every thousand pages, but begins anew only when a writer finds nobody reading from it. While
// snapshots overlap all the time that never happens, and the log would grow with everything that is written.
const (
	logLimit = 32 << 20               // bytes from which on the log is cut
	logWait  = 250 * time.Millisecond // how long writers wait at most for readers to let go of it
)

// trim cuts the log when it has grown too long. The caller has the writer, with no transaction open. Who reads at that moment is waited for,
// who comes then reads from the database. Where somebody goes on reading for long, a snapshot that is copied, the next try comes when the log is
// twice as long. Nothing is lost where it fails: the log is only longer.
func (e *sqlite) trim(s *session) {
	info, err := os.Stat(e.path + "-wal")
	if err != nil || info.Size() < max(e.long, e.limit) {
		return
	}
	e.long = 2 * info.Size()
	if s.do(fmt.Sprintf("PRAGMA busy_timeout = %d", logWait.Milliseconds())) != nil {
		return
	}
	cut := s.cut()
	_ = s.do(fmt.Sprintf("PRAGMA busy_timeout = %d", busyTimeout.Milliseconds()))
	if cut {
		e.long = 0
	}
}

// cut says whether nobody was in the way.
func (s *session) cut() bool {
	var busy, pages, moved int64
	err := s.conn.QueryRowContext(context.Background(), "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &pages, &moved)
	return err == nil && busy == 0
}
