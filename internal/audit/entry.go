package audit

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"carepost/internal/store"
)

// sealed is what the detail column holds.
type sealed struct {
	Salt   []byte            `json:"salt"`
	Clear  []byte            `json:"clear,omitempty"` // SHA-256 of the columns in clear: whoever has no key cannot write an entry of another actor or action
	Detail map[string]string `json:"detail,omitempty"`
}

// row makes the row of an entry, but for its id and time, which a has.
func (e Entry) row(a store.Audit) (store.Audit, error) {
	a.Actor, a.Action, a.Object = string(e.Actor), e.Action, e.Object
	detail := sealed{Salt: make([]byte, 16), Clear: clearSum(a), Detail: e.Detail}
	rand.Read(detail.Salt)
	text, err := json.Marshal(detail)
	if err != nil {
		return a, err
	}
	sum := sha256.Sum256(text)
	a.Detail, a.Sum = text, sum[:]
	digest := sha256.Sum256(canonical(a))
	a.Digest = digest[:]
	return a, nil
}

// canonical is the form that the digest covers: a JSON array of its number, the columns in clear in this order, with the time in
// milliseconds, and what stands for the detail. In the first form that is its text as it was sealed (its map is written in the order of its
// keys); in the second the SHA-256 of that in hexadecimal, so that the columns in clear verify when the detail has been erased.
func canonical(a store.Audit) []byte {
	if a.Sum == nil {
		return array(1, a.ID, a.At.UnixMilli(), a.Node, a.Actor, a.Action, a.Object, string(a.Detail))
	}
	return array(2, a.ID, a.At.UnixMilli(), a.Node, a.Actor, a.Action, a.Object, hex.EncodeToString(a.Sum))
}

// clearSum is the digest of the columns in clear.
func clearSum(a store.Audit) []byte {
	sum := sha256.Sum256(array(a.ID, a.At.UnixMilli(), a.Node, a.Actor, a.Action, a.Object))
	return sum[:]
}

func array(values ...any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(values); err != nil {
		panic(err) // texts and numbers always encode
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// State of an entry that was read.
type State uint8

const (
	Broken State = iota // it is not what was written; its Entry is not to be believed
	Whole               // it is what was written
	Erased              // it is what was written, but its detail was erased, or the key of it destroyed
)

// read makes a record of a row and judges it.
func read(row store.Audit) Record {
	r := Record{
		Entry: Entry{Actor: Actor(row.Actor), Action: row.Action, Object: row.Object},
		ID:    row.ID, Seq: row.Seq, At: row.At, Node: row.Node, Digest: row.Digest, Sum: row.Sum,
	}
	digest := sha256.Sum256(canonical(row))
	if row.Closed || !bytes.Equal(digest[:], row.Digest) {
		return r
	}
	if row.Sum != nil {
		if row.Detail == nil {
			r.State = Erased
			return r
		}
		if sum := sha256.Sum256(row.Detail); !bytes.Equal(sum[:], row.Sum) {
			return r
		}
	}
	var s sealed
	if json.Unmarshal(row.Detail, &s) != nil || (row.Sum != nil || s.Clear != nil) && !bytes.Equal(s.Clear, clearSum(row)) {
		return r
	}
	r.Detail, r.State = s.Detail, Whole
	return r
}
