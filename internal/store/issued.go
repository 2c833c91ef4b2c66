package store

import (
	"crypto/sha256"
	"math/big"
	"time"

	"carepost/addr"
)

// InsertIssued notes a certificate that the authority of a domain has issued. One that is noted already stays.
func (tx *Tx) InsertIssued(d addr.Domain, serial *big.Int, der []byte) error {
	id, sum := tx.NewID(), sha256.Sum256(der)
	_, err := tx.exec(`INSERT INTO issued (id, domain, serial_hash, fp_hash, der) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (domain, serial_hash) DO NOTHING`,
		id, d.String(), tx.serialHash(serial), tx.issuedPrint(sum[:]), tx.s.box.Seal("issued.der", id, der))
	return err
}

func (tx *Tx) serialHash(serial *big.Int) []byte   { return tx.hash("issued.serial", serial.Text(16)) }
func (tx *Tx) issuedPrint(sha256sum []byte) []byte { return tx.hash("issued.fp", string(sha256sum)) }

func (tx *Tx) readIssued(scan scanner) (der []byte, err error) {
	var id string
	if err := scan(&id, &der); err != nil {
		return nil, err
	}
	return tx.s.box.Open("issued.der", id, der)
}

// Issued is the certificate of that serial number that the authority of a domain has issued, DER. ErrNotFound.
func (tx *Tx) Issued(d addr.Domain, serial *big.Int) (der []byte, err error) {
	return first(tx, tx.readIssued, `SELECT id, der FROM issued WHERE domain = $1 AND serial_hash = $2`, d.String(), tx.serialHash(serial))
}

// IssuedByFingerprint is Issued by the SHA-256 of the certificate. ErrNotFound.
func (tx *Tx) IssuedByFingerprint(d addr.Domain, sha256sum []byte) (der []byte, err error) {
	return first(tx, tx.readIssued, `SELECT id, der FROM issued WHERE domain = $1 AND fp_hash = $2`, d.String(), tx.issuedPrint(sha256sum))
}

// AllIssued lists what the authority of a domain has issued, oldest first, at most limit.
func (tx *Tx) AllIssued(d addr.Domain, limit int) ([][]byte, error) {
	return all(tx, tx.readIssued, `SELECT id, der FROM issued WHERE domain = $1 ORDER BY id LIMIT $2`, d.String(), int64(limit))
}

// WrittenWith lists the domains that mail or notices of ours were sealed for since then, in alphabetical order, at most limit.
func (tx *Tx) WrittenWith(since time.Time, limit int) ([]addr.Domain, error) {
	return all(tx, func(scan scanner) (d addr.Domain, err error) {
		var name string
		if err := scan(&name); err != nil {
			return "", err
		}
		return d, d.UnmarshalText([]byte(name))
	}, `SELECT DISTINCT domain FROM delivery WHERE created_at >= $1 ORDER BY domain LIMIT $2`, msec(since), int64(limit))
}

// AllAnchors lists what anybody of ours trusts, oldest first: each certificate once.
func (tx *Tx) AllAnchors() ([][]byte, error) {
	return all(tx, func(scan scanner) (der []byte, err error) {
		return der, scan(&der)
	}, `SELECT der FROM anchor GROUP BY fp, der ORDER BY MIN(id)`)
}
