package admin

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"carepost/addr"
	"carepost/internal/audit"
	"carepost/internal/keyring"
	"carepost/internal/store"
	"carepost/trust"
)

// Refusal says why a certificate cannot be ours: clause, cause and remedy.
type Refusal struct{ Clause, Reason string }

func (e *Refusal) Error() string { return "admin: " + e.Clause + ": " + e.Reason }

func refuse(clause, format string, a ...any) error {
	return &Refusal{clause, fmt.Sprintf(format, a...)}
}

// Files are what an authority, or another program, has written.
type Files struct {
	Owner    Owner    // zero: whom the certificate names, of ours
	Files    [][]byte // PEM, DER, PKCS #7, PKCS #12; they are cleared
	Password string   // of PKCS #12 and of encrypted keys
	TokenKey string   // URI of the private key on the token (RFC 7512); empty: not there
}

// ImportCertificates takes certificates of our own with those above them, and their private keys where the files have them; else the keys
// are those that wait for their certificates, or have one already. It publishes them and returns them with what an operator should know.
// What stands in the files besides is passed over. One that is here already stays as it is. *Refusal, *Invalid, ErrNoDomain, ErrNoAccount.
func (s *Service) ImportCertificates(ctx context.Context, by audit.Actor, in Files) ([]Certificate, error) {
	bundle, err := keyring.ReadBundle(in.Files, in.Password)
	if wrong := (*keyring.Unreadable)(nil); errors.As(err, &wrong) {
		return nil, invalid("%s", wrong.Reason)
	} else if errors.Is(err, keyring.ErrPassword) && in.Password == "" {
		return nil, invalid("a file is encrypted: its password is wanted")
	} else if errors.Is(err, keyring.ErrPassword) {
		return nil, invalid("the password does not open the file, or the file is damaged")
	} else if err != nil {
		return nil, prefix("import certificates", err)
	}
	im := &importing{s: s, in: in, bundle: bundle}
	if err := im.prepare(ctx); err != nil {
		return nil, knownOrRefused(err)
	}
	var rows []store.Cert
	err = s.store.Tx(ctx, func(tx *store.Tx) (err error) {
		rows, err = im.keep(ctx, tx, by)
		return err
	})
	if err != nil {
		return nil, knownOrRefused(err)
	}
	var out []Certificate
	for _, row := range rows {
		c, err := s.read(ctx, row)
		if err != nil {
			return nil, prefix("import certificates", err)
		}
		out = append(out, c)
	}
	return out, prefix("import certificates", s.published(ctx))
}

func knownOrRefused(err error) error {
	if r := (*Refusal)(nil); errors.As(err, &r) {
		return r
	}
	return knownOrInvalid("import certificates", err)
}

// importing is one call of ImportCertificates.
type importing struct {
	s      *Service
	in     Files
	bundle keyring.Bundle

	handles map[string]string // by public key: keys of ours that are here
	token   crypto.PublicKey  // of the key on the token, or nil
	taken   []taken
}

// taken is a certificate that will be kept.
type taken struct {
	leaf   *x509.Certificate
	above  []*x509.Certificate
	owners []Owner
}

// prepare finds what is our own in the files, and says why it cannot be used. Nothing is changed.
func (im *importing) prepare(ctx context.Context) error {
	if len(im.bundle.Certificates) == 0 {
		return invalid("there is no certificate in the files")
	}
	if err := im.ourKeys(ctx); err != nil {
		return err
	}
	if im.in.TokenKey != "" {
		public, err := im.s.keys.FindOnToken(ctx, im.in.TokenKey)
		if err != nil {
			return err
		}
		im.token = public
	}
	for _, c := range im.bundle.Certificates {
		if im.has(c.PublicKey) {
			if err := im.take(ctx, c); err != nil {
				return err
			}
		}
	}
	if len(im.taken) == 0 {
		return im.nothingOfOurs()
	}
	for _, k := range im.bundle.Keys {
		if !slices.ContainsFunc(im.taken, func(t taken) bool { return samePublic(k.Public(), t.leaf.PublicKey) }) {
			return refuse("Direct 1.4", "a private key of the files is that of none of their certificates: name the certificate that belongs to it as well")
		}
	}
	return nil
}

// nothingOfOurs says why none of the certificates is our own.
func (im *importing) nothingOfOurs() error {
	if im.token != nil || len(im.bundle.Keys) > 0 {
		return refuse("Direct 1.4", "the private key is that of none of the certificates: name the files that belong together")
	}
	return refuse("Direct 1.4", "the certificate was not made of this installation's request, and its private key is not in the files: name it with --key, or ask with carepost cert request")
}

// ourKeys lists the keys that are here, by their public halves.
func (im *importing) ourKeys(ctx context.Context) error {
	im.handles = map[string]string{}
	return im.s.store.View(ctx, func(tx *store.Tx) error {
		rows, waiting, err := certificateRows(tx, Owner{})
		if err != nil {
			return err
		}
		var keys []string
		for _, row := range rows {
			keys = append(keys, row.Key)
		}
		for _, w := range waiting {
			keys = append(keys, w.Key)
		}
		domains, err := tx.Domains()
		if err != nil {
			return err
		}
		for _, d := range domains {
			former, err := formerRequest(tx, Owner{Domain: d.Name})
			if err != nil {
				return err
			}
			for _, f := range former {
				keys = append(keys, f.Key)
			}
		}
		for _, k := range keys {
			row, err := tx.PrivateKey(k)
			if err != nil {
				return err
			}
			im.handles[string(row.Public)] = k
		}
		return nil
	})
}

func publicText(public crypto.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return ""
	}
	return string(der)
}

func samePublic(a, b crypto.PublicKey) bool {
	x := publicText(a)
	return x != "" && x == publicText(b)
}

// has says whether the private key is here, or comes with the files.
func (im *importing) has(public crypto.PublicKey) bool {
	text := publicText(public)
	if text == "" {
		return false
	}
	_, here := im.handles[text]
	return here || im.token != nil && samePublic(im.token, public) ||
		slices.ContainsFunc(im.bundle.Keys, func(k crypto.Signer) bool { return samePublic(k.Public(), public) })
}

// take checks a certificate whose key is ours.
func (im *importing) take(ctx context.Context, c *x509.Certificate) error {
	if err := usable(c, im.s.clock()); err != nil {
		return err
	}
	owners, err := im.owners(ctx, c)
	if err != nil {
		return err
	}
	above := pathAbove(c, im.bundle.Certificates)
	if im.s.fetcher != nil {
		above = complete(ctx, im.s.fetcher(), c, above)
	}
	im.taken = append(im.taken, taken{c, above, owners})
	return nil
}

// usable says what keeps a certificate from being used by us now, whoever it names.
func usable(c *x509.Certificate, now time.Time) error {
	mail := func(u x509.ExtKeyUsage) bool { return u == x509.ExtKeyUsageEmailProtection || u == x509.ExtKeyUsageAny }
	switch {
	case c.IsCA:
		return refuse("Direct 1.4", "the certificate is an authority's: ask the authority for one of your own")
	case now.After(c.NotAfter):
		return refuse("RFC 5280 §4.1.2.5", "the certificate has expired on %s: ask for the next one", c.NotAfter.UTC().Format(time.DateOnly))
	case now.Before(c.NotBefore):
		return refuse("RFC 5280 §4.1.2.5", "the certificate is not valid before %s; import it then", c.NotBefore.UTC().Format(time.RFC3339))
	case UseOf(c) == UseNone:
		return refuse("RFC 8550 §4.4.2", "its key usage allows neither to sign mail nor to encrypt to it: ask for digitalSignature and %s", encipherment(c))
	case len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) > 0 && !slices.ContainsFunc(c.ExtKeyUsage, mail):
		return refuse("RFC 8550 §4.4.4", "its extended key usage is not for mail: ask for emailProtection")
	}
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n < 2048 || n > 8192 {
			return refuse("Direct 4", "its RSA key has %d bits: from 2048 to 8192 are in use", n)
		}
		return nil
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() || k.Curve == elliptic.P384() {
			return nil
		}
	case ed25519.PublicKey:
		return nil
	}
	return refuse("Direct 4", "its key is of a kind that is not used here: RSA, P-256 and P-384 are")
}

func encipherment(c *x509.Certificate) string {
	if _, ok := c.PublicKey.(*rsa.PublicKey); ok {
		return "keyEncipherment"
	}
	return "keyAgreement"
}

// owners are those of ours whom the certificate names (Direct 4.1): a domain, addresses, or both.
func (im *importing) owners(ctx context.Context, c *x509.Certificate) (out []Owner, err error) {
	err = im.s.store.View(ctx, func(tx *store.Tx) error {
		all, err := im.s.owners(tx)
		if im.in.Owner != (Owner{}) {
			var one Owner
			one, err = im.s.owner(tx, im.in.Owner)
			all = []Owner{one}
		}
		for _, o := range all {
			if named(c, o) {
				out = append(out, o)
			}
		}
		return err
	})
	if err == nil && len(out) == 0 {
		err = refuse("Direct 4.1", "%s: ask for one that names the domain as dNSName, or an address that has an account here as rfc822Name", notNamed(im.in.Owner, c))
	}
	return out, err
}

func notNamed(o Owner, c *x509.Certificate) string {
	switch {
	case !o.Address.IsZero():
		return "the certificate does not name that address as rfc822Name"
	case o.Domain != "":
		return "the certificate does not name " + o.Domain.String() + " as dNSName"
	case slices.ContainsFunc(c.DNSNames, func(n string) bool { return strings.HasPrefix(n, "*") }):
		return "a wildcard dNSName binds nobody"
	}
	return "the certificate names none of our domains as dNSName and none of our addresses as rfc822Name"
}

// named says whether a certificate is bound to exactly this owner.
func named(c *x509.Certificate, o Owner) bool {
	if !o.Address.IsZero() {
		b, _ := trust.Bind(c, o.Address)
		return b == trust.AddressBound
	}
	return slices.ContainsFunc(c.DNSNames, func(name string) bool {
		d, err := addr.ParseDomain(name)
		return err == nil && d == o.Domain // the name itself, no wildcard
	})
}

// keep writes what was prepared.
func (im *importing) keep(ctx context.Context, tx *store.Tx, by audit.Actor) (rows []store.Cert, err error) {
	handles := map[string]string{}
	for _, t := range im.taken {
		key, err := im.handle(ctx, tx, t.leaf, handles)
		if err != nil {
			return nil, err
		}
		var chain []byte
		for _, c := range t.above {
			chain = append(chain, c.Raw...)
		}
		for _, o := range t.owners {
			row := store.Cert{Owner: o, Key: key, DER: t.leaf.Raw, Chain: chain, NotBefore: t.leaf.NotBefore, NotAfter: t.leaf.NotAfter}
			if have, err := im.there(tx, o, t.leaf); err != nil {
				return nil, err
			} else if have != nil {
				rows = append(rows, *have)
				continue
			}
			if err := tx.InsertCert(&row); err != nil {
				return nil, err
			}
			if err := audit.Write(tx, audit.Entry{Actor: by, Action: "certificate.import", Object: "certificate:" + row.ID,
				Detail: map[string]string{"serial": t.leaf.SerialNumber.Text(16), "use": UseOf(t.leaf)}}); err != nil {
				return nil, err
			}
			rows = append(rows, row)
			if err := answerFormer(tx, o, key); err != nil {
				return nil, err
			}
		}
		if err := tx.AnswerKeyRequests(key); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// there is the row of a certificate that the owner has already, or nil.
func (im *importing) there(tx *store.Tx, o Owner, c *x509.Certificate) (*store.Cert, error) {
	rows, err := tx.Certs(o)
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(rows, func(r store.Cert) bool { return string(r.DER) == string(c.Raw) }); i >= 0 {
		return &rows[i], nil
	}
	return nil, nil
}

// handle is the key of a certificate in the keyring, where it is put if it came with the files.
func (im *importing) handle(ctx context.Context, tx *store.Tx, c *x509.Certificate, made map[string]string) (id string, err error) {
	text := publicText(c.PublicKey)
	if id, ok := im.handles[text]; ok {
		return id, nil
	}
	if id, ok := made[text]; ok {
		return id, nil
	}
	if im.token != nil && samePublic(im.token, c.PublicKey) {
		id, err = im.s.keys.TakeFromToken(ctx, tx, im.in.TokenKey)
	} else {
		i := slices.IndexFunc(im.bundle.Keys, func(k crypto.Signer) bool { return samePublic(k.Public(), c.PublicKey) })
		id, err = im.s.keys.Import(ctx, tx, im.bundle.Keys[i])
	}
	made[text] = id
	return id, err
}

// answerFormer ends a request that was made before requests had a table.
func answerFormer(tx *store.Tx, o Owner, key string) error {
	if o.Domain == "" {
		return nil
	}
	handle, version, err := tx.Setting(formerSetting(o))
	if errors.Is(err, store.ErrNotFound) || err == nil && string(handle) != key {
		return nil
	}
	if err != nil {
		return err
	}
	return tx.SetSetting(formerSetting(o), nil, version)
}
