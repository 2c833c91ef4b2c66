package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"carepost/addr"
	"carepost/internal/admind"
	"carepost/internal/audit"
	"carepost/internal/config"
	"carepost/internal/gateway"
	"carepost/internal/store"
	"carepost/resolver"
)

// defaultConfig is where an installation's file is looked for that nobody names.
var defaultConfig = []string{config.Name, filepath.Join("/etc/carepost", config.Name)}

// ofInstallation adds the flag of all commands that are about an installation.
func ofInstallation(cmd *cobra.Command) *cobra.Command {
	cmd.PersistentFlags().String("config", "", "the installation: its directory, or its carepost.toml `FILE` (default: $CAREPOST_CONFIG, ./carepost.toml, /etc/carepost/carepost.toml)")
	return cmd
}

// loadConfig reads the carepost.toml that the command line means.
func loadConfig(cmd *cobra.Command) (*config.Config, error) {
	named, _ := cmd.Flags().GetString("config")
	if named == "" {
		named = os.Getenv("CAREPOST_CONFIG")
	}
	if named != "" {
		return readConfig(named)
	}
	for _, path := range defaultConfig {
		if _, err := os.Stat(path); err == nil {
			return readConfig(path)
		}
	}
	return nil, usage(errors.New("which installation? Name its directory with --config DIR, or make one: carepost init"))
}

func readConfig(named string) (*config.Config, error) {
	path, err := config.Find(named)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usage(fmt.Errorf("there is no installation in %s (no %s); carepost init makes one", named, config.Name))
	}
	if err != nil {
		return nil, notNow(err)
	}
	c, err := config.Load(path)
	if wrong := (*config.Error)(nil); errors.As(err, &wrong) {
		return nil, usage(err)
	}
	return c, err
}

// optionsOf is how the gateway of an installation is built. It listens nowhere yet.
func optionsOf(c *config.Config, log *slog.Logger) gateway.Options {
	o := gateway.Options{
		Dir: c.Dir, Postgres: c.Postgres, Domain: c.Domain, Hostname: c.Hostname, Pilot: c.Pilot, Policy: c.Policy, Log: log,
		Face:    gateway.Face{Address: c.Address, HTTP: face(c.Listen.HTTP, c.Address)},
		Network: networkOf(c),
		Queue:   gateway.Queue{Lifetime: c.Queue.Lifetime, DelayNotice: c.Queue.DelayNotice, Patience: c.Queue.Patience},
		TLS:     gateway.TLS{Certificate: c.TLS.Certificate, Key: c.TLS.Key},
	}
	return o
}

// face is where others reach what listens at listen.
func face(listen string, public netip.Addr) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return ""
	}
	if ip, err := netip.ParseAddr(host); public.IsValid() && (host == "" || err == nil && ip.IsUnspecified()) {
		host = public.String()
	}
	return net.JoinHostPort(host, port)
}

// networkOf says how an installation reaches others: by DNS, and partners on trial as their cards say.
func networkOf(c *config.Config) gateway.Network {
	n := gateway.Network{Servers: c.Servers, Stub: map[addr.Domain][]string{}, Routes: map[addr.Domain]string{}}
	if len(n.Servers) == 0 {
		conf, _ := os.ReadFile("/etc/resolv.conf") // without it: the server on this host
		n.Servers = resolver.Servers(string(conf))
	}
	if len(c.Partners) > 0 || c.Pilot {
		allow(&n.Trial, face(c.Listen.HTTP, c.Address)) // mail within the domain is judged like any other
	}
	for _, p := range c.Partners {
		n.Stub[p.Domain] = []string{p.DNS}
		n.Routes[p.Domain] = p.SMTP
		allow(&n.Trial, p.HTTP)
	}
	return n
}

// allow lets one place be fetched from that is not public.
func allow(t *gateway.Trial, at string) {
	host, port, err := net.SplitHostPort(at)
	if err != nil {
		return
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		t.Prefixes = append(t.Prefixes, netip.PrefixFrom(ip, ip.BitLen()))
	}
	if n, err := strconv.ParseUint(port, 10, 16); err == nil && !slices.Contains(t.Ports, uint16(n)) {
		t.Ports = append(t.Ports, uint16(n))
	}
}

// cardOf is what partners are given.
func cardOf(c *config.Config, g *gateway.Gateway) config.Card {
	return config.Card{
		Domain: c.Domain, SMTP: face(c.Listen.MX, c.Address), DNS: face(c.Listen.DNS, c.Address), HTTP: face(c.Listen.HTTP, c.Address), Anchor: g.Anchor(),
	}
}

// installation is an open gateway with the files that it was made from.
type installation struct {
	*gateway.Gateway
	conf *config.Config
	log  *slog.Logger
}

// openInstallation opens what a configuration describes. Listeners are nil where nothing is to be served.
func openInstallation(ctx context.Context, c *config.Config, l gateway.Listeners, log *slog.Logger) (*installation, error) {
	i := &installation{conf: c, log: log}
	o := optionsOf(c, log)
	o.Listeners, o.Reload, o.Partner, o.Version = l, i.reload, i.introduce, version()
	var err error
	if i.Gateway, err = gateway.Open(ctx, o); err != nil {
		return nil, err
	}
	return i, nil
}

// reload reads the configuration again. What cannot change while the gateway runs is named in the log.
func (i *installation) reload(ctx context.Context) error {
	c, err := config.Load(filepath.Join(i.conf.Dir, config.Name))
	if err != nil {
		return err
	}
	for _, x := range []struct {
		key     string
		changed bool
	}{
		{"domain", c.Domain != i.conf.Domain}, {"hostname", c.Hostname != i.conf.Hostname}, {"address", c.Address != i.conf.Address},
		{"pilot", c.Pilot != i.conf.Pilot}, {"listen", c.Listen != i.conf.Listen}, {"store", c.Postgres != i.conf.Postgres},
		{"queue", c.Queue != i.conf.Queue}, {"policy", c.Policy != i.conf.Policy},
	} {
		if x.changed {
			i.log.Warn("takes effect at the next start", "key", x.key)
		}
	}
	if err := i.Show(ctx, gateway.TLS{Certificate: c.TLS.Certificate, Key: c.TLS.Key}); err != nil {
		return err
	}
	i.Reach(networkOf(c))
	i.log.Info("configuration read again", "partners", len(c.Partners))
	return nil
}

// introduce trusts a partner's authority and keeps the card, in use at once.
func (i *installation) introduce(ctx context.Context, by audit.Actor, card admind.Card) error {
	c, err := cardFrom(card)
	if err != nil {
		return err
	}
	return i.admit(ctx, by, c)
}

func (i *installation) admit(ctx context.Context, by audit.Actor, c config.Card) error {
	if c.Domain == i.conf.Domain {
		return fmt.Errorf("%s is this installation itself", c.Domain)
	}
	if err := i.Trust(ctx, by, c.Anchor, "card of "+c.Domain.String()); err != nil {
		return err
	}
	if err := config.SaveCard(i.conf.Dir, c); err != nil {
		return err
	}
	again, err := config.Load(filepath.Join(i.conf.Dir, config.Name))
	if err != nil {
		return err
	}
	i.Reach(networkOf(again))
	return nil
}

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

// reach is connect for an installation that is known.
func reach(ctx context.Context, c *config.Config) (*admind.Client, func(), error) {
	dial := func(ctx context.Context) (net.Conn, error) { return dialSocket(ctx, socketOf(c)) }
	const patience = 5 * time.Second // a gateway that starts has its lock before its socket
	for start := time.Now(); ; {
		conn, err := dial(ctx)
		if err == nil {
			conn.Close()
			client := admind.NewClient(dial)
			return client, client.Close, nil
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ECONNREFUSED) {
			return nil, nil, notNow(fmt.Errorf("the gateway of %s does not answer: %w", c.Domain, err))
		}
		client, done, err := alone(ctx, c)
		if err == nil || !errors.Is(err, store.ErrLocked) || time.Since(start) > patience {
			return client, done, err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
}

// alone opens the store for one command. Nothing is delivered meanwhile.
func alone(ctx context.Context, c *config.Config) (*admind.Client, func(), error) {
	i, err := openInstallation(ctx, c, gateway.Listeners{}, slog.New(slog.DiscardHandler))
	if errors.Is(err, store.ErrLocked) {
		return nil, nil, notNow(fmt.Errorf("another process has %s open and does not answer: %w", c.Dir, err))
	}
	if err != nil {
		return nil, nil, notNow(err)
	}
	client, stop := admind.Pair(i.Admind())
	return client, func() {
		stop()
		i.Close()
	}, nil
}
