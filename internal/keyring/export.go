package keyring

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
	"software.sslmate.com/src/go-pkcs12"
)

// exportRounds are those of each derivation of what we write: PBKDF2 with HMAC-SHA-256, as OWASP recommended it in 2023. Three of them are
// made for a file, which is what maxRounds has room for.
const exportRounds = 600_000

// ExportPKCS12 writes a private key with its certificate and those above it, encrypted with the password (PBES2, AES-256-CBC). Only for a
// person who asked for exactly that. ErrNoKey; ErrKind if the key lies on a token.
func (k *Keyring) ExportPKCS12(ctx context.Context, id string, leaf *x509.Certificate, above []*x509.Certificate, password string) ([]byte, error) {
	plain, err := k.plain(ctx, id)
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	key, err := x509.ParsePKCS8PrivateKey(plain)
	if err != nil {
		return nil, fmt.Errorf("keyring: key %s does not parse", id) // not err: it may show the key
	}
	out, err := pkcs12.Modern2023.WithIterations(exportRounds).Encode(key, leaf, above, password)
	if err != nil {
		return nil, fmt.Errorf("keyring: key %s cannot be written as PKCS #12", id)
	}
	return out, nil
}

// ExportEncrypted writes a private key as EncryptedPrivateKeyInfo in PEM, by the same algorithms. leaf is its certificate. ErrNoKey.
func (k *Keyring) ExportEncrypted(ctx context.Context, id string, leaf *x509.Certificate, password string) ([]byte, error) {
	whole, err := k.ExportPKCS12(ctx, id, leaf, nil, password)
	if err != nil {
		return nil, err
	}
	s, err := new(reading).open(whole)
	if err != nil || len(s.keys) != 1 {
		return nil, fmt.Errorf("keyring: key %s cannot be written: %v", id, err)
	}
	bag := cryptobyte.String(s.keys[0])
	var fields, info cryptobyte.String
	if !bag.ReadASN1(&fields, der.SEQUENCE) || !fields.SkipASN1(der.OBJECT_IDENTIFIER) || !fields.ReadASN1(&info, der.Tag(0).Constructed().ContextSpecific()) {
		return nil, fmt.Errorf("keyring: key %s cannot be written", id)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: info}), nil
}
