//go:build !postgres

package store

import (
	"context"
	"errors"
)

func openPostgres(context.Context, string, *dialect) (engine, error) {
	return nil, errors.New("this build has no PostgreSQL driver")
}
