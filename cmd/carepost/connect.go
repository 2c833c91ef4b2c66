package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"carepost/internal/admind"
	"carepost/internal/config"
	"carepost/internal/gateway"
	"carepost/internal/store"
)

// socketOf is where a running gateway is spoken to.
func socketOf(c *config.Config) string { return filepath.Join(c.Dir, "data", "admin.sock") }

// connect reaches the installation that the command line means: the gateway that runs, or else the store itself under its lock, by the
// same handler. The caller calls the function when it is done.
func connect(cmd *cobra.Command) (*admind.Client, func(), error) {
	c, err := loadConfig(cmd)
	if err != nil {
		return nil, nil, err
	}
	return reach(cmd.Context(), c)
}

// asking runs a command with the installation that it means.
func asking(do func(cmd *cobra.Command, c *admind.Client, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, done, err := connect(cmd)
		if err != nil {
			return err
		}
		defer done()
		return do(cmd, c, args)
	}
}

// patience is how long one process waits for another: a gateway that starts has its lock before its socket, one that stops has it after.
const patience = 5 * time.Second

// reach is connect for an installation that is known.
func reach(ctx context.Context, c *config.Config) (*admind.Client, func(), error) {
	dial := func(ctx context.Context) (net.Conn, error) { return dialSocket(ctx, socketOf(c)) }
	for start := time.Now(); ; {
		conn, err := dial(ctx)
		if err == nil {
			conn.Close()
			client := admind.NewClient(dial)
			return client, client.Close, nil
		}
		if errors.Is(err, fs.ErrPermission) {
			return nil, nil, notNow(fmt.Errorf("the gateway of %s is another user's: use sudo, or be that user", c.Domain))
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ECONNREFUSED) {
			return nil, nil, notNow(fmt.Errorf("the gateway of %s does not answer: %w", c.Domain, err))
		}
		client, done, err := alone(ctx, c)
		if err == nil || !errors.Is(err, store.ErrLocked) {
			return client, done, err
		}
		if time.Since(start) > patience {
			return nil, nil, notNow(fmt.Errorf("another process has %s open: a gateway that starts or stops, or another command; try again later", c.Dir))
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
}

// alone opens the store for one command. Nothing is delivered meanwhile. The error wraps store.ErrLocked where another process has it.
func alone(ctx context.Context, c *config.Config) (*admind.Client, func(), error) {
	i, err := openInstallation(ctx, c, gateway.Listeners{}, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, nil, coded(err)
	}
	client, stop := admind.Pair(i.Admind())
	return client, func() {
		stop()
		sealing, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		i.SealAudit(sealing) // what cannot be sealed now waits for the gateway
		i.Close()
	}, nil
}
