// Package certtest is a tiny certification authority for tests, with a web server that publishes what it issues.
//
//	ca := certtest.NewCA(t, "Trial CA")
//	lab := ca.Issue(t, "lab@h.example")                     // address-bound
//	org := ca.Issue(t, "h.example", certtest.Until(moment)) // organizationally-bound, with an edit
//
// The certificates follow RFC 5280 and Direct 1.4 unless an Edit breaks them.
package certtest

import (
	"crypto"
	"crypto/rand"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"strings"
	"testing"
	"time"
)

// What certtest issues is good from NotBefore to NotAfter, CRLs too, unless edited: tests need no clock.
var (
	NotBefore = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	NotAfter  = time.Date(2049, 1, 1, 0, 0, 0, 0, time.UTC)
)

// Pair is an issued certificate with its key.
type Pair struct {
	Certificate *x509.Certificate
	Key         crypto.Signer // an *rsa.PrivateKey (also a crypto.Decrypter) unless asked otherwise
}

// CA is an authority. Its key is ECDSA P-256 unless asked otherwise (Key).
type CA struct {
	Pair
	AIA, CDP []string // written into what it issues from now on; Publish sets both

	server  *Server
	path    string
	revoked []*x509.Certificate
}

// NewCA makes a self-signed root of that common name.
func NewCA(tb testing.TB, name string, edits ...Edit) *CA {
	tb.Helper()
	t := authority(name)
	return &CA{Pair: issue(tb, t, nil, ECDSA(tb), edits)}
}

// Intermediate makes an authority below ca.
func (ca *CA) Intermediate(tb testing.TB, name string, edits ...Edit) *CA {
	tb.Helper()
	t := authority(name)
	t.IssuingCertificateURL, t.CRLDistributionPoints = ca.AIA, ca.CDP
	return &CA{Pair: issue(tb, t, ca, ECDSA(tb), edits)}
}

// Issue makes an RSA-2048 certificate for an address ("lab@h.example": rfc822Name) or a domain ("h.example": dNSName). The keys
// come from a pool of four: the fifth certificate has the key of the first.
func (ca *CA) Issue(tb testing.TB, name string, edits ...Edit) Pair {
	tb.Helper()
	return issue(tb, ca.leaf(name), ca, RSA(tb), edits)
}

// SelfSigned makes a certificate like Issue does, signed by its own key and no authority.
func SelfSigned(tb testing.TB, name string, edits ...Edit) Pair {
	tb.Helper()
	return issue(tb, (&CA{}).leaf(name), nil, RSA(tb), edits)
}

// CRL signs a complete list that revokes certs.
func (ca *CA) CRL(tb testing.TB, revoked ...*x509.Certificate) *x509.RevocationList {
	tb.Helper()
	return ca.EditedCRL(tb, func(*x509.RevocationList) {}, revoked...)
}

// EditedCRL is CRL with a last word on the template.
func (ca *CA) EditedCRL(tb testing.TB, edit func(*x509.RevocationList), revoked ...*x509.Certificate) *x509.RevocationList {
	tb.Helper()
	t := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: NotBefore, NextUpdate: NotAfter}
	for _, c := range revoked {
		t.RevokedCertificateEntries = append(t.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: c.SerialNumber, RevocationTime: NotBefore.AddDate(1, 0, 0)})
	}
	edit(t)
	// Broken lists are wanted too: an issuer that may not sign CRLs.
	issuer := *ca.Certificate
	issuer.KeyUsage |= x509.KeyUsageCRLSign
	if issuer.SubjectKeyId == nil {
		issuer.SubjectKeyId = []byte{0}
	}
	der, err := x509.CreateRevocationList(rand.Reader, t, &issuer, ca.Key)
	must(tb, err)
	crl, err := x509.ParseRevocationList(der)
	must(tb, err)
	return crl
}

// Publish puts ca's certificate and an empty CRL on s, and has ca point to both in what it issues from now on.
func (ca *CA) Publish(tb testing.TB, s *Server) {
	tb.Helper()
	ca.server, ca.path = s, "/"+strings.ToLower(strings.ReplaceAll(ca.Certificate.Subject.CommonName, " ", "-"))
	ca.AIA, ca.CDP = []string{s.URL + ca.path + ".cer"}, []string{s.URL + ca.path + ".crl"}
	s.Put(ca.path+".cer", ca.Certificate.Raw)
	s.Put(ca.path+".crl", ca.CRL(tb).Raw)
}

// Revoke publishes a CRL with these certificates and all that were revoked before; Publish comes first.
func (ca *CA) Revoke(tb testing.TB, certs ...*x509.Certificate) {
	tb.Helper()
	ca.revoked = append(ca.revoked, certs...)
	ca.server.Put(ca.path+".crl", ca.CRL(tb, ca.revoked...).Raw)
}

func authority(name string) *x509.Certificate {
	return &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		BasicConstraintsValid: true,
		IsCA:                  true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
}

func (ca *CA) leaf(name string) *x509.Certificate {
	t := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "Certificate of a test"},
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
		IssuingCertificateURL: ca.AIA,
		CRLDistributionPoints: ca.CDP,
	}
	if strings.Contains(name, "@") {
		t.EmailAddresses = []string{name}
	} else if name != "" {
		t.DNSNames = []string{name}
	}
	return t
}

// issue signs t for key with ca, or with key itself if ca is nil.
func issue(tb testing.TB, t *x509.Certificate, ca *CA, key crypto.Signer, edits []Edit) Pair {
	tb.Helper()
	t.NotBefore, t.NotAfter = NotBefore, NotAfter
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	must(tb, err)
	t.SerialNumber = serial.Add(serial, big.NewInt(1))
	for _, edit := range edits {
		edit(t)
	}
	if k, ok := t.PublicKey.(crypto.Signer); ok { // Key
		key, t.PublicKey = k, nil
	}
	if t.SubjectKeyId == nil {
		spki, err := x509.MarshalPKIXPublicKey(key.Public())
		must(tb, err)
		id := sha1.Sum(spki) // an identifier, no more (RFC 5280 §4.2.1.2)
		t.SubjectKeyId = id[:]
	}
	parent, signer := t, key
	if ca != nil {
		parent, signer = ca.Certificate, ca.Key
	}
	der, err := x509.CreateCertificate(rand.Reader, t, parent, key.Public(), signer)
	must(tb, err)
	c, err := x509.ParseCertificate(der)
	must(tb, err)
	return Pair{c, key}
}

// Edit changes a template just before it is signed.
type Edit func(*x509.Certificate)

// Key has the certificate made for that key.
func Key(k crypto.Signer) Edit { return func(c *x509.Certificate) { c.PublicKey = k } }

// Until ends the validity at t.
func Until(t time.Time) Edit { return func(c *x509.Certificate) { c.NotAfter = t } }

// From begins the validity at t.
func From(t time.Time) Edit { return func(c *x509.Certificate) { c.NotBefore = t } }

// Usage sets the key usage; 0 leaves the extension out.
func Usage(u x509.KeyUsage) Edit { return func(c *x509.Certificate) { c.KeyUsage = u } }

// Points replaces the AIA and CRL distribution points; nil leaves them out.
func Points(aia, cdp []string) Edit {
	return func(c *x509.Certificate) { c.IssuingCertificateURL, c.CRLDistributionPoints = aia, cdp }
}

// EmailDN adds the legacy emailAddress attribute to the Subject (RFC 5280 §4.1.2.6).
func EmailDN(address string) Edit {
	return func(c *x509.Certificate) {
		c.Subject.ExtraNames = append(c.Subject.ExtraNames, pkix.AttributeTypeAndValue{
			Type:  asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1},
			Value: asn1.RawValue{Tag: asn1.TagIA5String, Bytes: []byte(address)},
		})
	}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal("certtest: ", err)
	}
}
