package pilot

import (
	"crypto"
	"crypto/rand"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"net/netip"
	"time"

	"carepost/addr"
)

// Lifetimes. Clocks of partners may be behind by a little.
const (
	authorityYears = 10
	leafYears      = 1
	skew           = 5 * time.Minute
	crlLife        = 7 * 24 * time.Hour
)

// subjectKeyID is RFC 5280 §4.2.1.2 (1). SHA-1 names the key here, it protects nothing.
func subjectKeyID(public crypto.PublicKey) ([]byte, error) {
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, err
	}
	var outer struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(spki, &outer); err != nil {
		return nil, err
	}
	sum := sha1.Sum(outer.Key.Bytes)
	return sum[:], nil
}

func serial() (*big.Int, error) {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	if err != nil {
		return nil, err
	}
	return n.SetBit(n, 126, 1), nil // positive, 16 octets: RFC 5280 §4.1.2.2 allows 20
}

// authorityTemplate is the self-signed certificate of the pilot CA: the anchor that partners are given.
func authorityTemplate(d addr.Domain, now time.Time) *x509.Certificate {
	return &x509.Certificate{
		Subject:               pkix.Name{CommonName: "Pilot CA of " + d.String(), Organization: []string{d.String()}},
		NotBefore:             now.Add(-skew),
		NotAfter:              now.AddDate(authorityYears, 0, 0),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
}

// leaf is what all certificates below the authority have in common: Direct 4.2.2 wants the issuer's certificate named by AIA,
// Direct 4 a revocation list. None outlives the key that signs it.
func (a *Authority) leaf(by generation, subject pkix.Name, now time.Time) *x509.Certificate {
	end := now.AddDate(leafYears, 0, 0)
	if end.After(by.certificate.NotAfter) {
		end = by.certificate.NotAfter
	}
	t := &x509.Certificate{Subject: subject, NotBefore: now.Add(-skew), NotAfter: end, BasicConstraintsValid: true}
	a.point(t, by)
	return t
}

// mail is the template of a certificate for mail: of an organisation, which speaks for every address of its domain, or of one address
// (Direct 1.4, 4.1.1, 4.1.2).
func (a *Authority) mail(by generation, o Order, now time.Time) *x509.Certificate {
	name := o.Owner.Domain.String()
	if !o.Owner.Address.IsZero() {
		name = o.Owner.Address.String()
	}
	t := a.leaf(by, pkix.Name{CommonName: name, Organization: []string{a.Domain.String()}}, now)
	if o.Owner.Address.IsZero() {
		t.DNSNames = []string{name}
	} else {
		t.EmailAddresses = []string{name}
	}
	t.KeyUsage = o.Use.keyUsage(o.Kind)
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}
	return t
}

// server is the template of the certificate that our SMTP listener shows.
func (a *Authority) server(by generation, host string, ips []netip.Addr, now time.Time) *x509.Certificate {
	t := a.leaf(by, pkix.Name{CommonName: host}, now)
	t.DNSNames = []string{host}
	for _, ip := range ips {
		t.IPAddresses = append(t.IPAddresses, ip.AsSlice())
	}
	t.KeyUsage = x509.KeyUsageDigitalSignature
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	return t
}

func issue(template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	var err error
	if template.SerialNumber, err = serial(); err != nil {
		return nil, fmt.Errorf("pilot: serial number: %w", err)
	}
	if template.SubjectKeyId, err = subjectKeyID(public); err != nil {
		return nil, fmt.Errorf("pilot: key identifier: %w", err)
	}
	if parent != template { // crypto/x509 leaves it out where issuer and subject have one name; without it that looks self-signed
		template.AuthorityKeyId = parent.SubjectKeyId
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return nil, fmt.Errorf("pilot: issuing: %w", err)
	}
	return x509.ParseCertificate(der)
}
