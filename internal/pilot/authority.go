// Package pilot is the pilot CA: the authority that gives a trial installation its certificates at once, without waiting for an
// accredited one. It is a real CA of one level: it issues by RFC 5280, writes AIA and CRL pointers into what it issues (Direct
// 4.2.2, 4) and keeps its revocation list fresh; partners are handed its certificate as an anchor.
//
// What it is not: an identity check. Whoever has the data directory is the domain.
package pilot

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
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
}

// Options of Establish.
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

type revoked struct {
	Serial []byte
	At     time.Time
}

// Establish gives the domain its authority, organisational certificate and server certificate, or finds those that it has.
func Establish(ctx context.Context, s *store.Store, k *keyring.Keyring, o Options) (*Authority, error) {
	a := &Authority{Domain: o.Domain, URL: o.URL, store: s, keys: k}
	err := a.load(ctx)
	if errors.Is(err, store.ErrNotFound) {
		err = a.create(ctx, o)
	}
	if err != nil {
		return nil, fmt.Errorf("pilot: the authority of %s: %w", o.Domain, err)
	}
	return a, nil
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

// keys of a new authority, made before the transaction: RSA takes its time.
type keySet struct{ authority, organisation, server crypto.Signer }

func newKeys() (keySet, error) {
	type made struct {
		key crypto.Signer
		err error
	}
	organisation := make(chan made, 1)
	go func() {
		k, err := rsa.GenerateKey(rand.Reader, rsaBits)
		organisation <- made{k, err}
	}()
	authority, err1 := rsa.GenerateKey(rand.Reader, rsaBits)
	server, err2 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	o := <-organisation
	return keySet{authority, o.key, server}, errors.Join(err1, err2, o.err)
}

func (a *Authority) create(ctx context.Context, o Options) error {
	ks, err := newKeys()
	if err != nil {
		return err
	}
	a.key = ks.authority
	template := authorityTemplate(a.Domain, o.Now)
	if a.Certificate, err = issue(template, template, ks.authority.Public(), ks.authority); err != nil {
		return err
	}
	organisation, err := a.sign(a.organisational(a.Domain, o.Now), ks.organisation.Public())
	if err != nil {
		return err
	}
	server, err := a.sign(a.server(o.Hostname, o.IPs, o.Now), ks.server.Public())
	if err != nil {
		return err
	}
	return a.store.Tx(ctx, func(tx *store.Tx) error {
		authorityKey, err := a.keys.Import(ctx, tx, ks.authority)
		if err != nil {
			return err
		}
		serverKey, err := a.keys.Import(ctx, tx, ks.server)
		if err != nil {
			return err
		}
		organisationKey, err := a.keys.Import(ctx, tx, ks.organisation)
		if err != nil {
			return err
		}
		err = a.write(tx, state{
			Authority: a.Certificate.Raw, AuthorityKey: []byte(authorityKey), Server: server.Raw, ServerKey: []byte(serverKey),
		}, 0)
		if err != nil {
			return err
		}
		err = tx.InsertCert(&store.Cert{
			Owner: store.Owner{Domain: a.Domain}, Key: organisationKey, DER: organisation.Raw, Chain: a.Certificate.Raw,
			NotBefore: organisation.NotBefore, NotAfter: organisation.NotAfter,
		})
		if err != nil {
			return err
		}
		return audit.Write(tx, audit.Entry{Actor: actor, Action: "authority.create", Object: "domain:" + a.Domain.String(),
			Detail: map[string]string{"serial": organisation.SerialNumber.Text(16)}})
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
