package pilot_test

import (
	"crypto/x509"
	"errors"
	"slices"
	"testing"
	"time"

	"carepost/addr"
	"carepost/internal/pilot"
	"carepost/internal/store"
)

func (p *place) account(t *testing.T, name string) store.Owner {
	t.Helper()
	o := owner(name)
	check(t, p.store.Tx(t.Context(), func(tx *store.Tx) error { _, err := tx.InsertAccount(o.Address); return err }))
	return o
}

// inUse are the serial numbers of what an owner signs with or is encrypted to.
func (p *place) inUse(t *testing.T, o store.Owner, now time.Time) (out []string) {
	t.Helper()
	check(t, p.store.View(t.Context(), func(tx *store.Tx) error {
		rows, err := tx.Certs(o)
		out = nil
		for _, row := range rows {
			if !now.Before(row.NotBefore) && !now.After(row.NotAfter) {
				out = append(out, parse(t, row.DER).SerialNumber.Text(16))
			}
		}
		return err
	}))
	return out
}

// DIR-04, DIR-06: every kind of key, for one address or the domain, for both uses or one; names and usages are as the clauses say.
func TestIssue(t *testing.T) {
	now := time.Now()
	p := newPlace(t, now)
	lee := p.account(t, "Dr.Lee@north.example")
	const sign, encipher, agree = x509.KeyUsageDigitalSignature, x509.KeyUsageKeyEncipherment, x509.KeyUsageKeyAgreement
	for _, tc := range []struct {
		owner store.Owner
		kind  pilot.Kind
		use   pilot.Use
		want  x509.KeyUsage
	}{
		{lee, pilot.RSA2048, pilot.Both, sign | encipher},
		{lee, pilot.P256, pilot.Both, sign | agree},
		{lee, pilot.P256, pilot.Encrypt, agree},
		{lee, pilot.P256, pilot.Sign, sign},
		{owner("north.example"), pilot.RSA2048, pilot.Encrypt, encipher},
		{owner("north.example"), pilot.RSA3072, pilot.Sign, sign},
	} {
		made, err := p.Issue(t.Context(), "test", pilot.Order{Owner: tc.owner, Kind: tc.kind, Use: tc.use}, now)
		check(t, err)
		c := made.Certificate
		if c.KeyUsage != tc.want || !p.Issued(c) || c.IsCA || !slices.Equal(c.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}) {
			t.Errorf("%s for %s: usage %b, want %b", tc.kind, tc.use, c.KeyUsage, tc.want)
		}
		names := append(slices.Clone(c.EmailAddresses), c.DNSNames...)
		want := tc.owner.Domain.String()
		if !tc.owner.Address.IsZero() {
			want = "Dr.Lee@north.example"
		}
		if !slices.Equal(names, []string{want}) || len(c.EmailAddresses) == 1 != !tc.owner.Address.IsZero() {
			t.Errorf("names %q", names)
		}
		if used := p.inUse(t, tc.owner, now); !slices.Contains(used, c.SerialNumber.Text(16)) {
			t.Errorf("%s for %s is not in use", tc.kind, tc.use)
		}
	}
	if n := len(p.inUse(t, lee, now)); n != 2 {
		t.Errorf("%d certificates of the address are in use, want one for each use", n)
	}
	if n := len(p.inUse(t, owner("north.example"), now)); n != 2 {
		t.Errorf("%d certificates of the domain are in use, want one for each use", n)
	}
	check(t, p.Renew(t.Context(), now))
	if n := len(p.audit(t, "certificate.issue")); n != 2+6 {
		t.Errorf("%d were issued: what is not due was replaced", n)
	}
}

// What cannot be issued is refused, and nothing is done.
func TestIssueRefuses(t *testing.T) {
	now := time.Now()
	p := newPlace(t, now)
	foreign, umlaut := owner("north.example"), owner("lee@north.example")
	foreign.Domain = "south.example"
	umlaut.Address.Endpoint = "müller"
	for name, o := range map[string]pilot.Order{
		"another domain":          {Owner: foreign, Kind: pilot.P256, Use: pilot.Both},
		"an address elsewhere":    {Owner: owner("lee@south.example"), Kind: pilot.P256, Use: pilot.Both},
		"an address that is none": {Owner: owner("lee@north.example"), Kind: pilot.P256, Use: pilot.Both},
		"an address in UTF-8":     {Owner: umlaut, Kind: pilot.P256, Use: pilot.Both},
		"no kind":                 {Owner: owner("north.example"), Use: pilot.Both},
		"no use":                  {Owner: owner("north.example"), Kind: pilot.P256},
		"another use":             {Owner: owner("north.example"), Kind: pilot.P256, Use: 4},
	} {
		if _, err := p.Issue(t.Context(), "test", o, now); !errors.Is(err, pilot.ErrOrder) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := len(p.audit(t, "certificate.issue")); n != 2 {
		t.Errorf("%d were issued", n)
	}
}

// DIR-06: what was ordered is renewed as it was ordered; a closed account's is not, and is in use no more.
func TestOrdersAreRenewed(t *testing.T) {
	now := time.Now()
	p := newPlace(t, now)
	lee, gone := p.account(t, "lee@north.example"), p.account(t, "gone@north.example")
	for _, o := range []pilot.Order{{Owner: lee, Kind: pilot.P256, Use: pilot.Sign}, {Owner: lee, Kind: pilot.RSA3072, Use: pilot.Encrypt}, {Owner: gone, Kind: pilot.P256, Use: pilot.Both}} {
		_, err := p.Issue(t.Context(), "test", o, now)
		check(t, err)
	}
	check(t, p.store.Tx(t.Context(), func(tx *store.Tx) error {
		a, err := tx.Account(addr.Address{Endpoint: "gone", Domain: "north.example"})
		return errors.Join(err, tx.CloseAccount(a.ID))
	}))
	before := p.inUse(t, lee, now)
	now = now.Add(250 * day)
	for range 2 {
		check(t, p.Renew(t.Context(), now))
	}
	after := p.inUse(t, lee, now)
	if len(before) != 2 || len(after) != 2 || slices.ContainsFunc(after, func(s string) bool { return slices.Contains(before, s) }) || len(p.inUse(t, gone, now)) != 0 {
		t.Errorf("in use: %v, then %v; of the closed account %v", before, after, p.inUse(t, gone, now))
	}
	kinds := map[x509.PublicKeyAlgorithm]x509.KeyUsage{}
	for _, s := range after {
		c, err := p.Find(t.Context(), s)
		check(t, err)
		kinds[c.PublicKeyAlgorithm] = c.KeyUsage
	}
	if kinds[x509.ECDSA] != x509.KeyUsageDigitalSignature || kinds[x509.RSA] != x509.KeyUsageKeyEncipherment {
		t.Errorf("renewed as %v", kinds)
	}
}

// DIR-60: a revoked certificate has a successor with a new key in the same moment, of the same kind and use, unless its owner has lost
// the right to one; found by serial number or fingerprint, and revoked once.
func TestReplace(t *testing.T) {
	now := time.Now()
	p := newPlace(t, now)
	lee := p.account(t, "lee@north.example")
	for _, tc := range []struct {
		name    string
		order   pilot.Order
		reason  pilot.Reason
		another bool
	}{
		{"an address' key is stolen", pilot.Order{Owner: lee, Kind: pilot.P256, Use: pilot.Sign}, pilot.KeyCompromise, true},
		{"somebody has left", pilot.Order{Owner: lee, Kind: pilot.P256, Use: pilot.Both}, pilot.AffiliationChanged, false},
		{"no reason is given", pilot.Order{Owner: lee, Kind: pilot.P256, Use: pilot.Both}, pilot.Unspecified, true},
		{"the domain's", pilot.Order{Owner: owner("north.example"), Kind: pilot.RSA2048, Use: pilot.Both}, pilot.CessationOfOperation, true},
	} {
		made, err := p.Issue(t.Context(), "test", tc.order, now)
		check(t, err)
		old, err := p.Find(t.Context(), made.Certificate.SerialNumber.Text(16))
		check(t, err)
		r, err := p.Replace(t.Context(), "test", old, tc.reason, now)
		check(t, err)
		used := p.inUse(t, tc.order.Owner, now)
		if (r.Successor != nil) != tc.another || r.Already || slices.Contains(used, old.SerialNumber.Text(16)) {
			t.Errorf("%s: successor %v, in use %v", tc.name, r.Successor != nil, used)
		}
		if s := r.Successor; s != nil && (!slices.Contains(used, s.SerialNumber.Text(16)) || s.KeyUsage != old.KeyUsage || s.PublicKeyAlgorithm != old.PublicKeyAlgorithm ||
			string(s.RawSubjectPublicKeyInfo) == string(old.RawSubjectPublicKeyInfo)) {
			t.Errorf("%s: the successor is another thing", tc.name)
		}
		again, err := p.Replace(t.Context(), "test", old, pilot.Superseded, now.Add(time.Hour))
		if err != nil || !again.Already || !again.At.Equal(now) || again.Reason != tc.reason || tc.another && again.Successor == nil {
			t.Errorf("%s, again: %+v, %v", tc.name, again, err)
		}
	}
	if _, err := p.Replace(t.Context(), "test", p.Anchor(), pilot.KeyCompromise, now); !errors.Is(err, pilot.ErrAuthority) {
		t.Errorf("the authority's own: %v", err)
	}
	other := newPlace(t, now)
	if _, err := p.Replace(t.Context(), "test", other.organisation(t, now), pilot.KeyCompromise, now); !errors.Is(err, pilot.ErrNotIssued) {
		t.Errorf("of another authority: %v", err)
	}
	for _, which := range []string{"", "xyz", "1234", other.organisation(t, now).SerialNumber.Text(16), "0x12", "-5"} {
		if _, err := p.Find(t.Context(), which); !errors.Is(err, pilot.ErrNotIssued) {
			t.Errorf("%q finds something: %v", which, err)
		}
	}
	server := p.server(t)
	r, err := p.Replace(t.Context(), "test", server, pilot.KeyCompromise, now)
	if err != nil || r.Successor == nil || !p.server(t).Equal(r.Successor) {
		t.Errorf("the server's: %v", err)
	}
}
