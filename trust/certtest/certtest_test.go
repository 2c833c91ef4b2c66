package certtest

import (
	"crypto/rsa"
	"crypto/x509"
	"testing"
)

func TestWhatItIssuesStandsInOtherEyes(t *testing.T) {
	root := NewCA(t, "Root")
	root.Publish(t, NewServer(t))
	mid := root.Intermediate(t, "Mid")
	lab := mid.Issue(t, "lab@h.example", EmailDN("lab@h.example"))
	roots, mids := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(root.Certificate)
	mids.AddCert(mid.Certificate)
	o := x509.VerifyOptions{Roots: roots, Intermediates: mids, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}}
	if _, err := lab.Certificate.Verify(o); err != nil {
		t.Fatal(err)
	}
	if _, ok := lab.Key.(*rsa.PrivateKey); !ok {
		t.Errorf("the key is a %T", lab.Key)
	}
	if err := root.CRL(t, lab.Certificate).CheckSignatureFrom(root.Certificate); err != nil {
		t.Error(err)
	}
	if len(mid.Certificate.CRLDistributionPoints) != 1 || len(mid.Certificate.IssuingCertificateURL) != 1 {
		t.Error("an authority that is published points to itself")
	}
}
