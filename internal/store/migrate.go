package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"

	"github.com/pressly/goose/v3"
)

//go:embed migrations
var texts embed.FS

// migrate brings the schema up to date. The texts are run by us and not parsed by goose, so that the dialect may adapt them; goose
// keeps the version and, on PostgreSQL, the lock against other nodes. before (may be nil) is called when the schema is older than this program's,
// with the number of the first step to come.
func migrate(ctx context.Context, db *sql.DB, d *dialect, before func(step int64) error) error {
	entries, err := texts.ReadDir("migrations")
	if err != nil {
		return err
	}
	var steps []*goose.Migration
	for _, e := range entries {
		version, err := goose.NumericComponent(e.Name())
		if err != nil {
			return err
		}
		text, err := texts.ReadFile("migrations/" + e.Name())
		if err != nil {
			return err
		}
		ddl := d.ddl.Replace(string(text))
		steps = append(steps, goose.NewGoMigration(version, &goose.GoFunc{
			RunTx: func(ctx context.Context, tx *sql.Tx) error { _, err := tx.ExecContext(ctx, ddl); return err },
		}, nil))
	}
	options, err := d.goose()
	if err != nil {
		return err
	}
	options = append(options, goose.WithGoMigrations(steps...), goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	p, err := goose.NewProvider(d.name, db, nil, options...)
	if err != nil {
		return err
	}
	if before != nil {
		switch have, want, err := p.GetVersions(ctx); {
		case err != nil:
			return err
		case 0 < have && have < want:
			if err := before(have + 1); err != nil {
				return err
			}
		}
	}
	if _, err := p.Up(ctx); err != nil {
		return err
	}
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return err
	}
	if have > want {
		return fmt.Errorf("its schema has version %d, this program knows up to %d", have, want)
	}
	return nil
}
