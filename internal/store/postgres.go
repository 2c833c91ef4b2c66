package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// connections is how many of the server's connections one node takes at most: more are slower.
const connections = 16

// BUG(store): with synchronous standbys, an operator who cancels a COMMIT that waits for them makes it succeed with a warning only (01000); the
// row is on the primary alone, and Tx returns nil.

// postgres is the operator's PostgreSQL. Transactions are READ COMMITTED: every change of state is conditional, so nothing more is needed.
type postgres struct{ db *sql.DB }

func openPostgres(ctx context.Context, dsn string, d *dialect) (engine, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, errors.New("the PostgreSQL DSN does not parse") // not err: it may show the password
	}
	config.RuntimeParams["synchronous_commit"] = "on" // whatever the server's default: 250 is a promise
	config.RuntimeParams["application_name"] = "carepost"
	db := stdlib.OpenDB(*config)
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	if err := migrate(ctx, db, d); err != nil {
		db.Close()
		return nil, fmt.Errorf("schema: %w", err)
	}
	return &postgres{db: db}, nil
}

func (e *postgres) write(ctx context.Context, fn func(querier) error) error {
	return e.run(ctx, nil, fn)
}

func (e *postgres) read(ctx context.Context, fn func(querier) error) error {
	return e.run(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}, fn)
}

func (e *postgres) run(ctx context.Context, o *sql.TxOptions, fn func(querier) error) error {
	tx, err := e.db.BeginTx(ctx, o)
	if err != nil {
		return prefix(err)
	}
	defer tx.Rollback() // nothing after Commit
	if err := fn(tx); err != nil {
		return err
	}
	return prefix(tx.Commit())
}

// passing: serialization_failure and deadlock_detected.
func (e *postgres) passing(err error) bool {
	var p *pgconn.PgError
	return errors.As(err, &p) && (p.Code == "40001" || p.Code == "40P01")
}

func (e *postgres) close() error { return e.db.Close() }
