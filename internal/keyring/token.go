package keyring

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"strings"

	"carepost/internal/store"
)

// Errors about tokens that callers branch on.
var (
	ErrNoToken  = errors.New("keyring: no token")          // none is named, or this program cannot speak to one
	ErrTokenKey = errors.New("keyring: no such token key") // the token has no such key, or several
)

// TokenOptions name a PKCS #11 token. The zero value is none.
type TokenOptions struct {
	Module string                 // path of the PKCS #11 library
	URI    string                 // which token (RFC 7512): "pkcs11:token=clinic", by serial, model, manufacturer, slot-id. Empty: the only one there is
	PIN    func() (string, error) // asked for when the token is used first
}

// Token keeps private keys where nobody can copy them: a PKCS #11 token (OASIS PKCS #11 2.40). It is asked for each use of a key, by a
// session of those that are kept open, eight at most. It needs not be there before its first use; a session that is lost is opened again.
// A wrong PIN is not tried twice: tokens lock themselves after a few.
type Token struct {
	slot where
	opts TokenOptions
	lib  library
}

// OpenToken makes a Token. Nothing is asked of it yet. The error wraps ErrNoToken where the program was built without PKCS #11.
func OpenToken(o TokenOptions) (*Token, error) {
	slot := where{}
	if o.URI != "" {
		var err error
		if slot, err = parseURI(o.URI); err != nil {
			return nil, err
		}
	}
	if slot.object != nil || slot.id != nil {
		return nil, errors.New("keyring: the URI of the token names an object; name that with the certificate that it belongs to")
	}
	lib, err := openLibrary(o)
	if err != nil {
		return nil, err
	}
	return &Token{slot, o, lib}, nil
}

// Close ends the sessions.
func (t *Token) Close() error { return t.lib.close() }

// GenerateOnToken makes a key on the token, which says what is wrong where it takes a while. It belongs to nobody until TakeFromToken.
func (k *Keyring) GenerateOnToken(ctx context.Context, spec Spec, label string) (uri string, err error) {
	if k.token == nil {
		return "", errNoTokenNamed()
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	id, err := k.token.lib.generate(k.token.slot, spec, label)
	if err != nil {
		return "", fmt.Errorf("keyring: making a key on the token: %w", err)
	}
	at := k.token.slot
	at.id = id
	return at.String(), nil
}

// FindOnToken gives the public key of the one private key that the URI names. ErrTokenKey, ErrNoToken.
func (k *Keyring) FindOnToken(_ context.Context, uri string) (crypto.PublicKey, error) {
	key, err := k.find(uri)
	if err != nil {
		return nil, err
	}
	return key.public, nil
}

// TakeFromToken adds the key of that URI in tx and returns its handle; the key stays where it is.
func (k *Keyring) TakeFromToken(_ context.Context, tx *store.Tx, uri string) (id string, err error) {
	key, err := k.find(uri)
	if err != nil {
		return "", err
	}
	return k.insert(tx, key, []byte(key.at.String()))
}

func (k *Keyring) find(uri string) (*tokenKey, error) {
	if k.token == nil {
		return nil, errNoTokenNamed()
	}
	at, err := parseURI(uri)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrTokenKey, strings.TrimPrefix(err.Error(), "keyring: "))
	}
	if at.object == nil && at.id == nil {
		return nil, fmt.Errorf("%w: the URI names none; it needs object= or id=", ErrTokenKey)
	}
	at.fill(k.token.slot)
	public, err := k.token.lib.public(at)
	if err != nil {
		return nil, fmt.Errorf("keyring: looking for a key on the token: %w", err)
	}
	return &tokenKey{k.token.lib, at, public}, nil
}

func errNoTokenNamed() error {
	return fmt.Errorf("%w: carepost.toml names none ([keys.token])", ErrNoToken)
}

// onToken gives a key of which the row holds the URI. Whether the token is there shows when the key is used.
func (k *Keyring) onToken(ctx context.Context, id, uri string) (*tokenKey, error) {
	if k.token == nil {
		return nil, fmt.Errorf("%w: key %s lies on one, and carepost.toml names none ([keys.token])", ErrNoToken, id)
	}
	at, err := parseURI(uri)
	if err != nil {
		return nil, fmt.Errorf("keyring: key %s: %w", id, err)
	}
	var row store.PrivateKey
	if err := k.store.View(ctx, func(tx *store.Tx) (err error) { row, err = tx.PrivateKey(id); return err }); err != nil {
		return nil, fmt.Errorf("keyring: %w", err)
	}
	public, err := x509.ParsePKIXPublicKey(row.Public)
	if err != nil {
		return nil, fmt.Errorf("keyring: key %s does not parse", id)
	}
	return &tokenKey{k.token.lib, at, public}, nil
}

// OnToken says whether a key lies on a token. ErrNoKey.
func (k *Keyring) OnToken(ctx context.Context, id string) (bool, error) {
	inside, err := k.bytes(ctx, id)
	defer clear(inside)
	return isURI(inside), err
}

func isURI(inside []byte) bool { return bytes.HasPrefix(inside, []byte(scheme)) }

// library is what a PKCS #11 library does for us: see token_pkcs11.go.
type library interface {
	generate(slot where, spec Spec, label string) (id []byte, err error)
	public(at where) (crypto.PublicKey, error)
	sign(at where, public crypto.PublicKey, digest []byte, opts crypto.SignerOpts) ([]byte, error)
	decrypt(at where, public *rsa.PublicKey, sealed []byte, opts crypto.DecrypterOpts) ([]byte, error)
	agree(at where, public *ecdsa.PublicKey, point []byte) ([]byte, error)
	close() error
}

// tokenKey is a private key on a token.
type tokenKey struct {
	lib    library
	at     where
	public crypto.PublicKey
}

func (k *tokenKey) Public() crypto.PublicKey { return k.public }

func (k *tokenKey) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if h := opts.HashFunc(); h == 0 || len(digest) != h.Size() {
		return nil, fmt.Errorf("%w: it signs digests of a hash that is named", ErrKind)
	}
	sig, err := k.lib.sign(k.at, k.public, digest, opts)
	if err != nil {
		return nil, fmt.Errorf("keyring: signing on the token: %w", err)
	}
	return sig, nil
}

// Decrypt is that of an RSA key: what crypto/rsa does with rsa.PKCS1v15DecryptOptions that have a SessionKeyLen, and with rsa.OAEPOptions.
func (k *tokenKey) Decrypt(_ io.Reader, sealed []byte, opts crypto.DecrypterOpts) ([]byte, error) {
	public, ok := k.public.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%w: it decrypts nothing", ErrKind)
	}
	return k.lib.decrypt(k.at, public, sealed, opts)
}

// opener is the key as cms.Recipient wants it.
func (k *tokenKey) opener() (any, error) {
	switch public := k.public.(type) {
	case *rsa.PublicKey:
		return decrypter{k}, nil
	case *ecdsa.PublicKey:
		point, err := public.ECDH()
		if err != nil {
			return nil, fmt.Errorf("%w: its curve agrees on nothing", ErrKind)
		}
		return &agreer{k, public, point}, nil
	}
	return nil, fmt.Errorf("%w: it opens nothing", ErrKind)
}
