package certtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// pool holds the RSA keys of the process: making one takes long, and a test rarely needs more than a few different ones.
var pool struct {
	next  atomic.Uint32
	slots [4]struct {
		once sync.Once
		key  *rsa.PrivateKey
		err  error
	}
}

// RSA returns one of the four RSA-2048 keys of this process, in turn.
func RSA(tb testing.TB) *rsa.PrivateKey {
	tb.Helper()
	s := &pool.slots[(pool.next.Add(1)-1)%uint32(len(pool.slots))]
	s.once.Do(func() { s.key, s.err = rsa.GenerateKey(rand.Reader, 2048) })
	must(tb, s.err)
	return s.key
}

// ECDSA returns a new P-256 key.
func ECDSA(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(tb, err)
	return k
}

// WriteCertificates writes a PEM file of certs below dir and returns its path.
func WriteCertificates(tb testing.TB, dir, name string, certs ...*x509.Certificate) string {
	tb.Helper()
	var out []byte
	for _, c := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return write(tb, dir, name, out)
}

// WriteKey writes a PKCS#8 PEM file of key below dir and returns its path.
func WriteKey(tb testing.TB, dir, name string, key crypto.Signer) string {
	tb.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	must(tb, err)
	return write(tb, dir, name, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// WriteCRL writes a PEM file of crl below dir and returns its path.
func WriteCRL(tb testing.TB, dir, name string, crl *x509.RevocationList) string {
	tb.Helper()
	return write(tb, dir, name, pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: crl.Raw}))
}

func write(tb testing.TB, dir, name string, body []byte) string {
	tb.Helper()
	path := filepath.Join(dir, name)
	must(tb, os.WriteFile(path, body, 0o600))
	return path
}
