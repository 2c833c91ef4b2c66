package store

import (
	"strings"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// dialect is what differs between the engines.
type dialect struct {
	name   goose.Dialect
	ddl    *strings.Replacer // for migrations
	text   *strings.Replacer // for statements: {now} is the engine's clock in ms (on SQLite an argument: Tx.statement), {skip} locks rows that nobody else has
	lock   string            // has transactions that give the same word go one after the other; empty: they do anyhow
	oldest string            // reads when the oldest open transaction of the database began; empty: this one is the only one
	goose  func() ([]goose.ProviderOption, error)
}

func sqliteDialect() *dialect {
	return &dialect{
		name: goose.DialectSQLite3,
		ddl:  strings.NewReplacer("\n);", "\n) STRICT;", "BIGINT", "INTEGER", "BYTEA", "BLOB"),
		text: strings.NewReplacer(
			"{skip}", "", // the one writer holds everything
		),
		goose: func() ([]goose.ProviderOption, error) { return nil, nil },
	}
}

func postgresDialect() *dialect {
	return &dialect{
		name: goose.DialectPostgres,
		ddl:  strings.NewReplacer(),
		text: strings.NewReplacer(
			"{now}", "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)",
			"{skip}", "FOR UPDATE SKIP LOCKED",
		),
		oldest: `SELECT CAST(EXTRACT(EPOCH FROM MIN(xact_start)) * 1000 AS BIGINT) FROM pg_stat_activity WHERE datname = current_database()`,
		lock:   `SELECT pg_advisory_xact_lock(hashtext($1))`,
		goose: func() ([]goose.ProviderOption, error) {
			l, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300)) // once a second, for five minutes
			return []goose.ProviderOption{goose.WithSessionLocker(l)}, err
		},
	}
}

// statement puts the dialect into one of our texts.
func (d *dialect) statement(text string) string {
	if !strings.Contains(text, "{") {
		return text
	}
	return d.text.Replace(text)
}
