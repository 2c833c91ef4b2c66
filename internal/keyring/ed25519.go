package keyring

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"

	"carepost/internal/store"
)

// GenerateEd25519 makes a key for signatures of our own (the heads of the audit log), adds it in tx and returns its handle. Certificates
// have other kinds of keys: Generate.
func (k *Keyring) GenerateEd25519(ctx context.Context, tx *store.Tx) (id string, err error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", fmt.Errorf("keyring: %w", err)
	}
	return k.Import(ctx, tx, key)
}
