package pilot_test

import (
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"slices"
	"testing"
	"time"

	"carepost/internal/pilot"
)

func (p *place) crl(t *testing.T, now time.Time) *x509.RevocationList {
	t.Helper()
	der, err := p.CRL(t.Context(), pilot.Name, now)
	check(t, err)
	list, err := x509.ParseRevocationList(der)
	check(t, err)
	check(t, list.CheckSignatureFrom(p.Anchor()))
	return list
}

// DIR-52: the list is published regularly: the same for half of its life, then anew, long before the old one ends. Its number grows
// with every list (RFC 5280 §5.2.3), also when the clock stands or goes back.
func TestListIsRenewed(t *testing.T) {
	start := time.Now()
	p := newPlace(t, start)
	half := 7 * day / 2
	first := p.crl(t, start)
	if !first.NextUpdate.Equal(start.Add(7*day).UTC().Truncate(time.Second)) || first.ThisUpdate.After(start) {
		t.Errorf("the list is for %v to %v", first.ThisUpdate, first.NextUpdate)
	}
	if len(first.AuthorityKeyId) == 0 || len(first.RevokedCertificateEntries) != 0 {
		t.Errorf("key %x, %d entries", first.AuthorityKeyId, len(first.RevokedCertificateEntries))
	}
	last := first.Number
	for _, step := range []struct {
		name   string
		at     time.Duration
		revoke int64
		same   bool
	}{
		{"just before half of its life", half - time.Second, 0, true},
		{"half of its life", half, 0, false},
		{"again", half, 0, true},
		{"a certificate is revoked", half, 1, false},
		{"another, at the same moment", half, 2, false},
		{"the clock goes back", time.Hour, 0, false},
		{"a year later", 365 * day, 0, false},
	} {
		now := start.Add(step.at)
		if step.revoke > 0 {
			check(t, p.Revoke(t.Context(), "test", big.NewInt(step.revoke), pilot.KeyCompromise, now))
		}
		list := p.crl(t, now)
		if step.same != (list.Number.Cmp(last) == 0) || list.Number.Cmp(last) < 0 {
			t.Errorf("%s: number %d after %d", step.name, list.Number, last)
		}
		if now.Before(list.ThisUpdate) || !now.Before(list.NextUpdate.Add(-half+time.Second)) {
			t.Errorf("%s: the list is for %v to %v", step.name, list.ThisUpdate, list.NextUpdate)
		}
		last = list.Number
	}
	if n := len(p.crl(t, start.Add(365*day)).RevokedCertificateEntries); n != 2 {
		t.Errorf("%d entries, want 2", n)
	}
}

// DIR-52, DIR-53: what is issued points to the authority's certificate and to its list. Key usages are of RFC 5280 §4.2.1.3 and RFC
// 8550 §4.4.2, critical; the organisational certificate names the domain as Direct 4.1.2 wants it (DIR-04).
func TestWhatIsIssued(t *testing.T) {
	now := time.Now()
	p := newPlace(t, now)
	org, server := p.organisation(t, now), p.server(t)
	for name, c := range map[string]*x509.Certificate{"organisation": org, "server": server} {
		if !slices.Equal(c.IssuingCertificateURL, []string{p.URL + pilot.CertificatePath, p.URL + pilot.BundlePath}) || !slices.Equal(c.OCSPServer, []string{p.URL + pilot.OCSPPath}) || !slices.Equal(c.CRLDistributionPoints, []string{p.URL + pilot.CRLPath}) {
			t.Errorf("%s points to %q and %q", name, c.IssuingCertificateURL, c.CRLDistributionPoints)
		}
		if !slices.Equal(c.AuthorityKeyId, p.Anchor().SubjectKeyId) || len(c.SubjectKeyId) != 20 || c.IsCA || !c.BasicConstraintsValid {
			t.Errorf("%s: key identifiers %x, %x; CA %v", name, c.AuthorityKeyId, c.SubjectKeyId, c.IsCA)
		}
		if !p.Issued(c) {
			t.Errorf("%s is not of this authority", name)
		}
	}
	if !slices.Equal(org.DNSNames, []string{"north.example"}) || len(org.EmailAddresses) != 0 {
		t.Errorf("the organisation's names: %q, %q", org.DNSNames, org.EmailAddresses)
	}
	for _, tc := range []struct {
		name     string
		c        *x509.Certificate
		usage    x509.KeyUsage
		extended []x509.ExtKeyUsage
		bits     int // of an RSA key
		sign     x509.SignatureAlgorithm
	}{
		{"authority", p.Anchor(), x509.KeyUsageCertSign | x509.KeyUsageCRLSign, nil, 2048, x509.SHA256WithRSA},
		{"organisation", org, x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}, 2048, x509.SHA256WithRSA},
		{"server", server, x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, 0, x509.SHA256WithRSA},
	} {
		if tc.c.KeyUsage != tc.usage || !slices.Equal(tc.c.ExtKeyUsage, tc.extended) || tc.c.SignatureAlgorithm != tc.sign {
			t.Errorf("%s: usage %b, extended %v, %v", tc.name, tc.c.KeyUsage, tc.c.ExtKeyUsage, tc.c.SignatureAlgorithm)
		}
		if k, ok := tc.c.PublicKey.(*rsa.PublicKey); ok != (tc.bits > 0) || ok && k.N.BitLen() < tc.bits {
			t.Errorf("%s: key %T", tc.name, tc.c.PublicKey)
		}
		if !slices.ContainsFunc(tc.c.Extensions, func(e pkix.Extension) bool { return e.Id.String() == "2.5.29.15" && e.Critical }) {
			t.Errorf("%s: the key usage is not critical", tc.name)
		}
	}
	if !p.Anchor().IsCA || p.Anchor().MaxPathLen != 0 || !p.Anchor().MaxPathLenZero {
		t.Errorf("the authority: CA %v, path length %d", p.Anchor().IsCA, p.Anchor().MaxPathLen)
	}
}
