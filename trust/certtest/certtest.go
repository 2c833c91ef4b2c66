// Package certtest is a tiny certification authority for tests, with a web server that publishes what it issues.
package certtest

import (
	"context"
	"crypto"
	"crypto/x509"
	"testing"
	"time"
)

// What certtest issues is good from NotBefore to NotAfter, CRLs too, unless edited: tests need no clock.
var (
	NotBefore = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	NotAfter  = time.Date(2049, 1, 1, 0, 0, 0, 0, time.UTC)
)

// Edit changes a template just before it is signed.
type Edit func(*x509.Certificate)

// Pair is an issued certificate with its key.
type Pair struct {
	Certificate *x509.Certificate
	Key         crypto.Signer // an *rsa.PrivateKey (also a crypto.Decrypter) unless asked otherwise
}

// CA is an authority. Its keys are ECDSA P-256 unless asked otherwise.
type CA struct {
	Pair
	AIA, CDP []string // written into what it issues from now on; Publish sets both
}

// NewCA makes a self-signed root of that common name.
func NewCA(tb testing.TB, name string, edits ...Edit) *CA { panic("unimplemented") }

// Intermediate makes an authority below ca.
func (ca *CA) Intermediate(tb testing.TB, name string, edits ...Edit) *CA { panic("unimplemented") }

// Issue makes an RSA-2048 certificate for an address ("lab@h.example": rfc822Name) or a domain ("h.example": dNSName).
func (ca *CA) Issue(tb testing.TB, name string, edits ...Edit) Pair { panic("unimplemented") }

// CRL signs a list that revokes certs.
func (ca *CA) CRL(tb testing.TB, revoked ...*x509.Certificate) *x509.RevocationList {
	panic("unimplemented")
}

// Publish puts ca's certificate and an empty CRL on s, and has ca point to both in what it issues from now on.
func (ca *CA) Publish(tb testing.TB, s *Server) { panic("unimplemented") }

// Revoke publishes a CRL with these certificates in place of the last one; Publish comes first.
func (ca *CA) Revoke(tb testing.TB, certs ...*x509.Certificate) { panic("unimplemented") }

// Server serves bytes over HTTP on loopback. It is a trust.Fetcher too: a real GET.
type Server struct {
	URL string // "http://127.0.0.1:port"
}

// NewServer starts a server that stops with the test.
func NewServer(tb testing.TB) *Server { panic("unimplemented") }

// Put serves body at path ("/x.cer"); nil takes it away.
func (s *Server) Put(path string, body []byte) { panic("unimplemented") }

// Hits counts the requests for path.
func (s *Server) Hits(path string) int { panic("unimplemented") }

// Fetch gets url, from whatever server.
func (s *Server) Fetch(ctx context.Context, url string, max int64) ([]byte, error) {
	panic("unimplemented")
}
