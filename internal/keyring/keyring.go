// Package keyring keeps private keys. Others hold handles and use keys through crypto.Signer and crypto.Decrypter; the bytes stay here,
// sealed in the table privkey as PKCS #8 (RFC 5958). A key that lies on a PKCS #11 token has its URI (RFC 7512) there instead: see Token.
//
// Keys that were used lately are kept in memory, for the parsing and checking of an RSA key costs as much as a signature.
package keyring

import (
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"sync"

	"carepost/internal/store"
)

// Errors that callers branch on.
var (
	ErrNoKey = errors.New("keyring: no such key")
	ErrKind  = errors.New("keyring: the key cannot do that") // an EC key decrypts nothing
)

// Keyring gives the keys of one store. It is safe for concurrent use.
type Keyring struct {
	store *store.Store
	token *Token // nil: none

	mu     sync.Mutex
	cached map[string]crypto.Signer // by handle
}

// cacheSize is how many keys are kept in memory; beyond it one is forgotten for each new one.
const cacheSize = 256

// column names the sealed bytes for package vault.
const column = "privkey.wrapped"

// New makes a keyring on a store.
func New(s *store.Store) *Keyring { return NewWith(s, nil) }

// NewWith makes a keyring on a store and a token (nil: none). Whoever opened the token closes it.
func NewWith(s *store.Store, t *Token) *Keyring {
	return &Keyring{store: s, token: t, cached: make(map[string]crypto.Signer)}
}

// Generate makes a key, adds it in tx and returns its handle. RSA takes a fraction of a second, during which tx holds up other
// writers: who has the time makes the key before, with NewKey, and uses Import.
func (k *Keyring) Generate(ctx context.Context, tx *store.Tx, spec Spec) (id string, err error) {
	key, err := NewKey(spec)
	if err != nil {
		return "", err
	}
	return k.Import(ctx, tx, key)
}

// Import adds a key (*rsa.PrivateKey of at least 2048 bits, *ecdsa.PrivateKey or ed25519.PrivateKey) in tx and returns its handle.
func (k *Keyring) Import(_ context.Context, tx *store.Tx, key crypto.Signer) (id string, err error) {
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if key.N.BitLen() < 2048 {
			return "", errors.New("keyring: an RSA key of less than 2048 bits")
		}
	case *ecdsa.PrivateKey, ed25519.PrivateKey:
	default:
		return "", fmt.Errorf("keyring: a key of type %T cannot be kept", key)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", fmt.Errorf("keyring: %w", err)
	}
	defer clear(der)
	return k.insert(tx, key, der)
}

// insert adds what stands for a key to the table.
func (k *Keyring) insert(tx *store.Tx, key crypto.Signer, inside []byte) (id string, err error) {
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return "", fmt.Errorf("keyring: %w", err)
	}
	id = tx.NewID()
	if err := tx.InsertPrivateKey(store.PrivateKey{ID: id, Public: public, Wrapped: k.store.Box().Seal(column, id, inside)}); err != nil {
		return "", fmt.Errorf("keyring: %w", err)
	}
	k.remember(id, key) // usable within tx; if tx fails, nobody has the handle
	return id, nil
}

// Signer gives the key with this handle. ErrNoKey.
func (k *Keyring) Signer(ctx context.Context, id string) (crypto.Signer, error) {
	key, err := k.key(ctx, id)
	if err != nil {
		return nil, err
	}
	return signer{key}, nil
}

// Decrypter gives the key with this handle. ErrNoKey; ErrKind if it is no RSA key.
func (k *Keyring) Decrypter(ctx context.Context, id string) (crypto.Decrypter, error) {
	key, err := k.key(ctx, id)
	if err != nil {
		return nil, err
	}
	d, ok := key.(crypto.Decrypter)
	if _, transport := key.Public().(*rsa.PublicKey); !ok || !transport {
		return nil, fmt.Errorf("%w: %s decrypts nothing", ErrKind, id)
	}
	return decrypter{d}, nil
}

// Opener gives the key with this handle as cms.Recipient wants it: a crypto.Decrypter for RSA, an ecdh.KeyExchanger for EC. ErrNoKey; ErrKind
// if nothing can be encrypted to it.
func (k *Keyring) Opener(ctx context.Context, id string) (any, error) {
	key, err := k.key(ctx, id)
	if err != nil {
		return nil, err
	}
	if t, ok := key.(*tokenKey); ok {
		return t.opener()
	}
	curve, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return k.Decrypter(ctx, id)
	}
	e, err := curve.ECDH()
	if err != nil {
		return nil, fmt.Errorf("%w: %s agrees on nothing", ErrKind, id)
	}
	return exchanger{e}, nil
}

// Export writes the private key in clear, as PKCS #8 in PEM. Only for a person who asked for exactly that. ErrNoKey; ErrKind if it lies on a
// token.
func (k *Keyring) Export(ctx context.Context, id string) ([]byte, error) {
	der, err := k.plain(ctx, id)
	if err != nil {
		return nil, err
	}
	defer clear(der)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func (k *Keyring) key(ctx context.Context, id string) (crypto.Signer, error) {
	k.mu.Lock()
	key := k.cached[id]
	k.mu.Unlock()
	if key != nil {
		return key, nil
	}
	der, err := k.bytes(ctx, id)
	if err != nil {
		return nil, err
	}
	defer clear(der)
	if isURI(der) {
		key, err := k.onToken(ctx, id, string(der))
		if err == nil {
			k.remember(id, key)
		}
		return key, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("keyring: key %s does not parse", id) // not err: it may show the key
	}
	key, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%w: %s signs nothing", ErrKind, id)
	}
	k.remember(id, key)
	return key, nil
}

// plain gives the PKCS #8 of a key; the caller clears it. ErrNoKey; ErrKind if the key lies on a token.
func (k *Keyring) plain(ctx context.Context, id string) ([]byte, error) {
	der, err := k.bytes(ctx, id)
	if err == nil && isURI(der) {
		return nil, fmt.Errorf("%w: %s lies on a token and does not leave it", ErrKind, id)
	}
	return der, err
}

// bytes gives what stands for a key, PKCS #8 or the URI of one on a token; the caller clears it.
func (k *Keyring) bytes(ctx context.Context, id string) ([]byte, error) {
	var row store.PrivateKey
	err := k.store.View(ctx, func(tx *store.Tx) (err error) { row, err = tx.PrivateKey(id); return err })
	if errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("%w: %s", ErrNoKey, id)
	}
	if err != nil {
		return nil, fmt.Errorf("keyring: %w", err)
	}
	der, err := k.store.Box().Open(column, id, row.Wrapped)
	if err != nil {
		return nil, fmt.Errorf("keyring: key %s: %w", id, err)
	}
	return der, nil
}

func (k *Keyring) remember(id string, key crypto.Signer) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.cached) >= cacheSize {
		for other := range k.cached { // any
			delete(k.cached, other)
			break
		}
	}
	k.cached[id] = key
}

// signer, decrypter and exchanger keep callers from the key itself, which a type assertion would give them.
type signer struct{ key crypto.Signer }

func (s signer) Public() crypto.PublicKey { return s.key.Public() }

func (s signer) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return s.key.Sign(rand, digest, opts)
}

type decrypter struct{ key crypto.Decrypter }

func (d decrypter) Public() crypto.PublicKey { return d.key.Public() }

func (d decrypter) Decrypt(rand io.Reader, msg []byte, opts crypto.DecrypterOpts) ([]byte, error) {
	return d.key.Decrypt(rand, msg, opts)
}

type exchanger struct{ key *ecdh.PrivateKey }

func (e exchanger) PublicKey() *ecdh.PublicKey                  { return e.key.PublicKey() }
func (e exchanger) Curve() ecdh.Curve                           { return e.key.Curve() }
func (e exchanger) ECDH(remote *ecdh.PublicKey) ([]byte, error) { return e.key.ECDH(remote) }
