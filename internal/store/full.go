package store

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
	driver "modernc.org/sqlite"
)

// full has an engine's word for a full disk wrap syscall.ENOSPC, for those who tell senders why.
func full(err error) error {
	if err == nil {
		return nil
	}
	var lite *driver.Error
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &lite) && (lite.Code()&0xff == 13 || lite.Code() == 10|19<<8): // SQLITE_FULL; SQLITE_IOERR_SHMSIZE: no room for the index of the log
	case errors.As(err, &pg) && pg.Code == "53100": // disk_full
	default:
		return err
	}
	return fmt.Errorf("%w: %w", err, syscall.ENOSPC)
}
