package store

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"carepost/addr"
)

// Announcement is what the holder of a certificate has told one of our domains that it reads.
type Announcement struct {
	Domain      addr.Domain  // ours
	Partner     addr.Address // whom the certificate speaks for
	Certificate []byte       // DER
	Said        []string     // names of algorithms, without line ends
	Signed      time.Time
}

func (tx *Tx) whose(d addr.Domain, partner addr.Address, der []byte) []byte {
	sum := sha256.Sum256(der)
	return tx.hash("capability", strings.Join([]string{d.String(), partner.Key(), hex.EncodeToString(sum[:])}, "\n"))
}

// Announce keeps a, unless something was announced that was signed later.
func (tx *Tx) Announce(a Announcement) error {
	_, err := tx.exec(`INSERT INTO capability (whose_hash, said, signed_at) VALUES ($1, $2, $3) ON CONFLICT (whose_hash) DO UPDATE
		SET said = excluded.said, signed_at = excluded.signed_at WHERE capability.signed_at <= excluded.signed_at`,
		tx.whose(a.Domain, a.Partner, a.Certificate), strings.Join(a.Said, "\n"), msec(a.Signed))
	return err
}

// Announced is what the holder of a certificate has told one of our domains; known is false where that is nothing at all.
func (tx *Tx) Announced(d addr.Domain, partner addr.Address, der []byte) (said []string, known bool, err error) {
	var text string
	err = tx.one(`SELECT said FROM capability WHERE whose_hash = $1`, []any{tx.whose(d, partner, der)}, &text)
	if isNone(err) {
		return nil, false, nil
	}
	if text == "" {
		return []string{}, err == nil, err
	}
	return strings.Split(text, "\n"), err == nil, err
}
