package pilot

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"slices"
	"strconv"
	"time"

	"carepost/internal/audit"
	"carepost/internal/store"
)

// generation is a key of the authority: its own certificate, and those that tie it to the key before and after (RFC 4210 §4.4).
type generation struct {
	n           int // from 1
	certificate *x509.Certificate
	key         crypto.Signer
	withOld     *x509.Certificate // this key, certified by the one before; nil of the first
	withNew     *x509.Certificate // this key, certified by the one after; nil of the newest
}

// name is what certd calls it.
func (g generation) name() string {
	if g.n == 1 {
		return Name
	}
	return Name + "-" + strconv.Itoa(g.n)
}

// carried is what goes along with certificates that the key has issued: its cross certificates where there are some, for those who
// trust another key; else its own certificate. Both together would lead astray who takes the first issuer that fits (OpenSSL), and who
// trusts this key has its own certificate.
func (g generation) carried(now time.Time) (out []*x509.Certificate) {
	for _, c := range []*x509.Certificate{g.withOld, g.withNew} {
		if c != nil && now.Before(c.NotAfter) {
			out = append(out, c)
		}
	}
	if len(out) == 0 {
		out = append(out, g.certificate)
	}
	return out
}

func (a *Authority) generations() []generation { return *a.held.Load() }

// newest is the generation that issues.
func (a *Authority) newest() generation {
	all := a.generations()
	return all[len(all)-1]
}

// generationOf finds the generation that issued c.
func (a *Authority) generationOf(c *x509.Certificate) (generation, bool) {
	for _, g := range slices.Backward(a.generations()) {
		if bytes.Equal(c.AuthorityKeyId, g.certificate.SubjectKeyId) && c.CheckSignatureFrom(g.certificate) == nil {
			return g, true
		}
	}
	return generation{}, false
}

// named finds the generation that certd calls so.
func (a *Authority) named(name string) (generation, bool) {
	for _, g := range a.generations() {
		if g.name() == name {
			return g, true
		}
	}
	return generation{}, false
}

// Anchor is the newest certificate of the authority: what partners are given to trust.
func (a *Authority) Anchor() *x509.Certificate { return a.newest().certificate }

// Anchors are all certificates of the authority that have not ended, oldest first: partners may trust any of them.
func (a *Authority) Anchors(now time.Time) (out []*x509.Certificate) {
	for _, g := range a.generations() {
		if !now.After(g.certificate.NotAfter) {
			out = append(out, g.certificate)
		}
	}
	return out
}

// Issued says whether the authority issued c.
func (a *Authority) Issued(c *x509.Certificate) bool {
	_, ok := a.generationOf(c)
	return ok
}

// above is what goes along with c in messages and on connections.
func (a *Authority) above(c *x509.Certificate, now time.Time) []*x509.Certificate {
	g, ok := a.generationOf(c)
	if !ok {
		g = a.newest()
	}
	return g.carried(now)
}

// Certificate is what certd serves as NAME.cer: the self-signed certificate of one key of the authority, DER.
func (a *Authority) Certificate(name string) (der []byte, ok bool) {
	g, ok := a.named(name)
	if !ok {
		return nil, false
	}
	return g.certificate.Raw, true
}

// Bundle is what certd serves as NAME.p7c: the certificates that lead from one key of the authority to an anchor, as certs-only PKCS #7
// (RFC 5280 §4.2.2.1).
func (a *Authority) Bundle(name string, now time.Time) (der []byte, ok bool) {
	g, ok := a.named(name)
	if !ok {
		return nil, false
	}
	der, err := certsOnly(g.carried(now))
	return der, err == nil
}

// hold reads the keys that st names.
func (a *Authority) hold(ctx context.Context, st state) error {
	var all []generation
	add := func(certificate, key []byte) error {
		c, err := x509.ParseCertificate(certificate)
		if err != nil {
			return err
		}
		signer, err := a.signerOf(ctx, key)
		all = append(all, generation{n: len(all) + 1, certificate: c, key: signer})
		return err
	}
	var withOld *x509.Certificate
	for _, f := range st.Former {
		if err := add(f.Certificate, f.Key); err != nil {
			return err
		}
		g := &all[len(all)-1]
		g.withOld, withOld = withOld, nil
		for der, into := range map[*[]byte]**x509.Certificate{&f.OldWithNew: &g.withNew, &f.NewWithOld: &withOld} {
			if len(*der) == 0 {
				continue
			}
			c, err := x509.ParseCertificate(*der)
			if err != nil {
				return err
			}
			*into = c
		}
	}
	if err := add(st.Authority, st.AuthorityKey); err != nil {
		return err
	}
	all[len(all)-1].withOld = withOld
	a.held.Store(&all)
	return nil
}

// overlap is how long before its end the authority gets a new key: longer than what it issues lives, so that partners have a year to
// take the new anchor after everything has been issued anew.
const overlap = 2 * leafYears * 365 * 24 * time.Hour

// succeed gives the authority a new key when its certificate comes to its end. Nobody's trust hangs on the moment: each key certifies
// the other, as far as the old certificate lives.
func (a *Authority) succeed(ctx context.Context, now time.Time) error {
	old := a.newest()
	if old.certificate.NotAfter.Sub(now) > overlap {
		return nil
	}
	key, err := RSA3072.generate()
	if err != nil {
		return err
	}
	template := authorityTemplate(a.Domain, now)
	next, err := issue(template, template, key.Public(), key)
	if err != nil {
		return err
	}
	oldWithNew, newWithOld, err := a.cross(old, generation{n: old.n + 1, certificate: next, key: key}, now)
	if err != nil {
		return err
	}
	err = a.store.Tx(ctx, func(tx *store.Tx) error {
		st, version, err := a.read(tx)
		if err != nil {
			return err
		}
		if !bytes.Equal(st.Authority, old.certificate.Raw) {
			return store.ErrConflict // another process was first
		}
		handle, err := a.keys.Import(ctx, tx, key)
		if err != nil {
			return err
		}
		f := former{Certificate: st.Authority, Key: st.AuthorityKey}
		for c, into := range map[*x509.Certificate]*[]byte{oldWithNew: &f.OldWithNew, newWithOld: &f.NewWithOld} {
			if c == nil {
				continue
			}
			*into = c.Raw
			if err := tx.InsertIssued(a.Domain, c.SerialNumber, c.Raw); err != nil {
				return err
			}
		}
		st.Former = append(st.Former, f)
		st.Authority, st.AuthorityKey = next.Raw, []byte(handle)
		if err := a.write(tx, st, version); err != nil {
			return err
		}
		return audit.Write(tx, audit.Entry{Actor: actor, Action: "authority.renew", Object: a.object(), Detail: map[string]string{
			"serial": next.SerialNumber.Text(16), "replaces": old.certificate.SerialNumber.Text(16), "sha256": fingerprint(next.Raw)}})
	})
	if err != nil {
		return err
	}
	return a.load(ctx)
}

// cross certifies each key by the other. Nothing is certified beyond the end of the old certificate; both are nil after it.
func (a *Authority) cross(old, next generation, now time.Time) (oldWithNew, newWithOld *x509.Certificate, err error) {
	if !now.Before(old.certificate.NotAfter) {
		return nil, nil, nil
	}
	template := func(by generation, from time.Time) *x509.Certificate {
		t := authorityTemplate(a.Domain, now)
		t.NotBefore, t.NotAfter = from, old.certificate.NotAfter
		a.point(t, by)
		return t
	}
	if oldWithNew, err = issue(template(next, old.certificate.NotBefore), next.certificate, old.key.Public(), next.key); err != nil {
		return nil, nil, err
	}
	newWithOld, err = issue(template(old, next.certificate.NotBefore), old.certificate, next.key.Public(), old.key)
	return oldWithNew, newWithOld, err
}

// point writes into t where the issuer's certificates are, and its status (Direct 4.2.2, 4; RFC 5280 §4.2.2.1).
func (a *Authority) point(t *x509.Certificate, by generation) {
	t.IssuingCertificateURL, t.CRLDistributionPoints, t.OCSPServer = a.pointers(by)
}

func (a *Authority) pointers(by generation) (issuers, lists, responders []string) {
	base := a.URL + "/" + by.name()
	if issuers = []string{base + ".cer", base + ".p7c"}; by.n > 1 {
		slices.Reverse(issuers) // most partners trust the key before
	}
	return issuers, []string{base + ".crl"}, []string{a.URL + OCSPPath}
}

// pointsTrue says whether c, of generation by, points to where things are.
func (a *Authority) pointsTrue(c *x509.Certificate, by generation) bool {
	issuers, lists, responders := a.pointers(by)
	return slices.Equal(c.IssuingCertificateURL, issuers) && slices.Equal(c.CRLDistributionPoints, lists) && slices.Equal(c.OCSPServer, responders)
}

// Names are what certd calls the keys of the authority, oldest first.
func (a *Authority) Names() (out []string) {
	for _, g := range a.generations() {
		out = append(out, g.name())
	}
	return out
}

// Responder is what certd calls the OCSP responder.
func (a *Authority) Responder() string { return Name }
