package flow

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"carepost/addr"
	"carepost/internal/rule"
	"carepost/internal/store"
	"carepost/internal/transit"
)

// keepTakes is how long it is believed what the servers of a domain said of the size that they take.
const keepTakes = 30 * 24 * time.Hour

// takes is what the servers of a domain said they take (SIZE of RFC 1870 §4).
type takes struct {
	Bytes int64     `json:"bytes"` // of a sealed message, most
	At    time.Time `json:"at"`
}

// takesKey names the setting of a domain without naming the domain.
func (f *Flow) takesKey(d addr.Domain) string {
	return "takes." + hex.EncodeToString(f.Store.Box().Hash("takes", d.String()))
}

// learnSize keeps what the servers of a domain said that they take, where that is news.
func (f *Flow) learnSize(tx *store.Tx, d addr.Domain, bytes int64) error {
	if bytes < minFragment { // nothing, or nonsense that would keep images from a partner for a month
		return nil
	}
	before, version, err := f.takes(tx, d)
	if err != nil || before.Bytes == bytes && f.Clock().Sub(before.At) < keepTakes/2 {
		return err
	}
	text, err := json.Marshal(takes{bytes, f.Clock().UTC()})
	if err != nil {
		return err
	}
	if err := tx.SetSetting(f.takesKey(d), text, version); !errors.Is(err, store.ErrConflict) {
		return err
	}
	return nil // somebody else has just learned the same
}

func (f *Flow) takes(tx *store.Tx, d addr.Domain) (t takes, version int64, err error) {
	text, version, err := tx.Setting(f.takesKey(d))
	if errors.Is(err, store.ErrNotFound) {
		return t, 0, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &t)
	}
	return t, version, err
}

// Room is how large a message may be, in bytes; 0: nobody says.
type Room struct {
	Message int64 // as its sender writes it: what our rules say
	Sealed  int64 // as it leaves: what servers of the recipients said lately
}

// Room tells how large one message to all of these recipients may be.
func (f *Flow) Room(ctx context.Context, from addr.Address, to []addr.Address) (out Room, err error) {
	least := func(have *int64, n int64) {
		if n > 0 && (*have == 0 || n < *have) {
			*have = n
		}
	}
	err = f.Store.View(ctx, func(tx *store.Tx) error {
		out = Room{}
		for _, a := range to {
			h, _, err := home(tx, a)
			if err != nil {
				return err
			}
			says := f.Rules.Of(from, h, transit.Outbound)
			least(&out.Message, says.Size)
			t, _, err := f.takes(tx, a.Domain)
			if err != nil {
				return err
			}
			fragments := says.Fragment > 0 && says.Fragment <= t.Bytes && (says.Form == rule.SMIME || says.Form == rule.Plain) // each is small enough
			if f.Clock().Sub(t.At) < keepTakes && !fragments {
				least(&out.Sealed, t.Bytes)
			}
		}
		return nil
	})
	if err != nil {
		return Room{}, fmt.Errorf("flow: room: %w", err)
	}
	return out, nil
}
