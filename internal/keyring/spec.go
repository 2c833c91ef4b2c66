package keyring

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"strings"
)

// Spec is a kind of key to generate. The zero Spec is none.
type Spec uint8

const (
	RSA2048 Spec = iota + 1
	RSA3072
	RSA4096
	P256
	P384
)

// specNames are how people write the kinds.
func specNames() map[Spec]string {
	return map[Spec]string{RSA2048: "rsa2048", RSA3072: "rsa3072", RSA4096: "rsa4096", P256: "p256", P384: "p384"}
}

func (s Spec) String() string { return specNames()[s] }

// ParseSpec reads what String writes, in any case, with a hyphen or without.
func ParseSpec(text string) (Spec, error) {
	text = strings.ReplaceAll(strings.ToLower(text), "-", "")
	for s, name := range specNames() {
		if name == text {
			return s, nil
		}
	}
	return 0, errors.New("keyring: no such kind of key: rsa2048, rsa3072, rsa4096, p256 or p384")
}

// Kind is a public key's kind, in words: "RSA 2048", "EC P-256".
func Kind(public crypto.PublicKey) string {
	switch k := public.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", k.N.BitLen())
	case *ecdsa.PublicKey:
		return "EC " + k.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return "another kind"
}

// NewKey makes a key that is kept nowhere yet. RSA of 4096 bits takes a second or two.
func NewKey(spec Spec) (key crypto.Signer, err error) {
	switch spec {
	case RSA2048:
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	case RSA3072:
		key, err = rsa.GenerateKey(rand.Reader, 3072)
	case RSA4096:
		key, err = rsa.GenerateKey(rand.Reader, 4096)
	case P256:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case P384:
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	default:
		return nil, errors.New("keyring: no such kind of key")
	}
	if err != nil {
		return nil, fmt.Errorf("keyring: %w", err)
	}
	return key, nil
}
