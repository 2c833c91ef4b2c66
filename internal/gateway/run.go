package gateway

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"

	"carepost/internal/store"
	"carepost/internal/vault"
)

// Run serves until ctx ends or a room fails, then stops all of them and returns when they have.
func (g *Gateway) Run(ctx context.Context) error {
	defer g.opts.Listeners.Close() // those of rooms that were not reached
	if err := g.sweep.Start(ctx); err != nil {
		if ctx.Err() != nil { // stopped before it began
			return nil
		}
		return fmt.Errorf("gateway: %w", err)
	}
	if err := g.intake.Start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("gateway: %w", err)
	}
	if err := g.begins(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("gateway: %w", err)
	}
	defer g.ends(ctx)
	now := g.opts.Clock()
	g.started.Store(&now)
	defer g.started.Store(nil)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, 1) // the first failure; a cause of the caller's ctx is none
	rooms := map[string]func(context.Context) error{"queue": g.queue.Run, "upkeep": g.upkeep, "statuses": g.statuses, "bundles": g.bundles.Run, "webhooks": g.hooks.Run, "audit": g.log.Run, "collect": g.collect.Run}
	if g.auditor != nil {
		rooms["auditor"] = g.auditor.Run
	}
	if g.heads != nil {
		rooms["heads"] = g.heads.Run
	}
	g.edges(rooms)
	var wg sync.WaitGroup
	for name, run := range rooms {
		wg.Go(func() {
			if err := run(ctx); err != nil && ctx.Err() == nil {
				select {
				case failed <- fmt.Errorf("gateway: %s: %w", name, err):
				default:
				}
				cancel()
			}
		})
	}
	<-ctx.Done()
	wg.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// Close closes what Open opened. Run must have returned.
func (g *Gateway) Close() error {
	var err error
	if g.store != nil {
		err = g.store.Close()
	}
	if g.token != nil {
		err = errors.Join(err, g.token.Close())
	}
	if g.lock != nil {
		g.lock.Close()
	}
	return err
}

// lock makes a data directory this process' own. store.ErrLocked where it is another's.
func lock(dir string) (*os.File, error) {
	if err := vault.MakeDir(dir); err != nil {
		return nil, err
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return f, nil
	}
	f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("%w: %s", store.ErrLocked, dir)
	}
	return nil, err
}
