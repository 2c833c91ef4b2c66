package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"carepost/addr"
)

// Setup is what a new installation is made from.
type Setup struct {
	Domain   addr.Domain
	Hostname string     // empty = mx.DOMAIN
	Address  netip.Addr // where listeners are, and where others reach them
	Pilot    bool
	Ports    Ports
}

// Ports of the listeners.
type Ports struct{ MX, Submission, Submissions, DNS, HTTP uint16 }

// standard are unprivileged ports that remind of the usual ones.
var standard = Ports{MX: 2525, Submission: 2587, Submissions: 2465, DNS: 2053, HTTP: 2080}

func (p Ports) all() []uint16 { return []uint16{p.MX, p.Submission, p.Submissions, p.DNS, p.HTTP} }

// Free picks ports on which nobody listens at a, and that are none of others (of installations that do not run at the moment):
// 2525, 2587 and so on, or the same a thousand further up.
func Free(a netip.Addr, others []string) (Ports, error) {
	if l, err := net.Listen("tcp", netip.AddrPortFrom(a, 0).String()); err != nil {
		return Ports{}, fmt.Errorf("config: cannot listen at %s: %w", a, err)
	} else {
		l.Close()
	}
	taken := map[string]bool{}
	for _, o := range others {
		taken[o] = true
	}
	for step := uint16(0); step <= 20_000; step += 1000 {
		p := Ports{standard.MX + step, standard.Submission + step, standard.Submissions + step, standard.DNS + step, standard.HTTP + step}
		free := true
		for _, port := range p.all() {
			at := netip.AddrPortFrom(a, port).String()
			free = free && !taken[at] && listens(at)
		}
		if free {
			return p, nil
		}
	}
	return Ports{}, fmt.Errorf("config: no free ports at %s", a)
}

// listens says whether one can listen there.
func listens(at string) bool {
	l, err := net.Listen("tcp", at)
	if err != nil {
		return false
	}
	defer l.Close()
	u, err := net.ListenPacket("udp", at)
	if err != nil {
		return false
	}
	u.Close()
	return true
}

// Text is the carepost.toml of a new installation.
func (s Setup) Text() string {
	at := func(port uint16) string { return net.JoinHostPort(s.Address.String(), strconv.Itoa(int(port))) }
	hostname := s.Hostname
	if hostname == "" {
		hostname = "mx." + s.Domain.String()
	}
	return strings.NewReplacer(
		"{domain}", s.Domain.String(), "{hostname}", hostname, "{address}", s.Address.String(), "{pilot}", strconv.FormatBool(s.Pilot),
		"{mx}", at(s.Ports.MX), "{submission}", at(s.Ports.Submission), "{submissions}", at(s.Ports.Submissions),
		"{dns}", at(s.Ports.DNS), "{http}", at(s.Ports.HTTP),
	).Replace(template)
}

const template = `# Carepost at {domain}. Read strictly: a key that is not known is an error. "carepost serve" reads it again on SIGHUP.
# A # begins a comment; what is commented out shows the default.

domain   = "{domain}"   # the Health Domain: everything behind the @ of its addresses
# domains = ["eye.clinic.example"]   # further Health Domains of this installation; each has certificates and a zone of its own
hostname = "{hostname}"   # name of the mail server, as the MX record has it
address  = "{address}"   # where that server is reached: goes into the DNS records
pilot    = {pilot}   # true: certificates come from an authority of our own, for trials

[listen]   # host:port; "" = off. Who starts Carepost with the right to do so may name the ports 25, 587, 465 and 53.
mx          = "{mx}"   # mail from other servers, STARTTLS
submission  = "{submission}"   # mail programs of our own accounts, STARTTLS and password
submissions = "{submissions}"   # the same, TLS from the first byte
dns         = "{dns}"   # name server that publishes our MX and CERT records
http        = "{http}"   # certificate and revocation list of the pilot authority
# ldap      = ":389"   # directory with the same certificates, for partners who look for them by LDAP; read only

[publish]   # how our certificates are published; "carepost cert publish" shows what, with what is to be known about it
# dns         = true    # CERT records
# ldap        = true    # directory: the listener ldap, and dns/DOMAIN.ldif for another server
# url         = false   # true: CERT records lead to the listener http (type 4) in place of holding the certificates (type 1)
# nameservers = ["ns1.provider.example"]   # of the zone; without: this server
# records     = ['@ TXT "v=spf1 mx -all"', '@ CAA 0 issuemail "ca.example"']   # further records of the zone

[tls]   # what mail servers and mail programs are shown, PEM. Without: a certificate of the pilot authority, or a self-signed one.
# certificate = "keys/server.pem"
# key         = "keys/server.key"

[store]   # SQLite in data/, unless a PostgreSQL is named: by a file that holds its connection string, or an environment variable.
# postgres_file = "keys/postgres"
# postgres_env  = "CAREPOST_POSTGRES"

[queue]
# lifetime     = "96h"   # how long a message is tried
# delay_notice = "4h"    # after which the sender is told that it takes longer
# patience     = "1h"    # after which a missing processed notice counts as a failure
# held         = "72h"   # after which mail that waits for somebody to release it is turned away

[submission]
# hosts = ["192.0.2.10"]   # mail servers that send for all accounts without signing in: what cannot be sealed is refused

[dns]
# servers = ["192.0.2.53"]   # name servers to ask; without: those of this machine

[discovery]   # how certificates of others are found
# ldap     = true    # false: DNS alone is asked
# deadline = "20s"   # for one recipient
# remember = false   # true: certificates of signed mail that was trusted serve where nothing is found

[policy]
# profile   = "v1.2"   # rules of trust and of algorithms: v1.2, v1.3 or lenient. [policy.algorithms] changes single algorithms.
# on_behalf = false    # true: an account may write in the name of another, as its Sender

[policy.revocation]
# unknown = "await"   # where nobody says whether a certificate is revoked: await, accept or demand
# grace   = "24h"     # for so long a list counts after its time

[policy.certificates]   # what certificates must be like besides; the language is told in docs/operation.md
# trust = "X509.TBS.EXTENSION.CertificatePolicies.PolicyOIDs {?} 1.3.6.1.4.1.41179.0.1.2"   # those of others

# [[rule]]   # an example: what is demanded besides the standards; as many of these as there are rules, the first that speaks of a matter counts
# for       = ["lab@{domain}"]             # addresses and domains of ours; without: all
# with      = ["south.example"]            # those of the other side; without: all
# direction = "in"                         # or "out"; without: both
# accept    = ["text/plain", "image/*"]    # media types that may be in it
# size      = "25 MB"
# instead   = "records@{domain}"           # takes what this address does not
# readable  = true                         # what programs read comes with something that people read
# hold      = true                         # waits for "carepost queue release"
# refuse    = "no contract with this practice"   # nothing passes

# [[webhook]]   # an example: a program that is told by ids and states what becomes of messages; "carepost webhook test" tries it
# url         = "https://hooks.{domain}/carepost"
# secret_file = "keys/webhook"        # 24 octets at least, or whsec_ and base64
# events      = ["recipient.fail"]    # without: all
# address     = "10.1.2.3"            # of a host inside the house
`

// ErrThere says that a directory holds an installation already.
var ErrThere = errors.New("config: there is an installation already")

// Create makes the directory of an installation with its carepost.toml, and returns it loaded. A directory that has one already is
// ErrThere; nothing in it is changed.
func Create(dir string, s Setup) (*Config, error) {
	path := filepath.Join(dir, Name)
	if there, err := Exists(dir); err != nil {
		return nil, fmt.Errorf("config: %w", err)
	} else if there {
		return nil, fmt.Errorf("%w: %s", ErrThere, path)
	}
	if err := write(path, s.Text(), 0o600, os.Link); errors.Is(err, fs.ErrExist) { // somebody was quicker
		return nil, fmt.Errorf("%w: %s", ErrThere, path)
	} else if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	return Load(path)
}
