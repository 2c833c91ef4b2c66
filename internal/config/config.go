// Package config reads and writes the files that a person edits: carepost.toml of an installation, and the cards by which
// installations that try each other out are introduced. The rooms never see these forms; package gateway is given its Options.
//
// The format is TOML 1.0, read strictly: a key that is not known here is an error, with its line, and so is a value that cannot be.
// A secret never stands in the file: where one is needed, the file names another file, or the environment variable, that holds it.
package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"carepost/addr"
	"carepost/cms"
	"carepost/internal/agent"
	"carepost/internal/rule"
	"carepost/trust"
)

// Name of the file in the directory of its installation.
const Name = "carepost.toml"

// Config is what an installation is told by its carepost.toml and the cards of its partners.
type Config struct {
	Dir string // the installation: where the file lies

	Domain   addr.Domain   // the first one, after which the installation is called
	Domains  []addr.Domain // the others, sorted
	Hostname string        // of the MX host [mx.DOMAIN]
	Address  netip.Addr
	Pilot    bool // the installation has an authority of its own

	Listen    Listen
	TLS       TLS
	Publish   Publish
	Postgres  Secret // connection string; none = SQLite in Dir/data
	Queue     Queue
	Servers   []string // of DNS, host:port; empty = those of the system
	Discovery Discovery
	Policy    trust.Policy
	Profile   string // Policy by its name
	Tolerant  bool   // of odd certificates
	Filters   agent.Filters
	Token     Token // where private keys lie besides the database

	Algorithms cms.Algorithms // the column of Profile, with changes
	Revocation agent.Revocations
	Rules      rule.Rules
	Hosts      []netip.Prefix // that submit for all accounts without signing in
	Webhooks   []Webhook
	Relays     []Relay
	Collects   []Collect
	Audit      Audit
	DICOM      DICOM
	OnBehalf   bool   // an account may write in the name of another
	Partners   []Card // sorted by domain
}

// Listen says where to listen, host:port each; empty = not at all.
type Listen struct {
	MX          string
	Submission  string // STARTTLS (RFC 6409)
	Submissions string // TLS from the first byte (RFC 8314)
	DNS         string // UDP and TCP
	HTTP        string // the pilot authority's certificate and revocation list
	LDAP        string // the directory of our certificates
}

// TLS names the server certificate that mail clients and servers are shown, PEM files; both empty = the pilot authority's own, or a
// self-signed one.
type TLS struct{ Certificate, Key string }

// Token names a PKCS #11 token. The zero value is none.
type Token struct {
	Module string // path of the PKCS #11 library
	URI    string // which token (RFC 7512); empty: the only one there is
	PIN    Secret
}

// Queue says how long what is tried. Zero = the defaults of package flow.
type Queue struct {
	Lifetime    time.Duration // until a message is given up
	DelayNotice time.Duration // until the sender is told that it takes longer
	Patience    time.Duration // until a missing processed notice counts as a failure
	Held        time.Duration // until mail that waits for a person is turned away
}

// file is carepost.toml as it is written. Each value checks itself, so that what is wrong is told with its line.
type file struct {
	Domain   domain    `toml:"domain"`
	Domains  []domain  `toml:"domains"`
	Hostname domain    `toml:"hostname"`
	Address  ipAddress `toml:"address"`
	Pilot    bool      `toml:"pilot"`
	Listen   struct {
		MX          hostPort `toml:"mx"`
		Submission  hostPort `toml:"submission"`
		Submissions hostPort `toml:"submissions"`
		DNS         hostPort `toml:"dns"`
		HTTP        hostPort `toml:"http"`
		LDAP        hostPort `toml:"ldap"`
	} `toml:"listen"`
	Publish publication `toml:"publish"`
	TLS     struct {
		Certificate string `toml:"certificate"`
		Key         string `toml:"key"`
	} `toml:"tls"`
	Store struct {
		Postgres    string `toml:"postgres_file"`
		PostgresEnv string `toml:"postgres_env"`
	} `toml:"store"`
	Keys struct {
		Token struct {
			Module string `toml:"module"`
			URI    string `toml:"uri"`
			PIN    string `toml:"pin_file"`
			PINEnv string `toml:"pin_env"`
		} `toml:"token"`
	} `toml:"keys"`
	Queue struct {
		Lifetime    duration `toml:"lifetime"`
		DelayNotice duration `toml:"delay_notice"`
		Patience    duration `toml:"patience"`
		Held        duration `toml:"held"`
	} `toml:"queue"`
	Submission struct {
		Hosts []network `toml:"hosts"`
	} `toml:"submission"`
	DNS struct {
		Servers []server `toml:"servers"`
	} `toml:"dns"`
	Discovery discovery `toml:"discovery"`
	Policy    struct {
		Profile    profile        `toml:"profile"`
		Tolerant   bool           `toml:"tolerant"`
		OnBehalf   bool           `toml:"on_behalf"`
		Algorithms map[string]use `toml:"algorithms"`
		Revocation revocation     `toml:"revocation"`

		Certificates certificates `toml:"certificates"`
	} `toml:"policy"`
	Rules    []demand     `toml:"rule"`
	Webhooks []webhook    `toml:"webhook"`
	Relays   []relayTo    `toml:"relay"`
	Collects []collecting `toml:"collect"`
	Audit    auditing     `toml:"audit"`

	DICOM dicomSection `toml:"dicom"`
}

// Error is what is wrong with a file, and where.
type Error struct {
	Path   string
	Line   int // from 1; 0 = the file as a whole
	Reason string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.Path, e.Reason)
	}
	return fmt.Sprintf("%s:%d: %s", e.Path, e.Line, e.Reason)
}

// Find says which carepost.toml a person means: a file, or the directory that holds one.
func Find(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if info.IsDir() {
		path = filepath.Join(path, Name)
		if _, err := os.Stat(path); err != nil {
			return "", err
		}
	}
	return filepath.Abs(path)
}

// Load reads a carepost.toml and the cards beside it. *Error where something in them is wrong.
func Load(path string) (*Config, error) {
	text, err := read(path)
	if err != nil {
		return nil, err
	}
	c, err := Parse(path, text)
	if err != nil {
		return nil, err
	}
	if c.Partners, err = cards(filepath.Join(c.Dir, Partners)); err != nil {
		return nil, err
	}
	for _, p := range c.Partners {
		if d, by := c.Claimed(p); d != "" {
			return nil, &Error{Path: filepath.Join(c.Dir, Partners, p.Domain.String()+".toml"), Reason: fmt.Sprintf("%s is a domain of %s", d, by)}
		}
	}
	return c, nil
}

// Parse reads the text of a carepost.toml; path says where it stood. Of the cards beside it nothing is known then.
func Parse(path, text string) (*Config, error) {
	var f file
	f.Policy.Profile, f.Policy.Revocation.Grace = "v1.2", grace(24*time.Hour)
	err := decode(path, text, &f)
	if err != nil {
		return nil, err
	}
	wrong := func(key, format string, a ...any) error {
		line := 0
		for at := strings.Split(key, "."); line == 0 && len(at) > 0; at = at[:len(at)-1] { // of a table within the line, that line
			line = lineOf(text, at)
		}
		return &Error{path, line, fmt.Sprintf(format, a...)}
	}
	switch {
	case f.Domain == "":
		return nil, wrong("", `the key "domain" is missing: the Health Domain, such as clinic.example`)
	case (f.TLS.Certificate == "") != (f.TLS.Key == ""):
		return nil, wrong("tls.certificate", "certificate and key go together")
	case f.Pilot && f.Listen.HTTP == "":
		return nil, wrong("listen.http", "an authority of our own needs it: partners fetch its revocation list there")
	case f.Pilot && !reachable(string(f.Listen.HTTP)) && !netip.Addr(f.Address).IsValid():
		return nil, wrong("listen.http", `where do others reach it? Name an IP address there, or the key "address"`)
	case f.Store.Postgres != "" && f.Store.PostgresEnv != "":
		return nil, wrong("store.postgres_env", "postgres_file and postgres_env say the same thing twice")
	case f.Keys.Token.Module == "" && f.Keys.Token.URI+f.Keys.Token.PIN+f.Keys.Token.PINEnv != "":
		return nil, wrong("keys.token.uri", `which library speaks to the token? Name it with "module"`)
	case f.Keys.Token.Module != "" && (f.Keys.Token.PIN == "") == (f.Keys.Token.PINEnv == ""):
		return nil, wrong("keys.token.module", "the PIN is wanted once: pin_file or pin_env")
	case f.Queue.DelayNotice > 0 && f.Queue.Lifetime > 0 && f.Queue.DelayNotice >= f.Queue.Lifetime:
		return nil, wrong("queue.delay_notice", "the notice of delay would come after the end of the message's lifetime")
	}
	dir := filepath.Dir(path)
	within := func(name string) string {
		if name == "" || filepath.IsAbs(name) {
			return name
		}
		return filepath.Join(dir, name)
	}
	c := &Config{
		Dir: dir, Domain: addr.Domain(f.Domain), Hostname: string(f.Hostname), Address: netip.Addr(f.Address), Pilot: f.Pilot,
		Listen: Listen{string(f.Listen.MX), string(f.Listen.Submission), string(f.Listen.Submissions), string(f.Listen.DNS), string(f.Listen.HTTP), string(f.Listen.LDAP)},
		TLS:    TLS{within(f.TLS.Certificate), within(f.TLS.Key)},
		Queue:  Queue{time.Duration(f.Queue.Lifetime), time.Duration(f.Queue.DelayNotice), time.Duration(f.Queue.Patience), time.Duration(f.Queue.Held)},
		Policy: policies[string(f.Policy.Profile)], Profile: string(f.Policy.Profile), Tolerant: f.Policy.Tolerant, OnBehalf: f.Policy.OnBehalf,
	}
	if c.Hostname == "" {
		c.Hostname = "mx." + c.Domain.String()
	}
	if c.Domains, err = others(c.Domain, f.Domains, wrong); err != nil {
		return nil, err
	}
	for _, s := range f.DNS.Servers {
		c.Servers = append(c.Servers, string(s))
	}
	if c.Discovery, err = f.Discovery.checked(wrong); err != nil {
		return nil, err
	}
	c.Postgres = Secret{within(f.Store.Postgres), f.Store.PostgresEnv}
	if t := f.Keys.Token; t.Module != "" {
		c.Token = Token{within(t.Module), t.URI, Secret{within(t.PIN), t.PINEnv}}
	}
	if c.Algorithms, err = algorithms(c.Policy, f.Policy.Algorithms, wrong); err != nil {
		return nil, err
	}
	if c.Revocation, err = revocations(f.Policy.Revocation, wrong); err != nil {
		return nil, err
	}
	if c.Filters, err = filters(f.Policy.Certificates, within, wrong); err != nil {
		return nil, err
	}
	for _, n := range f.Submission.Hosts {
		c.Hosts = append(c.Hosts, netip.Prefix(n))
	}
	if c.Webhooks, err = webhooks(f.Webhooks, within, wrong); err != nil {
		return nil, err
	}
	if c.Relays, err = relays(f.Relays, within, wrong); err != nil {
		return nil, err
	}
	if c.Collects, err = collects(c, f.Collects, within, wrong); err != nil {
		return nil, err
	}
	if c.Rules, err = rules(f.Rules, wrong); err != nil {
		return nil, err
	}
	if c.Audit, err = f.Audit.checked(within, wrong); err != nil {
		return nil, err
	}
	if c.Publish, err = publish(c, f.Publish, wrong); err != nil {
		return nil, err
	}
	if c.DICOM, err = f.DICOM.checked(c, within, wrong); err != nil {
		return nil, err
	}
	return c, c.listeners(wrong)
}

// maxDomains of one installation: each has a zone and certificates of its own.
const maxDomains = 1000

// others are the further domains, sorted.
func others(first addr.Domain, all []domain, wrong func(key, format string, a ...any) error) (out []addr.Domain, err error) {
	for _, d := range all {
		if addr.Domain(d) == first || slices.Contains(out, addr.Domain(d)) {
			return nil, wrong("domains", "%s stands here twice", d)
		}
		out = append(out, addr.Domain(d))
	}
	if len(out) >= maxDomains {
		return nil, wrong("domains", "more than %d domains are too many for one installation", maxDomains)
	}
	slices.Sort(out)
	return out, nil
}

// most is how long a file may be that we read, in bytes.
const most = 1 << 20

// read reads a file that a person has written. *Error where it is too long for that.
func read(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("config: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return "", fmt.Errorf("config: %w", err)
	}
	if len(text) > most {
		return "", &Error{Path: path, Reason: "it is too long to be a file of ours"}
	}
	return string(text), nil
}

// listeners finds two of them on one address.
func (c *Config) listeners(wrong func(key, format string, a ...any) error) error {
	seen := map[string]string{}
	l, d := c.Listen, c.DICOM
	for _, x := range []struct{ key, address string }{{"listen.mx", l.MX}, {"listen.submission", l.Submission}, {"listen.submissions", l.Submissions},
		{"listen.dns", l.DNS}, {"listen.http", l.HTTP}, {"listen.ldap", l.LDAP}, {"dicom.listen", d.Listen}, {"dicom.listen_tls", d.ListenTLS}, {"dicom.web.listen", d.Web.Listen}} {
		if _, port, _ := net.SplitHostPort(x.address); x.address == "" || port == "0" {
			continue
		}
		if other, twice := seen[x.address]; twice {
			return wrong(x.key, "%s is taken by %s already", x.address, other)
		}
		seen[x.address] = strings.TrimPrefix(x.key, "listen.")
	}
	return nil
}

// Secret says where a secret is: in a file or an environment variable. Commands that speak to a gateway need not know it.
type Secret struct{ File, Env string }

// Read reads the secret, "" where none is named. Its errors do not show it.
func (s Secret) Read() (string, error) {
	switch {
	case s.File != "":
		text, err := read(s.File)
		if err != nil {
			return "", err
		}
		if text = strings.TrimSpace(text); text == "" {
			return "", &Error{Path: s.File, Reason: "it is empty; a secret is to be there"}
		}
		return text, nil
	case s.Env != "":
		text := os.Getenv(s.Env)
		if text == "" {
			return "", fmt.Errorf("config: the environment variable %s is empty; a secret is to be there", s.Env)
		}
		return text, nil
	}
	return "", nil
}

// decode reads TOML into v, strictly.
func decode(path, text string, v any) error {
	meta, err := toml.Decode(text, v)
	if syntax := (toml.ParseError{}); errors.As(err, &syntax) {
		return &Error{path, syntax.Position.Line, syntax.Message}
	}
	if err != nil { // "toml: line 3 (last key "pilot"): incompatible types: …"
		e := &Error{path, 0, strings.TrimPrefix(err.Error(), "toml: ")}
		var key string
		if n, _ := fmt.Sscanf(e.Reason, "line %d (last key %q):", &e.Line, &key); n == 2 {
			_, why, _ := strings.Cut(e.Reason, "): ")
			if strings.HasPrefix(why, "incompatible types") {
				why = "the value is of another kind than this key wants"
			}
			e.Reason = fmt.Sprintf("%s: %s", key, why)
		}
		return e
	}
	unknown := meta.Undecoded()
	if len(unknown) == 0 {
		return nil
	}
	var first *Error
	for _, key := range unknown {
		e := &Error{path, lineOf(text, key), fmt.Sprintf("the key %q is not known", key.String())}
		if first == nil || e.Line < first.Line {
			first = e
		}
	}
	return first
}

// lineOf finds the line that gives a key its value, or the header of that table; 0 when it is not found.
func lineOf(text string, key []string) int {
	table := []string{}
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			name, _, _ := strings.Cut(strings.TrimLeft(line, "["), "]")
			table = split(name)
			if slices.Equal(table, key) {
				return n
			}
			continue
		}
		name, _, given := strings.Cut(line, "=")
		if given && slices.Equal(append(slices.Clone(table), split(name)...), key) {
			return n
		}
	}
	return 0
}

// split takes a dotted key apart, as far as the keys that we write need it.
func split(key string) []string {
	parts := strings.Split(key, ".")
	for i, p := range parts {
		parts[i] = strings.Trim(strings.TrimSpace(p), `"'`)
	}
	return parts
}

// Exists says whether a directory holds an installation already.
func Exists(dir string) (bool, error) {
	_, err := os.Stat(filepath.Join(dir, Name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
