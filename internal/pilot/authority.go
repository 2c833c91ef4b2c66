// Package pilot is the pilot CA: the authority that gives a trial installation its certificates at once, without waiting for an
// accredited one. It is a real CA of one level: it issues by RFC 5280, writes AIA and CRL pointers into what it issues (Direct
// 4.2.2, 4) and keeps its revocation list fresh; partners are handed its certificate as an anchor.
//
// Certificates are replaced by Establish and Renew, in time or when what they say is true no more. What was replaced or revoked
// signs nothing from then on and is published no more, but its key still decrypts (Direct 1.4): mail sealed for it may be under way.
//
// What it is not: an identity check. Whoever has the data directory is the domain. Nor is the authority bound to its domain by name
// constraints: RFC 5280 §4.2.1.10 wants them critical, and gpgsm (GnuPG 2.2) refuses every certificate below such an authority.
//
// BUG(pilot): the authority's own certificate is not replaced. When it ends, after ten years, nothing is issued any more.
package pilot

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"slices"
	"time"

	"carepost/addr"
	"carepost/internal/audit"
	"carepost/internal/keyring"
	"carepost/internal/store"
)

// Where certd serves what the certificates point to, below Authority.URL.
const (
	Name            = "pilot" // what certd calls the authority
	CertificatePath = "/" + Name + ".cer"
	CRLPath         = "/" + Name + ".crl"
)

const (
	actor    = audit.Actor("pilot")
	rsaBits  = 2048
	settings = "pilot:" // prefix of the settings that hold the authority of a domain
)

// Authority is the pilot CA of one Health Domain.
type Authority struct {
	Domain      addr.Domain
	Certificate *x509.Certificate // the anchor for partners
	URL         string            // base of AIA and CRL pointers, without final slash

	store *store.Store
	keys  *keyring.Keyring
	key   crypto.Signer
	opts  Options
}

// Options of Establish; all but Now hold for Renew too.
type Options struct {
	Domain   addr.Domain
	Hostname string       // of the SMTP listener
	IPs      []netip.Addr // that the listener's certificate names besides
	URL      string       // where certd can be reached: http://host:port
	Now      time.Time
}

// state is what a domain's setting holds.
type state struct {
	Authority, AuthorityKey []byte `json:",omitempty"`
	Server, ServerKey       []byte `json:",omitempty"`
	Revoked                 []revoked
}

func (st state) revoked(serial *big.Int) bool {
	return slices.ContainsFunc(st.Revoked, func(r revoked) bool { return new(big.Int).SetBytes(r.Serial).Cmp(serial) == 0 })
}

type revoked struct {
	Serial []byte
	At     time.Time
}

// Establish gives the domain its authority, organisational certificate and server certificate, or finds those that it has and
// replaces those that are due.
func Establish(ctx context.Context, s *store.Store, k *keyring.Keyring, o Options) (*Authority, error) {
	a := &Authority{Domain: o.Domain, URL: o.URL, store: s, keys: k, opts: o}
	if err := contend(func() error { return a.establish(ctx) }); err != nil {
		return nil, fmt.Errorf("pilot: the authority of %s: %w", o.Domain, err)
	}
	return a, nil
}

// Renew is Establish at a later time: it replaces the certificates that are due by now. It may be called while a is in use.
func (a *Authority) Renew(ctx context.Context, now time.Time) error {
	if err := contend(func() error { return a.renew(ctx, now) }); err != nil {
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
	return a.renew(ctx, a.opts.Now)
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
	if a.Certificate, err = x509.ParseCertificate(st.Authority); err != nil {
		return err
	}
	a.key, err = a.keys.Signer(ctx, string(st.AuthorityKey))
	return err
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
	key, err := rsa.GenerateKey(rand.Reader, rsaBits) // before the transaction, for it takes its time
	if err != nil {
		return err
	}
	template := authorityTemplate(a.Domain, now)
	certificate, err := issue(template, template, key.Public(), key)
	if err != nil {
		return err
	}
	a.Certificate, a.key = certificate, key
	return a.store.Tx(ctx, func(tx *store.Tx) error {
		handle, err := a.keys.Import(ctx, tx, key)
		if err != nil {
			return err
		}
		if err := a.write(tx, state{Authority: certificate.Raw, AuthorityKey: []byte(handle)}, 0); err != nil {
			return err
		}
		return audit.Write(tx, audit.Entry{Actor: actor, Action: "authority.create", Object: "domain:" + a.Domain.String(),
			Detail: map[string]string{"serial": certificate.SerialNumber.Text(16)}})
	})
}

// ServerCertificate is what the SMTP listener shows; its key stays in the keyring.
func (a *Authority) ServerCertificate(ctx context.Context) (tls.Certificate, error) {
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
	return tls.Certificate{Certificate: [][]byte{st.Server, a.Certificate.Raw}, PrivateKey: key}, nil
}
