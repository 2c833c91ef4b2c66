// Package pilot is the pilot CA: the authority that gives a trial installation its certificates at once, without waiting for an
// accredited one. It is a real CA of one level: it issues by RFC 5280, writes AIA and CRL pointers into what it issues (Direct
// 4.2.2, 4), keeps its revocation list fresh and answers OCSP requests (RFC 6960); partners are handed its certificate as an anchor.
//
// Certificates are replaced by Establish and Renew, in time or when what they say is true no more. What was replaced or revoked
// signs nothing from then on and is published no more, but its key still decrypts (Direct 1.4): mail sealed for it may be under way.
// What was replaced stays valid to its end all the same, for partners who have it still; only Revoke and Replace put it on the list.
//
// The authority itself gets a new key two years before its certificate ends, cross-certified both ways under the same name (RFC 4210
// §4.4: new with old, old with new). From then on it issues with the new key. Who trusts the old anchor only follows the one cross
// certificate, who trusts the new one only the other; both are served as a PKCS #7 bundle where issued certificates point (RFC 5280
// §4.2.2.1). Each key signs a list of its own.
//
// What it is not: an identity check. Whoever has the data directory is the domain. Nor is the authority bound to its domain by name
// constraints: RFC 5280 §4.2.1.10 wants them critical, and gpgsm (GnuPG 2.2) refuses every certificate below such an authority.
package pilot

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"carepost/addr"
	"carepost/internal/audit"
	"carepost/internal/keyring"
	"carepost/internal/store"
)

// Where certd serves what the certificates point to, below Authority.URL. These are of the first key; those after it have names of
// their own ("pilot-2"). One OCSP responder answers for all.
const (
	Name            = "pilot" // what certd calls the authority
	CertificatePath = "/" + Name + ".cer"
	BundlePath      = "/" + Name + ".p7c"
	CRLPath         = "/" + Name + ".crl"
	OCSPPath        = "/" + Name + ".ocsp"
)

const (
	actor    = audit.Actor("pilot")
	settings = "pilot:" // prefix of the settings that hold the authority of a domain
)

// Authority is the pilot CA of an installation, called after its first Health Domain.
type Authority struct {
	Domain addr.Domain
	URL    string // base of AIA and CRL pointers, without final slash

	store *store.Store
	keys  *keyring.Keyring
	opts  Options
	held  atomic.Pointer[[]generation] // its keys, oldest first; never empty
	turns chan struct{}                // OCSP answers signed at once
}

// Options of Establish; all but Now hold for Renew too.
type Options struct {
	Domain   addr.Domain
	Domains  []addr.Domain // for which it speaks besides
	Hostname string        // of the SMTP listener
	IPs      []netip.Addr  // that the listener's certificate names besides
	URL      string        // where certd can be reached: http://host:port
	Now      time.Time
}

// state is what a domain's setting holds.
type state struct {
	Authority, AuthorityKey []byte   `json:",omitempty"` // the newest
	Former                  []former `json:",omitempty"` // those before, oldest first
	Server, ServerKey       []byte   `json:",omitempty"`
	Revoked                 []revoked
	Recorded                bool `json:",omitempty"` // all that was issued is in the table
}

// former is a key of the authority that was followed by another.
type former struct {
	Certificate, Key []byte
	OldWithNew       []byte `json:",omitempty"` // this key, certified by the next
	NewWithOld       []byte `json:",omitempty"` // the next key, certified by this
}

func (st state) revoked(serial *big.Int) bool {
	_, ok := st.revocation(serial)
	return ok
}

func (st state) revocation(serial *big.Int) (revoked, bool) {
	i := slices.IndexFunc(st.Revoked, func(r revoked) bool { return new(big.Int).SetBytes(r.Serial).Cmp(serial) == 0 })
	if i < 0 {
		return revoked{}, false
	}
	return st.Revoked[i], true
}

type revoked struct {
	Serial []byte
	At     time.Time
	Reason Reason `json:",omitempty"`
}

// Establish gives the domains their authority and organisational certificates, and the installation a server certificate, or finds those that it has and
// replaces those that are due.
func Establish(ctx context.Context, s *store.Store, k *keyring.Keyring, o Options) (*Authority, error) {
	a := &Authority{Domain: o.Domain, URL: o.URL, store: s, keys: k, opts: o, turns: make(chan struct{}, signers)}
	if err := contend(func() error { return a.establish(ctx) }); err != nil {
		return nil, fmt.Errorf("pilot: the authority of %s: %w", o.Domain, err)
	}
	return a, nil
}

// Renew is Establish at a later time: it replaces the certificates that are due by now. It may be called while a is in use.
func (a *Authority) Renew(ctx context.Context, now time.Time) error {
	err := contend(func() error {
		if err := a.load(ctx); err != nil { // another process may have been first
			return err
		}
		if err := a.succeed(ctx, now); err != nil {
			return err
		}
		return a.renew(ctx, now)
	})
	if err != nil {
		return fmt.Errorf("pilot: renewing the certificates of %s: %w", a.Domain, err)
	}
	return nil
}

// contend tries again when another process on the same store was first.
func contend(try func() error) (err error) {
	for range 3 {
		if err = try(); !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return err
}

func (a *Authority) establish(ctx context.Context) error {
	err := a.load(ctx)
	if errors.Is(err, store.ErrNotFound) {
		err = a.create(ctx, a.opts.Now)
	}
	if err != nil {
		return err
	}
	if err := a.succeed(ctx, a.opts.Now); err != nil {
		return err
	}
	return a.renew(ctx, a.opts.Now)
}

// domains are those for which the authority speaks.
func (a *Authority) domains() []addr.Domain {
	return append([]addr.Domain{a.Domain}, a.opts.Domains...)
}

func (a *Authority) setting() string { return settings + a.Domain.String() }

func (a *Authority) load(ctx context.Context) error {
	var st state
	err := a.store.View(ctx, func(tx *store.Tx) (err error) {
		st, _, err = a.read(tx)
		return err
	})
	if err != nil {
		return err
	}
	return a.hold(ctx, st)
}

func (a *Authority) read(tx *store.Tx) (st state, version int64, err error) {
	raw, version, err := tx.Setting(a.setting())
	if err != nil {
		return state{}, 0, err
	}
	return st, version, json.Unmarshal(raw, &st)
}

func (a *Authority) write(tx *store.Tx, st state, version int64) error {
	raw, err := json.Marshal(st)
	if err != nil {
		return err
	}
	return tx.SetSetting(a.setting(), raw, version)
}

// create makes the authority. It issues nothing yet; after a crash here the next Establish goes on.
func (a *Authority) create(ctx context.Context, now time.Time) error {
	key, err := RSA2048.generate() // before the transaction, for it takes its time
	if err != nil {
		return err
	}
	template := authorityTemplate(a.Domain, now)
	certificate, err := issue(template, template, key.Public(), key)
	if err != nil {
		return err
	}
	err = a.store.Tx(ctx, func(tx *store.Tx) error {
		handle, err := a.keys.Import(ctx, tx, key)
		if err != nil {
			return err
		}
		if err := a.write(tx, state{Authority: certificate.Raw, AuthorityKey: []byte(handle)}, 0); err != nil {
			return err
		}
		return audit.Write(tx, audit.Entry{Actor: actor, Action: "authority.create", Object: a.object(),
			Detail: map[string]string{"serial": certificate.SerialNumber.Text(16)}})
	})
	if err != nil {
		return err
	}
	a.held.Store(&[]generation{{n: 1, certificate: certificate, key: key}})
	return nil
}

// object is how the audit names what the authority does.
func (a *Authority) object() string { return "domain:" + a.Domain.String() }

// ServerCertificate is what the SMTP listener shows; its key stays in the keyring.
func (a *Authority) ServerCertificate(ctx context.Context, now time.Time) (tls.Certificate, error) {
	var st state
	err := a.store.View(ctx, func(tx *store.Tx) (err error) {
		st, _, err = a.read(tx)
		return err
	})
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("pilot: server certificate: %w", err)
	}
	key, err := a.keys.Signer(ctx, string(st.ServerKey))
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("pilot: server key: %w", err)
	}
	leaf, err := x509.ParseCertificate(st.Server)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("pilot: server certificate: %w", err)
	}
	out := tls.Certificate{Certificate: [][]byte{st.Server}, PrivateKey: key}
	for _, c := range a.above(leaf, now) {
		out.Certificate = append(out.Certificate, c.Raw)
	}
	return out, nil
}

// signerOf is the key that the certificate of a generation was made for.
func (a *Authority) signerOf(ctx context.Context, handle []byte) (crypto.Signer, error) {
	return a.keys.Signer(ctx, string(handle))
}
