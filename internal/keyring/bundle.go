package keyring

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"carepost/certificate"
)

// ErrPassword says that what is to be read is encrypted, and the password does not open it, or none was given.
var ErrPassword = errors.New("keyring: the password does not open it")

// Unreadable says why files cannot be read: cause and remedy, in one sentence. It repeats nothing of what is in them.
type Unreadable struct{ Reason string }

func (e *Unreadable) Error() string { return "keyring: " + e.Reason }

func unreadable(format string, a ...any) error { return &Unreadable{fmt.Sprintf(format, a...)} }

// What files may hold that somebody imports. Sizes are octets.
const (
	maxFiles        = 16
	maxFile         = 512 << 10
	maxCertificates = 64
	maxKeys         = 4
)

// Bundle is what files hold that an authority or another program has written: certificates in their order, and private keys.
type Bundle struct {
	Certificates []*x509.Certificate
	Keys         []crypto.Signer // *rsa.PrivateKey, *ecdsa.PrivateKey, ed25519.PrivateKey
}

// ReadBundle reads certificates and private keys: PEM (also with text between), DER, PKCS #7 without content (.p7b), PKCS #8, PKCS #1,
// SEC 1, and PKCS #12 (.p12, .pfx). What it costs is bounded before anything is derived from the password. The files are cleared, for they
// may hold keys. ErrPassword, *Unreadable.
func ReadBundle(files [][]byte, password string) (out Bundle, err error) {
	defer func() {
		for _, f := range files {
			clear(f)
		}
	}()
	if len(files) > maxFiles {
		return Bundle{}, unreadable("%d files at once are too many: %d are the most", len(files), maxFiles)
	}
	r := reading{password: password}
	for _, f := range files {
		if len(f) > maxFile {
			return Bundle{}, unreadable("a file has more than %d KB: that is no list of certificates", maxFile>>10)
		}
		if err := r.file(f); err != nil {
			return Bundle{}, err
		}
	}
	return r.out, nil
}

// reading is one call of ReadBundle.
type reading struct {
	password string
	rounds   int // of all derivations so far
	out      Bundle
}

// file reads one of them, by what it looks like.
func (r *reading) file(data []byte) error {
	if !bytes.Contains(data, []byte("-----BEGIN ")) {
		return r.der(alone(data))
	}
	for found := false; ; found = true {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			if !found {
				return unreadable("the PEM text is damaged")
			}
			return nil
		}
		err := r.block(block)
		clear(block.Bytes)
		if err != nil {
			return err
		}
	}
}

// block reads one block of PEM (RFC 7468). Those that say nothing of certificates and keys are passed over.
func (r *reading) block(b *pem.Block) error {
	switch {
	case b.Headers["DEK-Info"] != "":
		return unreadable("the private key is encrypted in the old way of OpenSSL, which protects little: write it anew with openssl pkcs8 -topk8")
	case b.Type == "ENCRYPTED PRIVATE KEY":
		return r.encryptedKey(b.Bytes)
	case strings.HasSuffix(b.Type, "PRIVATE KEY"):
		if !r.key(b.Bytes) {
			return unreadable("a private key cannot be read, or is of a kind that is not used here")
		}
	case b.Type == "CERTIFICATE", b.Type == "X509 CERTIFICATE", b.Type == "TRUSTED CERTIFICATE", b.Type == "PKCS7", b.Type == "PKCS #7 SIGNED DATA", b.Type == "CMS":
		return r.certificates(b.Bytes)
	}
	return r.enough()
}

// der reads what is not PEM.
func (r *reading) der(data []byte) error {
	switch {
	case len(data) == 0:
		return unreadable("the file is empty")
	case data[0] != 0x30:
		return unreadable("neither PEM nor DER: certificates, PKCS #7 and PKCS #12 are read")
	case isPKCS12(data):
		return r.pkcs12(data)
	case r.key(data):
		return r.enough()
	case isEncryptedKey(data):
		return r.encryptedKey(data)
	}
	return r.certificates(data)
}

// key takes an unencrypted private key, in one of the three forms that they come in.
func (r *reading) key(der []byte) bool {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		key, err = x509.ParsePKCS1PrivateKey(der)
	}
	if err != nil {
		key, err = x509.ParseECPrivateKey(der)
	}
	return err == nil && r.keep(key)
}

// keep takes a key that has been read, once.
func (r *reading) keep(key any) bool {
	signer, ok := key.(crypto.Signer)
	if !ok {
		return false
	}
	for _, have := range r.out.Keys {
		if same(have.Public(), signer.Public()) {
			return true
		}
	}
	r.out.Keys = append(r.out.Keys, signer)
	return true
}

// certificates takes those of a DER text: one or more in a row, or PKCS #7. Our own are read strictly: what is odd in them, partners refuse.
func (r *reading) certificates(der []byte) error {
	list, err := certificate.ParseSome(bytes.Clone(der), maxCertificates+1) // who asks clears der
	if err != nil {
		return unreadable("a certificate cannot be read: ask for it in PEM, DER, PKCS #7 or PKCS #12")
	}
	for _, c := range list {
		if odd := certificate.Oddities(c); len(odd) > 0 {
			return unreadable("a certificate is not as RFC 5280 wants it (%s): ask its authority for another", odd[0])
		}
	}
	return r.add(list)
}

func (r *reading) add(list []*x509.Certificate) error {
	for _, c := range list {
		if !containsCertificate(r.out.Certificates, c) {
			r.out.Certificates = append(r.out.Certificates, c)
		}
	}
	return r.enough()
}

func (r *reading) enough() error {
	switch {
	case len(r.out.Certificates) > maxCertificates:
		return unreadable("more than %d certificates: name the own one and those between it and the anchor", maxCertificates)
	case len(r.out.Keys) > maxKeys:
		return unreadable("more than %d private keys: import them one after the other", maxKeys)
	}
	return nil
}

func containsCertificate(list []*x509.Certificate, c *x509.Certificate) bool {
	for _, have := range list {
		if have.Equal(c) {
			return true
		}
	}
	return false
}

// same says whether two public keys are one.
func same(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}
