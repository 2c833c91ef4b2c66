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
	"reflect"
	"slices"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"carepost/addr"
	"carepost/internal/admind"
	"carepost/internal/config"
	"carepost/internal/gateway"
	"carepost/internal/keyring"
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
		Dir: c.Dir, Domain: c.Domain, Domains: c.Domains, Hostname: c.Hostname, Pilot: c.Pilot, Policy: c.Policy, Tolerant: c.Tolerant, Filters: c.Filters, Algorithms: c.Algorithms, Revocation: c.Revocation, Rules: c.Rules, OnBehalf: c.OnBehalf, Hosts: c.Hosts, Log: log,
		Face:    gateway.Face{Address: c.Address, HTTP: face(c.Listen.HTTP, c.Address), LDAP: face(c.Listen.LDAP, c.Address)},
		Publish: gateway.Publish(c.Publish),
		Queue:   gateway.Queue{Lifetime: c.Queue.Lifetime, DelayNotice: c.Queue.DelayNotice, Patience: c.Queue.Patience, Held: c.Queue.Held},
		TLS:     gateway.TLS{Certificate: c.TLS.Certificate, Key: c.TLS.Key},
		Auditing: gateway.Auditing{History: c.Audit.History, Server: c.Audit.Syslog, Name: c.Audit.Name, CA: c.Audit.CA, Certificate: c.Audit.Certificate, Key: c.Audit.Key, Heads: c.Audit.Heads,
			Events: gateway.EventsWithout(c.Audit.Without)},
		DICOM: dicomOf(c.DICOM),
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
func networkOf(c *config.Config) (gateway.Network, error) {
	n := gateway.Network{Servers: c.Servers, Stub: map[addr.Domain][]string{}, Routes: map[addr.Domain]string{}}
	d := c.Discovery
	n.Discovery = gateway.Discovery{NoLDAP: d.NoLDAP, Deadline: d.Deadline, Stale: d.Stale, Remember: d.Remember}
	for _, at := range d.Allow {
		allow(&n.Trial, at.String())
	}
	if len(n.Servers) == 0 {
		conf, _ := os.ReadFile("/etc/resolv.conf") // without it: the server on this host
		n.Servers = resolver.Servers(string(conf))
	}
	if len(c.Partners) > 0 || c.Pilot {
		allow(&n.Trial, face(c.Listen.HTTP, c.Address)) // mail within the domain is judged like any other
	}
	for _, p := range c.Partners {
		for _, d := range p.Domains() {
			n.Stub[d] = []string{p.DNS}
			n.Routes[d] = p.SMTP
		}
		allow(&n.Trial, p.HTTP)
	}
	var err error
	n.Through, err = relaysOf(c)
	return n, err
}

// allow lets one place be asked that is not public: an IP address and port. A name is none.
func allow(t *gateway.Trial, at string) {
	if place, err := netip.ParseAddrPort(at); err == nil && !slices.Contains(t.Places, place) {
		t.Places = append(t.Places, place)
	}
}

// cardOf is what partners are given.
func cardOf(c *config.Config, g *gateway.Gateway) config.Card {
	return config.Card{
		Domain: c.Domain, Also: c.Domains, SMTP: face(c.Listen.MX, c.Address), DNS: face(c.Listen.DNS, c.Address), HTTP: face(c.Listen.HTTP, c.Address), Anchor: g.Anchor(),
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
	o.Reload = func(ctx context.Context) ([]string, error) {
		later, err := i.reload(ctx)
		return later, answer(err)
	}
	var err error
	if c.Token.Module != "" {
		o.Token = keyring.TokenOptions{Module: c.Token.Module, URI: c.Token.URI, PIN: c.Token.PIN.Read}
	}
	if o.Postgres, err = c.Postgres.Read(); err != nil {
		return nil, usage(err)
	}
	if o.Network, err = networkOf(c); err != nil {
		return nil, usage(err)
	}
	if o.Webhooks, o.HookPlaces, err = webhooksOf(c); err != nil {
		return nil, usage(err)
	}
	if o.Web, err = webOf(c.DICOM.Web); err != nil {
		return nil, usage(err)
	}
	if o.Collects, err = collectsOf(c); err != nil {
		return nil, usage(err)
	}
	if o.Outs, err = outsOf(c); err != nil {
		return nil, usage(err)
	}
	if err := gateway.CheckOuts(o.Outs); err != nil {
		return nil, usage(fmt.Errorf("carepost.toml, %w", err))
	}
	if err := gateway.CheckAuditing(o.Auditing); err != nil {
		return nil, usage(fmt.Errorf("carepost.toml, [audit]: %w", err))
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

// reload reads the configuration again. What cannot change while the gateway runs is returned, and named in the log.
func (i *installation) reload(ctx context.Context) (later []string, err error) {
	i.files.Lock()
	defer i.files.Unlock()
	c, err := config.Load(filepath.Join(i.conf.Dir, config.Name))
	if err != nil {
		return nil, err
	}
	for _, x := range []struct {
		key     string
		changed bool
	}{
		{"domain", c.Domain != i.conf.Domain}, {"domains", !slices.Equal(c.Domains, i.conf.Domains)}, {"hostname", c.Hostname != i.conf.Hostname}, {"address", c.Address != i.conf.Address},
		{"pilot", c.Pilot != i.conf.Pilot}, {"listen", c.Listen != i.conf.Listen}, {"store", c.Postgres != i.conf.Postgres}, {"keys", c.Token != i.conf.Token},
		{"queue", c.Queue != i.conf.Queue}, {"discovery.remember", c.Discovery.Remember != i.conf.Discovery.Remember}, {"publish", !reflect.DeepEqual(c.Publish, i.conf.Publish)},
		{"policy", policyChanged(c, i.conf)}, {"audit", !reflect.DeepEqual(c.Audit, i.conf.Audit)},
		{"submission", !slices.Equal(c.Hosts, i.conf.Hosts)}, {"webhook", !reflect.DeepEqual(c.Webhooks, i.conf.Webhooks)},
		{"collect", !reflect.DeepEqual(c.Collects, i.conf.Collects)}, {"dicom", dicomChanged(c.DICOM, i.conf.DICOM)},
	} {
		if x.changed {
			later = append(later, x.key)
			i.log.Warn("takes effect at the next start", "key", x.key)
		}
	}
	network, err := networkOf(c)
	if err != nil {
		return nil, err
	}
	if err := i.Show(ctx, gateway.TLS{Certificate: c.TLS.Certificate, Key: c.TLS.Key}); err != nil {
		return nil, err
	}
	i.Reach(network)
	if err := i.Route(ctx, c.DICOM.Routes); err != nil {
		return nil, err
	}
	i.log.Info("configuration read again", "partners", len(c.Partners))
	return later, nil
}

// answer tells who asked over the admin socket that a file is wrong: to try again does not help.
func answer(err error) error {
	if wrong := (*config.Error)(nil); errors.As(err, &wrong) {
		return &admind.Error{Status: http.StatusBadRequest, Code: admind.Usage, Reason: wrong.Error()}
	}
	return err
}

// policyChanged compares what stands below [policy].
func policyChanged(a, b *config.Config) bool {
	written := func(c *config.Config) [3]string {
		return [...]string{c.Filters.Trust.String(), c.Filters.Sign.String(), c.Filters.Encrypt.String()}
	}
	return a.Policy != b.Policy || a.Tolerant != b.Tolerant || a.OnBehalf != b.OnBehalf || written(a) != written(b) || a.Algorithms != b.Algorithms || !reflect.DeepEqual(a.Revocation, b.Revocation) || !reflect.DeepEqual(a.Rules, b.Rules)
}
