// Package keyring keeps private keys. Others hold handles and use keys through crypto.Signer and crypto.Decrypter; the bytes stay here,
// sealed in the table privkey as PKCS #8 (RFC 5208).
package keyring

import (
	"context"
	"crypto"
	"errors"

	"carepost/internal/store"
)

// Errors that callers branch on.
var (
	ErrNoKey = errors.New("keyring: no such key")
	ErrKind  = errors.New("keyring: the key cannot do that") // an EC key decrypts nothing
)

// Spec is a kind of key to generate. The zero Spec is none.
type Spec uint8

const (
	RSA2048 Spec = iota + 1
	RSA3072
	P256
)

// Keyring gives the keys of one store. It is safe for concurrent use.
type Keyring struct{}

// New makes a keyring on a store.
func New(s *store.Store) *Keyring { panic("unimplemented") }

// Generate makes a key, adds it in tx and returns its handle. RSA takes a fraction of a second, during which tx holds up other
// writers: a server that makes many generates first and uses Import.
func (k *Keyring) Generate(ctx context.Context, tx *store.Tx, spec Spec) (id string, err error) {
	panic("unimplemented")
}

// Import adds a key (*rsa.PrivateKey or *ecdsa.PrivateKey) in tx and returns its handle.
func (k *Keyring) Import(ctx context.Context, tx *store.Tx, key crypto.Signer) (id string, err error) {
	panic("unimplemented")
}

// Signer gives the key with this handle. ErrNoKey.
func (k *Keyring) Signer(ctx context.Context, id string) (crypto.Signer, error) {
	panic("unimplemented")
}

// Decrypter gives the key with this handle. ErrNoKey; ErrKind if it is no RSA key.
func (k *Keyring) Decrypter(ctx context.Context, id string) (crypto.Decrypter, error) {
	panic("unimplemented")
}

// Export writes the private key in clear, as PKCS #8 in PEM. Only for a person who asked for exactly that.
func (k *Keyring) Export(ctx context.Context, id string) ([]byte, error) { panic("unimplemented") }
