package pilot

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
)

// Kind of a key.
type Kind string

// The kinds that certificates are issued for. Direct 6.1 leaves the choice to us: RSA is what every partner reads.
const (
	RSA2048 Kind = "rsa2048"
	RSA3072 Kind = "rsa3072"
	RSA4096 Kind = "rsa4096"
	P256    Kind = "p256"
)

// ParseKind reads a kind; "" is RSA2048.
func ParseKind(s string) (Kind, error) {
	switch k := Kind(strings.ToLower(s)); k {
	case "":
		return RSA2048, nil
	case RSA2048, RSA3072, RSA4096, P256:
		return k, nil
	}
	return "", fmt.Errorf("%w: a kind of key is one of rsa2048, rsa3072, rsa4096, p256", ErrOrder)
}

// generate makes a key. RSA takes a fraction of a second, or several for long ones.
func (k Kind) generate() (crypto.Signer, error) {
	switch k {
	case RSA2048:
		return rsa.GenerateKey(rand.Reader, 2048)
	case RSA3072:
		return rsa.GenerateKey(rand.Reader, 3072)
	case RSA4096:
		return rsa.GenerateKey(rand.Reader, 4096)
	case P256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	return nil, errors.New("pilot: no such kind of key")
}

// kindOf is the kind of key that c was issued for.
func kindOf(c *x509.Certificate) Kind {
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		switch {
		case key.N.BitLen() > 3072:
			return RSA4096
		case key.N.BitLen() > 2048:
			return RSA3072
		}
	case *ecdsa.PublicKey:
		return P256
	}
	return RSA2048
}

// Use is what a certificate is for: bits of Sign and Encrypt.
type Use uint8

// Uses. A certificate for Both is what partners expect where nothing else is asked for; separate ones keep a signing key, which no
// copy is ever needed of, apart from a decryption key, which must not be lost.
const (
	Sign Use = 1 << iota
	Encrypt
	Both = Sign | Encrypt
)

func (u Use) String() string {
	switch u {
	case Sign:
		return "sign"
	case Encrypt:
		return "encrypt"
	}
	return "both"
}

// ParseUse reads a use; "" is Both.
func ParseUse(s string) (Use, error) {
	switch s {
	case "", "both":
		return Both, nil
	case "sign":
		return Sign, nil
	case "encrypt":
		return Encrypt, nil
	}
	return 0, fmt.Errorf("%w: a certificate is for one of both, sign, encrypt", ErrOrder)
}

// keyUsage is RFC 5280 §4.2.1.3 with RFC 8550 §4.4.2; an EC key agrees on a key, an RSA key has one enciphered to it.
func (u Use) keyUsage(k Kind) (usage x509.KeyUsage) {
	if u&Sign != 0 {
		usage |= x509.KeyUsageDigitalSignature
	}
	switch {
	case u&Encrypt == 0:
	case k == P256:
		usage |= x509.KeyUsageKeyAgreement
	default:
		usage |= x509.KeyUsageKeyEncipherment
	}
	return usage
}

func useOf(c *x509.Certificate) (u Use) {
	if c.KeyUsage&x509.KeyUsageDigitalSignature != 0 {
		u |= Sign
	}
	if c.KeyUsage&(x509.KeyUsageKeyEncipherment|x509.KeyUsageKeyAgreement) != 0 {
		u |= Encrypt
	}
	return u
}
