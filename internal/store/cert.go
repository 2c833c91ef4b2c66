package store

import (
	"crypto/sha256"
	"strings"
	"time"

	"carepost/addr"
)

// Owner is whom a certificate or anchor belongs to: an address, or a whole domain when Address is zero.
type Owner struct {
	Address addr.Address
	Domain  addr.Domain // of no account when Address is set
}

// name is the one text for an owner; the address with its case, for people.
func (o Owner) name() string {
	if !o.Address.IsZero() {
		return o.Address.String()
	}
	return o.Domain.String()
}

func (tx *Tx) ownerHash(o Owner) []byte {
	if !o.Address.IsZero() {
		return tx.hash("owner", o.Address.Key())
	}
	return tx.hash("owner", o.Domain.String()) // no '@', so it is nobody's address
}

func (tx *Tx) openOwner(column, row string, sealed []byte) (o Owner, err error) {
	name, err := tx.open(column, row, sealed)
	if err != nil {
		return o, err
	}
	if strings.Contains(name, "@") {
		return o, o.Address.UnmarshalText([]byte(name))
	}
	return o, o.Domain.UnmarshalText([]byte(name))
}

// Cert is a certificate of our own.
type Cert struct {
	ID                  string // made by InsertCert when empty
	Owner               Owner
	Key                 string // handle in the keyring
	DER                 []byte // sealed: it names its owner
	Chain               []byte // intermediates up to the anchor, concatenated DER; sealed
	NotBefore, NotAfter time.Time
}

// InsertCert adds c. *Duplicate if the owner has that certificate.
func (tx *Tx) InsertCert(c *Cert) error {
	if c.ID == "" {
		c.ID = tx.NewID()
	}
	owner, fp := tx.ownerHash(c.Owner), tx.hash("cert", string(c.DER))
	return tx.insert(`INSERT INTO cert (id, owner_hash, owner, privkey, fp_hash, der, chain, not_before, not_after)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (owner_hash, fp_hash) DO NOTHING`,
		[]any{c.ID, owner, tx.seal("cert.owner", c.ID, c.Owner.name()), c.Key, fp, tx.s.box.Seal("cert.der", c.ID, c.DER),
			tx.s.box.Seal("cert.chain", c.ID, c.Chain), msec(c.NotBefore), msec(c.NotAfter)},
		`SELECT id FROM cert WHERE owner_hash = $1 AND fp_hash = $2`, owner, fp)
}

const certColumns = `id, owner, privkey, der, chain, not_before, not_after`

func (tx *Tx) readCert(scan scanner) (c Cert, err error) {
	var owner, der, chain []byte
	var notBefore, notAfter int64
	if err := scan(&c.ID, &owner, &c.Key, &der, &chain, &notBefore, &notAfter); err != nil {
		return c, err
	}
	c.NotBefore, c.NotAfter = when(notBefore), when(notAfter)
	if c.Owner, err = tx.openOwner("cert.owner", c.ID, owner); err != nil {
		return c, err
	}
	if c.DER, err = tx.s.box.Open("cert.der", c.ID, der); err != nil {
		return c, err
	}
	c.Chain, err = tx.s.box.Open("cert.chain", c.ID, chain)
	return c, err
}

// Certs lists the certificates of exactly this owner, newest NotBefore first. Callers ask for the address first, then for its domain.
func (tx *Tx) Certs(o Owner) ([]Cert, error) {
	return all(tx, tx.readCert, `SELECT `+certColumns+` FROM cert WHERE owner_hash = $1 ORDER BY not_before DESC, id DESC`, tx.ownerHash(o))
}

// AllCerts lists every certificate of our own, oldest first.
func (tx *Tx) AllCerts() ([]Cert, error) {
	return all(tx, tx.readCert, `SELECT `+certColumns+` FROM cert ORDER BY id`)
}

// CRL is a revocation list as fetched from one place.
type CRL struct {
	URL                    string
	Issuer                 []byte // raw DER name of the issuer
	DER                    []byte
	ThisUpdate, NextUpdate time.Time
	Fetched                time.Time
}

// PutCRL keeps the list of that URL, over the one before.
func (tx *Tx) PutCRL(c CRL) error {
	issuer := sha256.Sum256(c.Issuer)
	_, err := tx.exec(`INSERT INTO crl (url, issuer, issuer_name, der, this_update, next_update, fetched_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (url) DO UPDATE SET issuer = excluded.issuer, issuer_name = excluded.issuer_name, der = excluded.der,
		this_update = excluded.this_update, next_update = excluded.next_update, fetched_at = excluded.fetched_at`,
		c.URL, issuer[:], c.Issuer, c.DER, msec(c.ThisUpdate), nullable(c.NextUpdate), msec(c.Fetched))
	return err
}

const crlColumns = `url, issuer_name, der, this_update, COALESCE(next_update, 0), fetched_at`

func readCRL(scan scanner) (c CRL, err error) {
	var this, next, fetched int64
	err = scan(&c.URL, &c.Issuer, &c.DER, &this, &next, &fetched)
	c.ThisUpdate, c.NextUpdate, c.Fetched = when(this), when(next), when(fetched)
	return c, err
}

// CRL reads the list of that URL. ErrNotFound.
func (tx *Tx) CRL(url string) (CRL, error) {
	return first(tx, readCRL, `SELECT `+crlColumns+` FROM crl WHERE url = $1`, url)
}

// CRLs lists those of an issuer.
func (tx *Tx) CRLs(issuer []byte) ([]CRL, error) {
	sum := sha256.Sum256(issuer)
	return all(tx, readCRL, `SELECT `+crlColumns+` FROM crl WHERE issuer = $1 ORDER BY url`, sum[:])
}

// PrivateKey is the row of a private key. Only the keyring can open it.
type PrivateKey struct {
	ID      string
	Public  []byte // SubjectPublicKeyInfo; sealed: it finds the certificate that is published, which names its owner
	Wrapped []byte // PKCS #8, sealed by the keyring
	Created time.Time
}

// InsertPrivateKey adds k.
func (tx *Tx) InsertPrivateKey(k PrivateKey) error {
	_, err := tx.exec(`INSERT INTO privkey (id, public, wrapped, created_at) VALUES ($1, $2, $3, $4)`, k.ID, tx.s.box.Seal("privkey.public", k.ID, k.Public), k.Wrapped, msec(tx.now))
	return err
}

// PrivateKey reads one. ErrNotFound.
func (tx *Tx) PrivateKey(id string) (PrivateKey, error) {
	return first(tx, func(scan scanner) (k PrivateKey, err error) {
		var created int64
		var public []byte
		if err := scan(&k.ID, &public, &k.Wrapped, &created); err != nil {
			return k, err
		}
		k.Created = when(created)
		k.Public, err = tx.s.box.Open("privkey.public", k.ID, public)
		return k, err
	}, `SELECT id, public, wrapped, created_at FROM privkey WHERE id = $1`, id)
}
