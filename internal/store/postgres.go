package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// connections is how many of the server's connections one node takes at most: more are slower.
const connections = 16

// postgres is the operator's PostgreSQL. Transactions are READ COMMITTED: every change of state is conditional, so nothing more is needed.
type postgres struct {
	db       *sql.DB
	warnings []string

	mu         sync.Mutex
	committing map[*pgconn.PgConn]*pgconn.Notice // connections on which a COMMIT is under way, and what the server warned of meanwhile
}

func openPostgres(ctx context.Context, o Options, d *dialect) (*postgres, error) {
	config, err := pgx.ParseConfig(o.DSN)
	if err != nil {
		return nil, errors.New("the PostgreSQL DSN does not parse") // not err: it may show the password
	}
	config.RuntimeParams["synchronous_commit"] = "on" // whatever the server's default: 250 is a promise
	config.RuntimeParams["application_name"] = "carepost"
	e := &postgres{committing: make(map[*pgconn.PgConn]*pgconn.Notice)}
	config.OnNotice = e.noticed
	db := stdlib.OpenDB(*config)
	e.db = db
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	if err := e.inspect(ctx, o.Unsafe); err != nil {
		db.Close()
		return nil, err
	}
	if err := migrate(ctx, db, d, nil); err != nil {
		db.Close()
		return nil, fmt.Errorf("schema: %w", err)
	}
	return e, nil
}

// inspect refuses a server that would lose what it said is committed, and notes what its operator should know.
func (e *postgres) inspect(ctx context.Context, unsafe bool) error {
	var fsync, pages, commit, names, version string
	var standbys int
	if err := e.db.QueryRowContext(ctx, `SELECT current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit'),
		current_setting('synchronous_standby_names'), current_setting('server_version_num'), (SELECT COUNT(*) FROM pg_stat_replication)`).
		Scan(&fsync, &pages, &commit, &names, &version, &standbys); err != nil {
		return fmt.Errorf("the server's settings: %w", err)
	}
	switch {
	case len(version) < 6 || version < "150000":
		return errors.New("the server is older than PostgreSQL 15")
	case unsafe:
	case fsync != "on" || pages != "on":
		return fmt.Errorf("the server loses commits when the power is cut: fsync is %s, full_page_writes is %s; both must be on", fsync, pages)
	case commit != "on": // asked for with the connection: something in between does not pass it on
		return fmt.Errorf("the server loses commits when the power is cut: synchronous_commit is %s in our sessions, though they ask for it to be on", commit)
	}
	if standbys > 0 && names == "" {
		e.warnings = append(e.warnings, "PostgreSQL has standbys but synchronous_standby_names is empty: messages that were accepted are lost when the primary is")
	}
	return nil
}

func (e *postgres) write(ctx context.Context, fn func(querier) error) error {
	return e.run(ctx, nil, fn)
}

func (e *postgres) read(ctx context.Context, fn func(querier) error) error {
	return e.run(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}, fn)
}

func (e *postgres) run(ctx context.Context, o *sql.TxOptions, fn func(querier) error) error {
	conn, err := e.db.Conn(ctx)
	if err != nil {
		return prefix(err)
	}
	defer conn.Close() // back to the pool
	tx, err := conn.BeginTx(ctx, o)
	if err != nil {
		return prefix(err)
	}
	defer tx.Rollback() // nothing after Commit
	if err := fn(tx); err != nil {
		return ended(ctx, err)
	}
	return prefix(ended(ctx, e.commit(conn, tx)))
}

// ended is err, or the context's error where err is only its consequence: database/sql rolls back of its own accord when the context ends,
// and the driver closes the connection; who is slower than that is told that there is none.
func ended(ctx context.Context, err error) error {
	if (errors.Is(err, sql.ErrTxDone) || errors.Is(err, sql.ErrConnDone)) && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// commit commits tx, and takes a warning for a failure. An operator who cancels a COMMIT that waits for a synchronous standby makes it
// succeed with a warning (01000), and the rows are on the primary alone: what is promised then is lost with it.
func (e *postgres) commit(conn *sql.Conn, tx *sql.Tx) error {
	var pg *pgconn.PgConn
	if err := conn.Raw(func(c any) error { pg = c.(*stdlib.Conn).Conn().PgConn(); return nil }); err != nil {
		return err
	}
	e.mu.Lock()
	e.committing[pg] = nil
	e.mu.Unlock()
	err := tx.Commit()
	e.mu.Lock()
	warning := e.committing[pg]
	delete(e.committing, pg)
	e.mu.Unlock()
	if err == nil && warning != nil {
		err = fmt.Errorf("the commit is in doubt: %s (SQLSTATE %s)", warning.Message, warning.Code)
	}
	return err
}

// noticed is called by the driver, within the call that reads from the connection.
func (e *postgres) noticed(pg *pgconn.PgConn, n *pgconn.Notice) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, ok := e.committing[pg]; ok && n.SeverityUnlocalized == "WARNING" {
		e.committing[pg] = n
	}
}

// passing: serialization_failure and deadlock_detected; and unique_violation where work comes back to life while another takes its place,
// for every insert of ours says itself what is to be done about a conflict.
func (e *postgres) passing(err error) bool {
	var p *pgconn.PgError
	return errors.As(err, &p) && (p.Code == "40001" || p.Code == "40P01" || p.Code == "23505" && p.ConstraintName == "work_uniq")
}

func (e *postgres) close() error { return e.db.Close() }
