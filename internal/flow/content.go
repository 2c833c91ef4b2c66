package flow

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"slices"
	"strings"

	"carepost/internal/store"
	"carepost/message"
)

// saying passes an opened message on to a draft and takes the digest of what it says: its body, and of its header the fields that are said
// in it. Trace fields are added on every way, and who signs or seals anew makes no other letter of it.
type saying struct {
	w      io.Writer
	body   hash.Hash
	inBody bool
	line   bool // the line of the header that is written has something on it
}

func newSaying(w io.Writer) *saying { return &saying{w: w, body: sha256.New()} }

func (c *saying) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	for p = p[:n]; !c.inBody && len(p) > 0; {
		line, rest, ended := bytes.Cut(p, []byte("\n"))
		if len(bytes.TrimRight(line, "\r")) > 0 {
			c.line = true
		}
		if ended {
			c.inBody, c.line = !c.line, false
		}
		p = rest
	}
	if c.inBody {
		c.body.Write(p)
	}
	return n, err
}

// sum is the digest, once all has been written and its header is known.
func (c *saying) sum(h message.Header) []byte {
	all := sha256.New()
	all.Write(c.body.Sum(nil))
	for _, name := range []string{"Subject", "Content-Type", "Content-Transfer-Encoding"} {
		for _, v := range h.Values(name) {
			all.Write([]byte(strings.ToLower(name) + ":" + strings.Join(strings.Fields(v), " ") + "\n"))
		}
	}
	return all.Sum(nil)
}

// toldContent finds the recipients who were shown a content under its Message-ID.
const toldContent = store.Token("content")

// told says whether this recipient was shown the same letter of the same sender before: Message-ID and content, whoever has signed and sealed it anew
// since (DIR-27: it is answered once). Without a Message-ID there is no telling.
func (f *Flow) told(tx *store.Tx, a *arrival, r store.Recipient) (again bool, err error) {
	value := a.letter(r)
	if value == "" {
		return false, nil
	}
	before, err := tx.Correlated(toldContent, value)
	if err != nil {
		return false, err
	}
	for _, b := range before {
		if b.ID == r.ID {
			continue
		}
		if turned, err := turnedAway(tx, b); err != nil || !turned {
			return err == nil, err
		}
	}
	return false, nil
}

// turnedAway says that nobody has released a letter that a rule held: its recipient was shown nothing.
func turnedAway(tx *store.Tx, r store.Recipient) (bool, error) {
	w, err := tx.Waiter(r.ID)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return w.State == store.Ended, err
}

// keepTold has told find it from now on, for a year.
func (f *Flow) keepTold(tx *store.Tx, a *arrival, r store.Recipient) error {
	value := a.letter(r)
	if value == "" {
		return nil
	}
	return tx.Correlate(toldContent, value, r.ID, f.Clock().AddDate(1, 0, 0))
}

// letter names one letter to one recipient. The senders to whom its signer is bound are part of it: nobody else can have sent it before.
func (a *arrival) letter(r store.Recipient) string {
	id := a.opened.Header.MessageID()
	if id == "" || len(a.says) == 0 {
		return ""
	}
	lines := []string{r.Address.Key(), id, hex.EncodeToString(a.says)}
	for _, s := range a.judged[r.ID].Senders {
		lines = append(lines, s.Key())
	}
	slices.Sort(lines[3:])
	return strings.Join(lines, "\n")
}
