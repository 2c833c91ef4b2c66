package pilot_test

import (
	"bytes"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"carepost/addr"
	"carepost/internal/pilot"
	"carepost/trust"
)

// renewed is a place whose authority has got a new key, with what was issued before.
func renewed(t *testing.T, start time.Time) (p *place, now time.Time, oldAnchor, oldOrg *x509.Certificate) {
	t.Helper()
	p = newPlace(t, start)
	oldAnchor, oldOrg = p.Anchor(), p.organisation(t, start)
	late := options(start.AddDate(8, 0, 0).Add(-30 * day))
	p.establish(t, late)
	if !p.Anchor().Equal(oldAnchor) {
		t.Fatal("the authority got a new key early")
	}
	oldOrg = p.organisation(t, late.Now)
	late.Now = start.AddDate(8, 0, 5)
	for range 2 { // the second time nothing is due
		p.establish(t, late)
	}
	if p.Anchor().Equal(oldAnchor) || len(p.Anchors(late.Now)) != 2 || len(p.audit(t, "authority.renew")) != 1 {
		t.Fatalf("%d anchors, %d renewals", len(p.Anchors(late.Now)), len(p.audit(t, "authority.renew")))
	}
	return p, late.Now, oldAnchor, oldOrg
}

// host is certd's part for every key of the authority.
type host struct {
	*place
	now     time.Time
	fetched []string
	silent  bool // its responder does not answer
}

// DIR-52, DIR-53, DIR-60: whoever trusts the old anchor trusts what the new key issues, and the other way round, with what the
// pointers lead to and nothing else; a revocation is seen on each way.
func TestNewKeyOfTheAuthority(t *testing.T) {
	p, now, oldAnchor, oldOrg := renewed(t, time.Now())
	newAnchor := p.Anchor()
	if !p.organisation(t, now).Equal(oldOrg) {
		t.Error("what is not due was replaced")
	}
	issued, err := p.Issue(t.Context(), "test", pilot.Order{Owner: owner("north.example"), Kind: pilot.P256, Use: pilot.Both}, now)
	check(t, err)
	newOrg := issued.Certificate
	if !bytes.Equal(newOrg.AuthorityKeyId, newAnchor.SubjectKeyId) || !strings.Contains(newOrg.CRLDistributionPoints[0], "pilot-2.crl") {
		t.Error("the old key issues on")
	}
	judge := func(leaf, anchor *x509.Certificate) trust.Verdict {
		return trust.NewJudge(&host{place: p, now: now}).Judge(t.Context(), trust.Question{Certificate: leaf,
			Address: addr.Address{Endpoint: "desk", Domain: "north.example"}, Anchors: []*x509.Certificate{anchor}, Use: trust.Encryption, Now: now})
	}
	for name, way := range map[string][2]*x509.Certificate{
		"old by old": {oldOrg, oldAnchor}, "old by new": {oldOrg, newAnchor}, "new by old": {newOrg, oldAnchor}, "new by new": {newOrg, newAnchor},
	} {
		if v := judge(way[0], way[1]); v.Status != trust.Trusted {
			t.Errorf("%s: %s %s", name, v.Clause, v.Reason)
		}
	}
	for _, c := range []*x509.Certificate{oldOrg, newOrg} {
		_, err := p.Replace(t.Context(), "test", c, pilot.KeyCompromise, now)
		check(t, err)
		for _, anchor := range []*x509.Certificate{oldAnchor, newAnchor} {
			if v := judge(c, anchor); v.Status != trust.Refused || !strings.Contains(v.Reason, "revoked") {
				t.Errorf("revoked: %v %s", v.Status, v.Reason)
			}
		}
	}
}

// The same with OpenSSL, strictly: the bundle that the pointers lead to is read by it, and makes the paths.
func TestNewKeyOpenSSL(t *testing.T) {
	p, now, oldAnchor, oldOrg := renewed(t, time.Now().AddDate(-8, 0, -6)) // so that OpenSSL's now is ours
	issued, err := p.Issue(t.Context(), "test", pilot.Order{Owner: owner("north.example"), Kind: pilot.RSA2048, Use: pilot.Both}, now)
	check(t, err)
	b := &bench{place: p, dir: t.TempDir(), now: now}
	for name, content := range map[string][]byte{"old.pem": certPEM(oldAnchor), "new.pem": certPEM(p.Anchor()), "oldorg.pem": certPEM(oldOrg), "neworg.pem": certPEM(issued.Certificate)} {
		check(t, os.WriteFile(filepath.Join(b.dir, name), content, 0o600))
	}
	for _, name := range p.Names() {
		der, ok := p.Bundle(name, now)
		if !ok {
			t.Fatal("no bundle")
		}
		check(t, os.WriteFile(filepath.Join(b.dir, name+".p7c"), der, 0o600))
		b.run(t, "openssl", "pkcs7", "-inform", "DER", "-in", name+".p7c", "-print_certs", "-out", name+".pem")
		if n := strings.Count(b.file(t, name+".pem"), "BEGIN CERTIFICATE"); n != 1 {
			t.Errorf("%s: OpenSSL reads %d certificates, want the cross certificate", name, n)
		}
	}
	for _, way := range [][3]string{{"old.pem", "pilot-2.pem", "neworg.pem"}, {"new.pem", "pilot.pem", "oldorg.pem"}} {
		b.run(t, "openssl", "verify", "-x509_strict", "-no-CApath", "-CAfile", way[0], "-untrusted", way[1], "-purpose", "smimesign", way[2])
	}
}

// No certificate outlives the key that issued it; an installation that was switched off until after the end of its authority begins
// anew, with an anchor that partners have to take.
func TestEndOfTheAuthority(t *testing.T) {
	start := time.Now()
	p := newPlace(t, start)
	old := p.Anchor()
	late := options(old.NotAfter.Add(10 * day))
	p.establish(t, late)
	if p.Anchor().Equal(old) || len(p.Anchors(late.Now)) != 1 {
		t.Errorf("%d anchors after the end of the first", len(p.Anchors(late.Now)))
	}
	if org := p.organisation(t, late.Now); !bytes.Equal(org.AuthorityKeyId, p.Anchor().SubjectKeyId) || org.NotAfter.After(p.Anchor().NotAfter) {
		t.Error("nothing was issued by the new key")
	}
	der, _ := p.Bundle("pilot-2", late.Now)
	if bytes.Contains(der, old.SerialNumber.Bytes()) {
		t.Error("an old key that has ended is certified")
	}
}

// RFC 6960 §2.2: of one key what another one issued is unknown, though both have one name.
func TestResponderOfEachKey(t *testing.T) {
	p, now, oldAnchor, oldOrg := renewed(t, time.Now())
	issued, err := p.Issue(t.Context(), "test", pilot.Order{Owner: owner("north.example"), Kind: pilot.P256, Use: pilot.Both}, now)
	check(t, err)
	for _, tc := range []struct {
		leaf, issuer *x509.Certificate
		want         int
	}{
		{oldOrg, oldAnchor, ocsp.Good}, {issued.Certificate, p.Anchor(), ocsp.Good},
		{oldOrg, p.Anchor(), ocsp.Unknown}, {issued.Certificate, oldAnchor, ocsp.Unknown},
	} {
		request, err := ocsp.CreateRequest(tc.leaf, tc.issuer, nil)
		check(t, err)
		r, err := ocsp.ParseResponse(p.OCSP(t.Context(), request, now).DER, tc.issuer)
		check(t, err)
		if r.Status != tc.want {
			t.Errorf("status %d, want %d", r.Status, tc.want)
		}
	}
}
