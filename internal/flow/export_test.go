package flow

import (
	"context"

	"carepost/addr"
	"carepost/discovery"
)

// LocalLookup asks the directory that has our own domains.
func LocalLookup(f *Flow, ctx context.Context, a addr.Address) ([]discovery.Found, []discovery.Step, error) {
	return directory{f}.Lookup(ctx, a)
}
