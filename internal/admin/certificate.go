package admin

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"carepost/internal/audit"
	"carepost/internal/keyring"
	"carepost/internal/store"
	"carepost/trust"
)

// ErrNoCertificate says that nothing of that id is there.
var ErrNoCertificate = errors.New("admin: there is no such certificate or request")

// Uses of a certificate (RFC 8550 §4.4.2): an owner may have one for both, or separate ones.
const (
	UseBoth    = "both"
	UseSign    = "sign"
	UseEncrypt = "encrypt"
	UseNone    = "none" // its key usage allows neither
)

// States of a certificate of ours.
const (
	StateInUse   = "in use"
	StateWaiting = "waits for its certificate" // a key for which one was asked
	StateEarly   = "not valid yet"
	StateExpired = "expired" // its own end has come
	StateEnded   = "ended"   // we use it no longer: replaced, revoked, or taken out of use
)

// Flag is what an operator should know of a certificate: the fact, the clause it is about, and what to do.
type Flag struct {
	Code   string // "no-aia", "expires-soon", …: for programs
	Text   string // a few words
	Clause string // may be empty
	Remedy string // one sentence
}

// Certificate is one of our own, or a key that waits for one.
type Certificate struct {
	ID          string
	Owner       Owner
	Use         string
	Kind        string // of key: "RSA 2048"
	OnToken     bool
	State       string
	Since       time.Time           // when it was asked for, while it waits
	Certificate *x509.Certificate   // nil while it waits
	Chain       []*x509.Certificate // above it, nearest first
	Until       time.Time           // of its use: not after its own end
	Flags       []Flag
}

// UseOf says what a certificate's key usage allows.
func UseOf(c *x509.Certificate) string {
	sign, encrypt := trust.Fits(c, trust.Signing), trust.Fits(c, trust.Encryption)
	switch {
	case sign && encrypt:
		return UseBoth
	case sign:
		return UseSign
	case encrypt:
		return UseEncrypt
	}
	return UseNone
}

// Certificates lists those of an owner, or of everybody here when owner is zero: what waits first, then the newest. ErrNoDomain, ErrNoAccount.
func (s *Service) Certificates(ctx context.Context, by audit.Actor, owner Owner) (out []Certificate, err error) {
	var rows []store.Cert
	var waiting []store.KeyRequest
	err = s.store.Tx(ctx, func(tx *store.Tx) (err error) {
		if owner != (Owner{}) {
			if owner, err = s.owner(tx, owner); err != nil {
				return err
			}
		}
		if rows, waiting, err = certificateRows(tx, owner); err != nil {
			return err
		}
		return audit.Write(tx, audit.Entry{Actor: by, Action: "certificate.list", Object: "certificate:all"})
	})
	if err != nil {
		return nil, known("certificates", err)
	}
	for _, w := range waiting {
		c, err := s.waiting(ctx, w)
		if err != nil {
			return nil, prefix("certificates", err)
		}
		out = append(out, c)
	}
	for _, row := range rows {
		c, err := s.read(ctx, row)
		if err != nil {
			return nil, prefix("certificates", err)
		}
		out = append(out, c)
	}
	return out, nil
}

// certificateRows are those of an owner, or all when it is zero, newest first.
func certificateRows(tx *store.Tx, owner Owner) (rows []store.Cert, waiting []store.KeyRequest, err error) {
	if owner != (Owner{}) {
		if rows, err = tx.Certs(owner); err == nil {
			waiting, err = tx.KeyRequests(owner)
		}
		return rows, waiting, err
	}
	if rows, err = tx.AllCerts(); err == nil {
		waiting, err = tx.AllKeyRequests()
	}
	slices.Reverse(rows)
	slices.Reverse(waiting)
	return rows, waiting, err
}

func (s *Service) waiting(ctx context.Context, w store.KeyRequest) (Certificate, error) {
	c := Certificate{ID: w.ID, Owner: w.Owner, Use: w.Uses, Kind: w.Kind, State: StateWaiting, Since: w.Created}
	var err error
	c.OnToken, err = s.keys.OnToken(ctx, w.Key)
	return c, err
}

// read makes a Certificate of a row.
func (s *Service) read(ctx context.Context, row store.Cert) (c Certificate, err error) {
	leaf, err := x509.ParseCertificate(row.DER)
	if err != nil {
		return c, fmt.Errorf("certificate %s: %w", row.ID, err)
	}
	chain, err := x509.ParseCertificates(row.Chain)
	if err != nil {
		return c, fmt.Errorf("chain of certificate %s: %w", row.ID, err)
	}
	c = Certificate{ID: row.ID, Owner: row.Owner, Use: UseOf(leaf), Kind: keyring.Kind(leaf.PublicKey), Certificate: leaf, Chain: chain, Until: row.NotAfter}
	if c.OnToken, err = s.keys.OnToken(ctx, row.Key); err != nil && !errors.Is(err, keyring.ErrNoKey) {
		return c, err
	}
	now := s.clock()
	switch {
	case now.After(leaf.NotAfter):
		c.State = StateExpired
	case now.After(row.NotAfter):
		c.State = StateEnded
	case now.Before(row.NotBefore):
		c.State = StateEarly
	default:
		c.State = StateInUse
		c.Flags = append(flags(leaf, chain), expiry(leaf, now)...)
	}
	if errors.Is(err, keyring.ErrNoKey) {
		c.Flags = append(c.Flags, Flag{Code: "no-key", Text: "its key is missing", Remedy: "restore it from a backup"})
	}
	return c, nil
}

// soon is from when on an end that comes is told.
const soon = 30 * 24 * time.Hour

func expiry(leaf *x509.Certificate, now time.Time) []Flag {
	left := leaf.NotAfter.Sub(now)
	if left > soon {
		return nil
	}
	text := fmt.Sprintf("expires in %d days", int(left/(24*time.Hour)))
	switch int(left / (24 * time.Hour)) {
	case 0:
		text = "expires today"
	case 1:
		text = "expires in 1 day"
	}
	return []Flag{{Code: "expires-soon", Text: text, Clause: "RFC 5280 §4.1.2.5", Remedy: "ask for the next one with carepost cert request"}}
}

// flags tells what partners may stumble over. The path is the certificate and those above it, the nearest first.
func flags(leaf *x509.Certificate, chain []*x509.Certificate) (out []Flag) {
	path := append([]*x509.Certificate{leaf}, chain...)
	top := path[len(path)-1]
	whole := selfSigned(top)
	if !whole && len(chain) == 0 {
		out = append(out, Flag{Code: "chain-unknown", Text: "its issuer is not known here", Clause: "Direct 4.2.2",
			Remedy: "unless partners trust its issuer itself, import it once more together with the certificates above it"})
	}
	// Direct 4.2.2 (DIR-53): in a path that is longer than one, what is not issued by the anchor itself says where its issuer's certificate is.
	for i, c := range path {
		issuedByAnchor := i+1 < len(path) && selfSigned(path[i+1])
		if selfSigned(c) || issuedByAnchor || httpAIA(c) {
			continue
		}
		who := "it does not say"
		if i > 0 {
			who = fmt.Sprintf("certificate %d above it does not say", i)
		}
		out = append(out, Flag{Code: "no-aia", Text: "no AIA", Clause: "Direct 4.2.2",
			Remedy: who + " where its issuer's certificate is to be had (caIssuers over HTTP): partners who are not sent the whole chain may refuse it; ask the authority for one that does"})
		break
	}
	return out
}

func selfSigned(c *x509.Certificate) bool {
	return string(c.RawSubject) == string(c.RawIssuer) && c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}

func httpAIA(c *x509.Certificate) bool {
	return slices.ContainsFunc(c.IssuingCertificateURL, func(u string) bool { return len(u) > 7 && (u[:7] == "http://" || u[:8] == "https://") })
}

// ExpireCertificate takes a certificate out of use: nothing is signed with it and it is published no more, but its key still decrypts (Direct
// 1.4). Of a request that waits, the key is deleted. ErrNoCertificate.
func (s *Service) ExpireCertificate(ctx context.Context, by audit.Actor, id string) (c Certificate, err error) {
	var row store.Cert
	err = s.store.Tx(ctx, func(tx *store.Tx) error {
		rows, waiting, err := certificateRows(tx, Owner{})
		if err != nil {
			return err
		}
		entry := audit.Entry{Actor: by, Action: "certificate.expire", Object: "certificate:" + id}
		if i := slices.IndexFunc(waiting, func(w store.KeyRequest) bool { return w.ID == id }); i >= 0 {
			if c, err = s.waiting(ctx, waiting[i]); err != nil {
				return err
			}
			entry.Action = "certificate.request-drop"
			if err := tx.DropKeyRequest(id); err != nil {
				return err
			}
			return audit.Write(tx, entry)
		}
		i := slices.IndexFunc(rows, func(row store.Cert) bool { return row.ID == id })
		if i < 0 {
			return ErrNoCertificate
		}
		row = rows[i]
		at := s.clock()
		leaf, err := x509.ParseCertificate(row.DER)
		if err != nil {
			return err
		}
		if at.After(leaf.NotAfter) { // its own end is no end of its use: it is missed until somebody says that it is not
			at = leaf.NotAfter
		}
		if err := tx.RetireCert(id, at); err != nil {
			return err
		}
		row.NotAfter = at.Add(-time.Millisecond)
		return audit.Write(tx, entry)
	})
	if err != nil || row.ID == "" {
		return c, known("expire a certificate", err)
	}
	if c, err = s.read(ctx, row); err == nil {
		err = s.published(ctx)
	}
	return c, prefix("expire a certificate", err)
}

// published has what changed published.
func (s *Service) published(ctx context.Context) error {
	if s.publish == nil {
		return nil
	}
	return s.publish(ctx)
}
