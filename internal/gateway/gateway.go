// Package gateway builds the rooms of one installation, starts them and stops them.
package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"carepost/addr"
	"carepost/cms"
	"carepost/internal/admin"
	"carepost/internal/admind"
	"carepost/internal/agent"
	"carepost/internal/audit"
	"carepost/internal/auditor"
	"carepost/internal/blob"
	"carepost/internal/bundle"
	"carepost/internal/certd"
	"carepost/internal/collect"
	"carepost/internal/dicomd"
	"carepost/internal/dicomweb"
	"carepost/internal/dnsd"
	"carepost/internal/drop"
	"carepost/internal/fetch"
	"carepost/internal/flow"
	"carepost/internal/handover"
	"carepost/internal/hook"
	"carepost/internal/intake"
	"carepost/internal/keyring"
	"carepost/internal/ldapd"
	"carepost/internal/mailbox"
	"carepost/internal/pilot"
	"carepost/internal/queue"
	"carepost/internal/rule"
	"carepost/internal/smtpd"
	"carepost/internal/store"
	"carepost/internal/sweep"
	"carepost/internal/transit"
	"carepost/internal/vault"
	"carepost/trust"
)

const actor = audit.Actor("gateway")

// ErrDomain says that what is opened was made for another Health Domain.
var ErrDomain = errors.New("the database is that of another domain")

// Options of one installation.
type Options struct {
	Dir       string        // the installation: Dir/data, Dir/keys, Dir/dns
	Postgres  string        // connection string; empty = SQLite in Dir/data
	Domain    addr.Domain   // the first Health Domain, after which the installation is called
	Domains   []addr.Domain // the others
	Hostname  string        // of the SMTP listener [mx.DOMAIN]
	Pilot     bool          // certificates come from an authority of its own
	Listeners Listeners
	Face      Face
	Network   Network
	Queue     Queue
	TLS       TLS
	Publish   Publish
	Token     keyring.TokenOptions // where private keys lie besides the database; zero = nowhere

	Policy     trust.Policy
	Filters    agent.Filters  // what is demanded of certificates
	Tolerant   bool           // odd certificates of others are judged
	Algorithms cms.Algorithms // what is done with each; zero = what goes with Policy
	Revocation agent.Revocations
	Rules      rule.Rules // what the operator demands besides
	Auditing   Auditing
	Hosts      []netip.Prefix // that submit for all accounts without signing in (DIR-55)
	OnBehalf   bool           // an account may write in the name of another, as its Sender
	Webhooks   []hook.Hook
	HookPlaces []netip.AddrPort // hosts inside the house that Webhooks lead to
	DICOM      DICOM            // devices and PACS of the house
	Outs       []Out
	Web        Web
	Collects   []collect.Source // mailboxes at providers

	Upkeep   time.Duration // how often our own certificates are looked after [1 hour]
	Clock    transit.Clock
	Log      *slog.Logger
	Progress func(what string, done, total int64)

	// What the operator's commands can ask for besides; nil = not to be had.
	Reload  func(context.Context) (later []string, err error) // later: keys of carepost.toml that the next start uses
	Partner func(ctx context.Context, by audit.Actor, card admind.Card) error
	Forget  func(ctx context.Context, by audit.Actor, partner addr.Domain) error
	Version string
}

// Face is where others reach the installation. What is empty is read off the Listeners.
type Face struct {
	Address netip.Addr // of the MX host, for the DNS records
	HTTP    string     // host:port of the pilot authority's certificate and revocation list
	LDAP    string     // host:port of the directory; the host is told by the name of the MX host
}

// Queue says how long what is tried. Zero = the defaults of package flow.
type Queue struct{ Lifetime, DelayNotice, Patience, Held time.Duration }

// Gateway is an open installation.
type Gateway struct {
	opts Options

	lock      *os.File // of the data directory, where the store does not lock it
	store     *store.Store
	blobs     *blob.Store
	keys      *keyring.Keyring
	token     *keyring.Token   // nil without one
	authority *pilot.Authority // nil without a pilot authority
	mailboxes *mailbox.Service
	admin     *admin.Service
	bundles   *bundle.Service
	sweep     *sweep.Service
	hooks     *hook.Service
	intake    *intake.Service
	collect   *collect.Service
	handovers *handover.Service
	flow      *flow.Flow
	queue     *queue.Queue
	log       *audit.Log
	auditor   *auditor.Auditor // nil without an audit repository
	heads     *audit.Keeper    // nil where heads of the audit log are not kept elsewhere
	ways      ways
	started   atomic.Pointer[time.Time] // nil: not running

	mx         *smtpd.Server
	submission *smtpd.Server
	dns        *dnsd.Server
	ldap       *ldapd.Server
	http       *certd.Server
	dicom      *dicomd.Server
	web        *dicomweb.Server
	admind     *admind.Server

	showing    sync.Mutex // held from choosing the server certificate until it is shown
	tls        TLS
	shown      atomic.Pointer[tls.Certificate]   // to those who deliver or submit
	publishing sync.Mutex                        // held from reading what to publish until it is published
	warned     atomic.Int64                      // warnings about that, as far as the log tells
	served     atomic.Pointer[map[string][]byte] // certificates that are fetched by name
	turn       atomic.Int64                      // when something else is to be published, Unix nanoseconds
	turned     chan struct{}                     // that has changed
}

// Open opens the installation in o.Dir, or makes it: directories, key-encryption key, database, and with a pilot authority its
// certificates. Nothing runs yet. The caller closes it.
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
	if err := o.Face.complete(o.Listeners); err != nil {
		return nil, fmt.Errorf("gateway: %s: %w", o.Domain, err)
	}
	g := &Gateway{opts: o, turned: make(chan struct{}, 1)}
	if err := g.open(ctx); err != nil {
		g.Close()
		return nil, fmt.Errorf("gateway: %s: %w", o.Domain, err)
	}
	return g, nil
}

// complete reads off the listeners what is not given.
func (f *Face) complete(l Listeners) error {
	if !f.Address.IsValid() && l.MX != nil {
		at, err := netip.ParseAddrPort(l.MX.Addr().String())
		if err != nil {
			return err
		}
		if a := at.Addr().Unmap(); !a.IsUnspecified() { // who listens everywhere says not where he is
			f.Address = a
		}
	}
	if f.HTTP == "" && l.HTTP != nil {
		f.HTTP = l.HTTP.Addr().String()
	}
	if f.LDAP == "" && l.LDAP != nil {
		f.LDAP = l.LDAP.Addr().String()
	}
	return nil
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
	from := store.Options{Dir: data, KEK: kek, Clock: o.Clock}
	if o.Postgres != "" {
		from.Dir, from.DSN = "", o.Postgres
		if g.lock, err = lock(data); err != nil { // the bodies, drafts and socket in it are this process' own all the same
			return err
		}
	}
	if g.store, err = store.Open(ctx, from); err != nil {
		return err
	}
	if g.blobs, err = blob.New(blob.Options{Dir: data, Box: g.store.Box(), Clock: o.Clock}); err != nil {
		return err
	}
	if g.keys, err = g.openKeys(); err != nil {
		return err
	}
	if g.log, err = audit.NewLog(audit.LogOptions{Store: g.store, Keys: g.keys, Log: o.Log}); err != nil {
		return err
	}
	if o.Auditing.Heads != "" {
		g.heads = g.log.NewKeeper(o.Auditing.Heads)
	}
	if err := g.openAuditor(); err != nil {
		return err
	}
	g.mailboxes = &mailbox.Service{Store: g.store, Blobs: g.blobs, Outs: o.outs()}
	g.admin = admin.New(admin.Options{
		Store: g.store, Keys: g.keys, Publish: g.publish, Fetcher: g.ways.issuers,
		Private: []string{data, filepath.Join(o.Dir, "keys")}, Clock: o.Clock, Suits: drop.Suits,
	})
	g.sweep = &sweep.Service{Store: g.store, Blobs: g.blobs, Clock: o.Clock, Log: o.Log}
	return nil
}

// domains are all of ours, the first one first.
func (g *Gateway) domains() []addr.Domain {
	return append([]addr.Domain{g.opts.Domain}, g.opts.Domains...)
}

// establish makes the domains ours, with their authority, and trusts that authority for mail within them.
func (g *Gateway) establish(ctx context.Context) error {
	if err := g.store.Tx(ctx, g.own); err != nil {
		return err
	}
	if !g.opts.Pilot {
		return nil
	}
	var ips []netip.Addr
	if g.opts.Face.Address.IsValid() {
		ips = append(ips, g.opts.Face.Address)
	}
	var err error
	g.authority, err = pilot.Establish(ctx, g.store, g.keys, pilot.Options{
		Domain: g.opts.Domain, Domains: g.opts.Domains, Hostname: g.opts.Hostname, IPs: ips, URL: "http://" + g.opts.Face.HTTP, Now: g.opts.Clock(),
	})
	if err != nil {
		return err
	}
	return g.trustOurs(ctx)
}

// own makes domains ours that are not yet; one that comes later trusts the partners whose cards there are, as the others do. One that is ours stays ours: accounts and mail are there that nobody would see any more.
func (g *Gateway) own(tx *store.Tx) error {
	there, err := tx.Domains()
	if err != nil {
		return err
	}
	ours := map[addr.Domain]bool{}
	for _, d := range there {
		ours[d.Name] = true
		if !slices.Contains(g.domains(), d.Name) {
			return fmt.Errorf("%w: %s (if it is one of this installation, carepost.toml names it under domains)", ErrDomain, d.Name)
		}
	}
	if len(there) > 0 && !ours[g.opts.Domain] { // the authority is called after the first
		return fmt.Errorf("%w: %s", ErrDomain, there[0].Name)
	}
	for _, d := range g.domains() {
		if ours[d] {
			continue
		}
		if err := tx.InsertDomain(d); err != nil {
			return err
		}
		if err := audit.Write(tx, audit.Entry{Actor: actor, Action: "domain.create", Object: "domain:" + d.String()}); err != nil {
			return err
		}
		if !ours[g.opts.Domain] {
			continue // all of them are new
		}
		if err := g.admin.AdoptAnchorsIn(tx, actor, admin.Owner{Domain: d}, admin.Owner{Domain: g.opts.Domain}, fromCard); err != nil {
			return err
		}
	}
	return nil
}

// build wires services and edges.
func (g *Gateway) build(ctx context.Context) error {
	o := g.opts
	g.Reach(o.Network)
	g.flow = flow.New(flow.Options{
		Store: g.store, Blobs: g.blobs, Keys: g.keys, Mailboxes: g.mailboxes,
		Directory: &g.ways, Judge: &g.ways, Transport: &g.ways,
		Remember: o.Network.Discovery.Remember, Hostname: o.Hostname, Policy: o.Policy, Tolerant: o.Tolerant, Filters: o.Filters,
		Algorithms: o.Algorithms, Revocation: o.Revocation, Rules: o.Rules, OnBehalf: o.OnBehalf, Clock: o.Clock, Log: o.Log, Progress: o.Progress,
		Heard: g.heard, Lifetime: o.Queue.Lifetime, DelayNotice: o.Queue.DelayNotice, Patience: o.Queue.Patience, KeepHeld: o.Queue.Held,
	})
	g.bundles = bundle.New(bundle.Options{Store: g.store, Fetcher: &g.ways, Clock: o.Clock, Log: o.Log})
	g.hooks = hook.New(hook.Options{Store: g.store, Hooks: o.Webhooks, Poster: fetch.New(fetch.Options{AllowPlaces: o.HookPlaces}), Clock: o.Clock, Log: o.Log})
	g.intake = intake.New(o.DICOM.intake(g))
	g.collect = g.newCollect()
	drops := &drop.Service{Store: g.store, Blobs: g.blobs, Log: o.Log}
	var err error
	if g.handovers, err = g.handOver(); err != nil {
		return err
	}
	if g.queue, err = queue.New(queue.Options{Store: g.store, Log: o.Log}, slices.Concat(g.flow.Handlers(), drops.Handlers(), g.handovers.Handlers(), g.hooks.Handlers(), g.intake.Handlers(), g.sweep.Handlers())...); err != nil {
		return err
	}
	if err := g.Show(ctx, o.TLS); err != nil {
		return err
	}
	face := &tls.Config{GetCertificate: g.certificate}
	g.mx = smtpd.New(smtpd.Options{Hostname: o.Hostname, TLS: face, Log: o.Log, Rcpt: g.rcpt, Accept: g.accept})
	g.submission = smtpd.New(smtpd.Options{Hostname: o.Hostname, TLS: face, Log: o.Log, Auth: g.signIn, Host: g.host, Sender: g.sender, Rcpt: g.sealable, Accept: g.submit})
	if g.web, err = g.newWeb(); err != nil {
		return err
	}
	if g.dicom, err = g.newDICOM(); err != nil {
		return err
	}
	g.admind = admind.New(g.operators())
	g.http = certd.New(g.withPublished(g.certdOptions()))
	if g.dns, err = dnsd.New(dnsd.Options{}); err != nil {
		return err
	}
	if g.ldap, err = ldapd.New(ldapd.Options{}); err != nil {
		return err
	}
	return g.publish(ctx)
}

// Flow is the installation's flow of messages.
func (g *Gateway) Flow() *flow.Flow { return g.flow }

// Mailboxes are the folders of its accounts.
func (g *Gateway) Mailboxes() *mailbox.Service { return g.mailboxes }

// FileSet takes the DICOM.ZIP out of an opened message. The caller closes it.
func (g *Gateway) FileSet(b *blob.Body) (*mailbox.Attached, error) {
	return mailbox.FileSet(g.blobs, b)
}
