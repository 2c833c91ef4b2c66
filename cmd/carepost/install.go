package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
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
	if errors.Is(err, fs.ErrPermission) {
		return nil, notNow(fmt.Errorf("the installation in %s is another user's: use sudo, or be that user", named))
	}
	if err != nil {
		return nil, notNow(err)
	}
	c, err := config.Load(path)
	if err != nil {
		return nil, coded(err)
	}
	return c, nil
}

// coded gives an error its exit code, unless it has one: wrong usage where a file is wrong.
func coded(err error) error {
	var has *exitError
	var wrong *config.Error
	switch {
	case errors.As(err, &has):
		return err
	case errors.As(err, &wrong):
		return usage(err)
	}
	return notNow(err)
}

// optionsOf is how the gateway of an installation is built. It listens nowhere yet.
func optionsOf(c *config.Config, log *slog.Logger) gateway.Options {
	return gateway.Options{
		Dir: c.Dir, Domain: c.Domain, Hostname: c.Hostname, Pilot: c.Pilot, Policy: c.Policy, Log: log,
		Face:    gateway.Face{Address: c.Address, HTTP: face(c.Listen.HTTP, c.Address)},
		Network: networkOf(c),
		Queue:   gateway.Queue{Lifetime: c.Queue.Lifetime, DelayNotice: c.Queue.DelayNotice, Patience: c.Queue.Patience},
		TLS:     gateway.TLS{Certificate: c.TLS.Certificate, Key: c.TLS.Key},
	}
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
	conf *config.Config // as it was when it was opened
	log  *slog.Logger

	files sync.Mutex // held from reading the files until what they say is in use
}

// openInstallation opens what init has made. Listeners are nil where nothing is to be served.
func openInstallation(ctx context.Context, c *config.Config, l gateway.Listeners, log *slog.Logger) (*installation, error) {
	if err := whole(c); err != nil {
		return nil, err
	}
	return makeInstallation(ctx, c, l, log)
}

// makeInstallation opens what a configuration describes, and makes what is not there.
func makeInstallation(ctx context.Context, c *config.Config, l gateway.Listeners, log *slog.Logger) (*installation, error) {
	i := &installation{conf: c, log: log}
	o := optionsOf(c, log)
	o.Listeners, o.Partner, o.Forget, o.Version = l, i.introduce, i.forget, version()
	o.Reload = func(ctx context.Context) error { return answer(i.reload(ctx)) }
	var err error
	if o.Postgres, err = c.Postgres.Read(); err != nil {
		return nil, usage(err)
	}
	if i.Gateway, err = gateway.Open(ctx, o); err != nil {
		return nil, err
	}
	return i, nil
}

// whole says what is missing of an installation. A gateway that made it anew, because a volume was not mounted, would refuse mail for all
// accounts; and what root makes in another user's directory, that user's gateway cannot read.
func whole(c *config.Config) error {
	data := filepath.Join(c.Dir, "data")
	parts := []string{filepath.Join(c.Dir, "keys", "kek")}
	if c.Postgres == (config.Secret{}) {
		parts = append(parts, filepath.Join(data, "carepost.db"))
	}
	for _, part := range parts {
		if _, err := os.Stat(part); errors.Is(err, fs.ErrNotExist) {
			return notNow(fmt.Errorf("%s is missing: mount its volume, or put it back from where it is kept safe; nothing was made anew", part))
		} else if err != nil {
			return notNow(err)
		}
	}
	info, err := os.Stat(filepath.Dir(parts[0]))
	if err != nil {
		return notNow(err)
	}
	if s, ok := info.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 && s.Uid != 0 {
		name := fmt.Sprintf("#%d", s.Uid)
		if u, err := user.LookupId(name[1:]); err == nil {
			name = u.Username
		}
		return usage(fmt.Errorf("the installation in %s is of another user, who could not read what root writes there: sudo -u %s carepost …", c.Dir, shellWord(name)))
	}
	return nil
}

// reload reads the configuration again. What cannot change while the gateway runs is named in the log.
func (i *installation) reload(ctx context.Context) error {
	i.files.Lock()
	defer i.files.Unlock()
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
	if err == nil {
		err = i.admit(ctx, by, c)
	}
	return answer(err)
}

// answer tells who asked over the admin socket that a file is wrong: to try again does not help.
func answer(err error) error {
	if wrong := (*config.Error)(nil); errors.As(err, &wrong) {
		return &admind.Error{Status: http.StatusBadRequest, Code: admind.Usage, Reason: wrong.Error()}
	}
	return err
}

func (i *installation) admit(ctx context.Context, by audit.Actor, c config.Card) error {
	if c.Domain == i.conf.Domain {
		return &admind.Error{Status: http.StatusBadRequest, Code: admind.Usage, Reason: fmt.Sprintf("%s is this installation itself", c.Domain)}
	}
	i.files.Lock()
	defer i.files.Unlock()
	before, err := config.Load(filepath.Join(i.conf.Dir, config.Name))
	if err != nil {
		return err
	}
	if err := i.TrustCard(ctx, by, c.Anchor, c.Domain); err != nil {
		return err
	}
	if err := config.SaveCard(i.conf.Dir, c); err != nil {
		return err
	}
	return i.without(ctx, by, cardsOf(before, c.Domain))
}

// forget takes back what admit did.
func (i *installation) forget(ctx context.Context, by audit.Actor, d addr.Domain) error {
	i.files.Lock()
	defer i.files.Unlock()
	before, err := config.Load(filepath.Join(i.conf.Dir, config.Name))
	if err != nil {
		return err
	}
	gone := cardsOf(before, d)
	if len(gone) == 0 {
		return &admind.Error{Status: http.StatusNotFound, Code: admind.NotFound, Reason: fmt.Sprintf("there is no card of %s here", d)}
	}
	if err := i.distrust(ctx, by, gone, slices.DeleteFunc(before.Partners, func(p config.Card) bool { return p.Domain == d })); err != nil {
		return err // before the card is gone, so that it can be asked for again
	}
	if err := config.RemoveCard(i.conf.Dir, d); err != nil {
		return err
	}
	return i.without(ctx, by, nil)
}

// without uses the cards that there are now. The anchors of those that were replaced are trusted no longer.
func (i *installation) without(ctx context.Context, by audit.Actor, replaced []config.Card) error {
	now, err := config.Load(filepath.Join(i.conf.Dir, config.Name))
	if err != nil {
		return err
	}
	i.Reach(networkOf(now))
	return i.distrust(ctx, by, replaced, now.Partners)
}

// distrust takes the trust in cards back, as far as no other partner has the same authority.
func (i *installation) distrust(ctx context.Context, by audit.Actor, cards, others []config.Card) error {
	for _, c := range cards {
		if slices.ContainsFunc(others, func(o config.Card) bool { return o.Anchor.Equal(c.Anchor) }) {
			continue
		}
		if err := i.DistrustCard(ctx, by, c.Anchor); err != nil {
			return err
		}
	}
	return nil
}

func cardsOf(c *config.Config, d addr.Domain) (out []config.Card) {
	for _, p := range c.Partners {
		if p.Domain == d {
			out = append(out, p)
		}
	}
	return out
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
		i.Close()
	}, nil
}
