// Package gateway builds the rooms of one installation, starts them and stops them.
package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"carepost/addr"
	"carepost/discovery"
	"carepost/internal/audit"
	"carepost/internal/blob"
	"carepost/internal/certd"
	"carepost/internal/dnsd"
	"carepost/internal/fetch"
	"carepost/internal/flow"
	"carepost/internal/keyring"
	"carepost/internal/mailbox"
	"carepost/internal/pilot"
	"carepost/internal/queue"
	"carepost/internal/relay"
	"carepost/internal/smtpd"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/internal/vault"
	"carepost/resolver"
	"carepost/smtp"
	"carepost/trust"
)

const actor = audit.Actor("gateway")

// Options of one installation with one Health Domain and a pilot CA.
type Options struct {
	Dir       string // the installation: Dir/data, Dir/keys, Dir/dns
	Domain    addr.Domain
	Hostname  string // of the SMTP listener [mx.DOMAIN]
	Listeners Listeners

	Servers   []string                 // DNS servers, host:port
	Stub      map[addr.Domain][]string // zones whose servers are known: trials, split DNS
	Routes    map[addr.Domain]string   // domain → host:port, instead of MX
	RelayPort int                      // of MX hosts [25]; a trial on one machine has others
	Trial     Trial

	Policy   trust.Policy
	Upkeep   time.Duration // how often our own certificates are looked after [1 hour]
	Clock    transit.Clock
	Log      *slog.Logger
	Progress func(what string, done, total int64)
}

// Trial lets fetches reach what they must not reach otherwise.
type Trial struct {
	Prefixes []netip.Prefix // for example 127.0.0.0/8
	Ports    []uint16
}

// Gateway is an open installation.
type Gateway struct {
	opts Options

	store     *store.Store
	blobs     *blob.Store
	keys      *keyring.Keyring
	authority *pilot.Authority
	mailboxes *mailbox.Service
	flow      *flow.Flow
	queue     *queue.Queue

	smtp *smtpd.Server
	dns  *dnsd.Server
	http *certd.Server

	shown      atomic.Pointer[tls.Certificate] // to those who deliver
	publishing sync.Mutex                      // held from reading what to publish until it is published
}

// Open opens the installation in o.Dir, or makes it: directories, key-encryption key, database, pilot CA and certificates.
// Nothing runs yet. The caller closes it.
func Open(ctx context.Context, o Options) (*Gateway, error) {
	if o.Hostname == "" {
		o.Hostname = "mx." + o.Domain.String()
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Upkeep <= 0 {
		o.Upkeep = time.Hour
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	g := &Gateway{opts: o}
	if err := g.open(ctx); err != nil {
		g.Close()
		return nil, fmt.Errorf("gateway: %s: %w", o.Domain, err)
	}
	return g, nil
}

func (g *Gateway) open(ctx context.Context) error {
	if err := g.openState(ctx); err != nil {
		return err
	}
	if err := g.establish(ctx); err != nil {
		return err
	}
	return g.build(ctx)
}

// openState opens what is kept.
func (g *Gateway) openState(ctx context.Context) error {
	o := g.opts
	kek, err := vault.OpenKEK(filepath.Join(o.Dir, "keys", "kek"))
	if err != nil {
		return err
	}
	data := filepath.Join(o.Dir, "data")
	if g.store, err = store.Open(ctx, store.Options{Dir: data, KEK: kek, Clock: o.Clock}); err != nil {
		return err
	}
	if g.blobs, err = blob.New(blob.Options{Dir: data, Box: g.store.Box(), Clock: o.Clock}); err != nil {
		return err
	}
	g.keys = keyring.New(g.store)
	g.mailboxes = &mailbox.Service{Store: g.store, Blobs: g.blobs}
	return nil
}

// establish makes the domain ours, with its authority, and trusts that authority for mail within the domain.
func (g *Gateway) establish(ctx context.Context) error {
	err := g.store.Tx(ctx, func(tx *store.Tx) error {
		if err := tx.InsertDomain(g.opts.Domain); err != nil {
			return err
		}
		return audit.Write(tx, audit.Entry{Actor: actor, Action: "domain.create", Object: "domain:" + g.opts.Domain.String()})
	})
	if err != nil && !errors.Is(err, store.ErrDuplicate) {
		return err
	}
	host, err := netip.ParseAddrPort(g.opts.Listeners.SMTP.Addr().String())
	if err != nil {
		return err
	}
	g.authority, err = pilot.Establish(ctx, g.store, g.keys, pilot.Options{
		Domain: g.opts.Domain, Hostname: g.opts.Hostname, IPs: []netip.Addr{host.Addr()},
		URL: "http://" + g.opts.Listeners.HTTP.Addr().String(), Now: g.opts.Clock(),
	})
	if err != nil {
		return err
	}
	return g.Trust(ctx, actor, g.authority.Certificate, "our own pilot CA")
}

// build wires services and edges.
func (g *Gateway) build(ctx context.Context) error {
	o := g.opts
	dns := &resolver.Client{Servers: o.Servers, Stub: o.Stub, Cache: resolver.NewCache(0, o.Clock)}
	fetcher := fetch.New(fetch.Options{AllowPrefixes: o.Trial.Prefixes, AllowPorts: o.Trial.Ports})
	g.flow = flow.New(flow.Options{
		Store: g.store, Blobs: g.blobs, Keys: g.keys, Mailboxes: g.mailboxes,
		Directory: &discovery.Finder{Resolver: dns, Fetcher: fetcher}, Judge: trust.NewJudge(fetcher),
		Transport: relay.New(relay.Options{Hostname: o.Hostname, Routes: o.Routes, Resolver: dns, Port: o.RelayPort}),
		Hostname:  o.Hostname, Policy: o.Policy, Clock: o.Clock, Log: o.Log, Progress: o.Progress,
	})
	var err error
	if g.queue, err = queue.New(queue.Options{Store: g.store, Log: o.Log}, g.flow.Handlers()...); err != nil {
		return err
	}
	if err := g.show(ctx); err != nil {
		return err
	}
	g.smtp = smtpd.New(smtpd.Options{
		Hostname: o.Hostname, TLS: &tls.Config{GetCertificate: g.certificate}, Log: o.Log, Rcpt: g.rcpt, Accept: g.accept,
	})
	g.http = certd.New(certd.Options{
		Certificate: func(_ context.Context, name string) ([]byte, bool) {
			return g.authority.Certificate.Raw, name == pilot.Name
		},
		CRL: g.crl,
	})
	if g.dns, err = dnsd.New(dnsd.Options{}); err != nil {
		return err
	}
	return g.publish(ctx)
}

func (g *Gateway) crl(ctx context.Context, name string) ([]byte, bool) {
	if name != pilot.Name {
		return nil, false
	}
	der, err := g.CRL(ctx)
	if err != nil {
		g.opts.Log.Error("revocation list", "error", err)
	}
	return der, err == nil
}

// CRL is the present revocation list of the pilot CA, DER.
func (g *Gateway) CRL(ctx context.Context) ([]byte, error) {
	return g.authority.CRL(ctx, g.opts.Clock())
}

// rcpt takes mail for our own domains. Whether somebody has the address is told to nobody who is not trusted.
func (g *Gateway) rcpt(ctx context.Context, _ smtpd.Session, to addr.Path) *smtp.Reply {
	local, err := g.flow.IsLocal(ctx, g.home(to.Address).Domain)
	switch {
	case err != nil:
		return &smtp.Reply{Code: 451, Enhanced: "4.3.0", Text: []string{"try again later"}}
	case !local:
		return &smtp.Reply{Code: 550, Enhanced: "5.7.1", Text: []string{"mail for that domain is not taken here"}}
	}
	return nil
}

// home maps the postmaster of our host, who must be reachable (RFC 5321 §4.5.1), to that of our domain.
func (g *Gateway) home(a addr.Address) addr.Address {
	if a.Domain.String() == g.opts.Hostname {
		a.Domain = g.opts.Domain
	}
	return a
}

func (g *Gateway) accept(ctx context.Context, env transit.Envelope, body io.Reader) (string, error) {
	for i := range env.To {
		env.To[i] = g.home(env.To[i])
	}
	id, err := g.flow.Accept(ctx, env, body)
	if r := (*flow.Refusal)(nil); errors.As(err, &r) {
		return "", &smtpd.Refusal{Text: r.Clause + ": " + r.Reason}
	}
	return id, err
}

// Run serves until ctx ends or a room fails, then stops all of them and returns when they have.
func (g *Gateway) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, 1) // the first failure; a cause of the caller's ctx is none
	l := g.opts.Listeners
	rooms := map[string]func(context.Context) error{
		"smtpd": func(ctx context.Context) error { return g.smtp.Serve(ctx, l.SMTP) },
		"dnsd":  func(ctx context.Context) error { return g.dns.Serve(ctx, l.DNS, l.DNSTCP) },
		"certd": func(ctx context.Context) error { return g.http.Serve(ctx, l.HTTP) },
		"queue": g.queue.Run, "upkeep": g.upkeep,
	}
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
	if g.store == nil {
		return nil
	}
	return g.store.Close()
}

// Flow is the installation's flow of messages.
func (g *Gateway) Flow() *flow.Flow { return g.flow }

// Mailboxes are the folders of its accounts.
func (g *Gateway) Mailboxes() *mailbox.Service { return g.mailboxes }

// FileSet takes the DICOM.ZIP out of an opened message. The caller closes it.
func (g *Gateway) FileSet(b *blob.Body) (*mailbox.Attached, error) {
	return mailbox.FileSet(g.blobs, b)
}

// Anchor is the certificate of the pilot CA: what partners are given to trust.
func (g *Gateway) Anchor() *x509.Certificate { return g.authority.Certificate }
