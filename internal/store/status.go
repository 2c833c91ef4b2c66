package store

import (
	"encoding/hex"
	"time"
)

// Status is what an authority has said of certificates, as fetched: a list or an OCSP answer.
type Status struct {
	Name    []byte // of where from and about whom
	URL     string
	Issuer  []byte // certificate, DER
	Subject []byte // certificate that an OCSP answer is about, DER; nil for a list
	Body    []byte
	Fetched time.Time
	Next    time.Time // nextUpdate
	Used    time.Time
}

// statusAbout is the sealed column about.
type statusAbout struct {
	URL     string `json:"url"`
	Issuer  []byte `json:"issuer"`
	Subject []byte `json:"subject,omitempty"`
}

// maxStatuses bounds the bodies of all of them: those unused for longest go first.
const maxStatuses = 32 << 20

func (tx *Tx) statusID(name []byte) string {
	return hex.EncodeToString(tx.hash("status", string(name)))
}

// SaveStatus keeps s, over what was kept under its name.
func (tx *Tx) SaveStatus(s Status) error {
	id := tx.statusID(s.Name)
	about, err := tx.sealJSON("status.about", id, statusAbout{s.URL, s.Issuer, s.Subject})
	if err != nil {
		return err
	}
	_, err = tx.exec(`INSERT INTO status (id, about, body, size, fetched_at, next_at, used_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (id) DO UPDATE SET about = excluded.about, body = excluded.body, size = excluded.size, fetched_at = excluded.fetched_at,
		next_at = excluded.next_at, used_at = excluded.used_at`,
		id, about, tx.s.box.Seal("status.body", id, s.Body), len(s.Body), msec(s.Fetched), msec(s.Next), msec(s.Used))
	if err != nil {
		return err
	}
	return tx.boundStatuses()
}

// boundStatuses lets go what is too much.
func (tx *Tx) boundStatuses() error {
	for {
		var sum int64
		var oldest string
		if err := tx.one(`SELECT COALESCE(SUM(size), 0) FROM status WHERE used_at > $1`, []any{int64(-1)}, &sum); err != nil || sum <= maxStatuses {
			return err
		}
		err := tx.one(`SELECT id FROM status WHERE used_at > $1 ORDER BY used_at, size, id LIMIT 1`, []any{int64(-1)}, &oldest)
		if err == nil {
			_, err = tx.exec(`DELETE FROM status WHERE id = $1`, oldest)
		}
		if err != nil {
			return err
		}
	}
}

const statusColumns = `id, about, body, fetched_at, next_at, used_at`

func (tx *Tx) readStatus(scan scanner) (s Status, err error) {
	var id string
	var about, body []byte
	var fetched, next, used int64
	if err := scan(&id, &about, &body, &fetched, &next, &used); err != nil {
		return s, err
	}
	var a statusAbout
	if err := tx.openJSON("status.about", id, about, &a); err != nil {
		return s, err
	}
	s = Status{URL: a.URL, Issuer: a.Issuer, Subject: a.Subject, Fetched: when(fetched), Next: when(next), Used: when(used)}
	s.Body, err = tx.s.box.Open("status.body", id, body)
	return s, err
}

// Status is what was kept under a name. ErrNotFound.
func (tx *Tx) Status(name []byte) (Status, error) {
	return first(tx, tx.readStatus, `SELECT `+statusColumns+` FROM status WHERE id = $1`, tx.statusID(name))
}

// StatusesUsed lists at most limit of those used since then, the latest first.
func (tx *Tx) StatusesUsed(since time.Time, limit int) ([]Status, error) {
	return all(tx, tx.readStatus, `SELECT `+statusColumns+` FROM status WHERE used_at >= $1 ORDER BY used_at DESC LIMIT $2`, msec(since), limit)
}

// DropStatuses forgets those not used since then.
func (tx *Tx) DropStatuses(before time.Time) (int64, error) {
	return tx.exec(`DELETE FROM status WHERE used_at < $1`, msec(before))
}
