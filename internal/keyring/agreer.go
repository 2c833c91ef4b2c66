package keyring

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"fmt"
)

// agreer is an EC key on a token as an ecdh.KeyExchanger.
type agreer struct {
	key   *tokenKey
	curve *ecdsa.PublicKey
	point *ecdh.PublicKey
}

func (a *agreer) PublicKey() *ecdh.PublicKey { return a.point }
func (a *agreer) Curve() ecdh.Curve          { return a.point.Curve() }

// ECDH gives the shared secret: the x coordinate (SP 800-56A §5.7.1.2). The point is one of the curve, for crypto/ecdh has read it.
func (a *agreer) ECDH(remote *ecdh.PublicKey) ([]byte, error) {
	if remote.Curve() != a.point.Curve() {
		return nil, fmt.Errorf("%w: the other's key is on another curve", ErrKind)
	}
	secret, err := a.key.lib.agree(a.key.at, a.curve, remote.Bytes())
	if err != nil {
		return nil, fmt.Errorf("keyring: agreeing on the token: %w", err)
	}
	return secret, nil
}
