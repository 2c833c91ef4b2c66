package flow

import (
	"context"

	"carepost/internal/audit"
)

// Cancel ends a piece of work for good.
func (f *Flow) Cancel(ctx context.Context, by audit.Actor, workID string) error { panic("to be written") }

// Retry makes a piece of work due at once.
func (f *Flow) Retry(ctx context.Context, by audit.Actor, workID string) error { panic("to be written") }

// Hold keeps a piece of work from being done until it is retried.
func (f *Flow) Hold(ctx context.Context, by audit.Actor, workID string) error { panic("to be written") }
