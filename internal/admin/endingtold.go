package admin

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"carepost/internal/audit"
	"carepost/internal/store"
)

// endingSetting is where it is kept which steps were told.
const endingSetting = "endings"

// endingKept is for how long after its end it is kept that a certificate was told of, when it is listed no more: another node that shows a
// server certificate of its own lists others than we do.
const endingKept = 365 * 24 * time.Hour

// endingNote is what was told of one certificate.
type endingNote struct {
	Step int       `json:"step"`
	End  time.Time `json:"end"`
}

// TellEndings writes each ending that has come to its next step to the audit. fresh are those: each step comes once, whatever is started
// anew in between, and however many nodes ask.
func (s *Service) TellEndings(ctx context.Context, by audit.Actor, w Watch) (fresh []Ending, err error) {
	for range 3 {
		if fresh, err = s.tellEndings(ctx, by, w); !errors.Is(err, store.ErrConflict) {
			break
		}
	}
	return fresh, prefix("what ends", err)
}

func (s *Service) tellEndings(ctx context.Context, by audit.Actor, w Watch) (fresh []Ending, err error) {
	now := s.clock()
	look := func(tx *store.Tx) (notes map[string]endingNote, version int64, err error) {
		all, err := endings(tx, w, now)
		if err != nil {
			return nil, 0, err
		}
		if notes, version, err = endingNotes(tx); err != nil {
			return nil, 0, err
		}
		fresh = untold(all, notes, now)
		return notes, version, nil
	}
	if err := s.store.View(ctx, func(tx *store.Tx) error { _, _, err := look(tx); return err }); err != nil || len(fresh) == 0 {
		return nil, err
	}
	err = s.store.Tx(ctx, func(tx *store.Tx) error {
		notes, version, err := look(tx)
		if err != nil || len(fresh) == 0 { // another node was first
			return err
		}
		for _, e := range fresh {
			detail := map[string]string{"what": e.Traced, "sha256": e.SHA256, "ends": e.NotAfter.UTC().Format(time.RFC3339), "days": strconv.Itoa(e.Days())}
			if err := audit.Write(tx, audit.Entry{Actor: by, Action: "certificate.ends", Object: e.object, Detail: detail}); err != nil {
				return err
			}
		}
		raw, err := json.Marshal(notes)
		if err != nil {
			return err
		}
		return tx.SetSetting(endingSetting, raw, version)
	})
	if err != nil {
		return nil, err
	}
	return fresh, nil
}

func endingNotes(tx *store.Tx) (notes map[string]endingNote, version int64, err error) {
	notes = map[string]endingNote{}
	raw, version, err := tx.Setting(endingSetting)
	if errors.Is(err, store.ErrNotFound) {
		return notes, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	return notes, version, json.Unmarshal(raw, &notes)
}

// untold are the endings at a step that was not told yet; notes says so afterwards.
func untold(all []Ending, notes map[string]endingNote, now time.Time) (fresh []Ending) {
	listed := map[string]bool{}
	for _, e := range all {
		isNew := false
		for _, name := range e.told {
			listed[name] = true
			if notes[name].Step < e.step {
				notes[name] = endingNote{e.step, e.NotAfter}
				isNew = true
			}
		}
		if isNew {
			fresh = append(fresh, e)
		}
	}
	for name, n := range notes {
		if !listed[name] && now.Sub(n.End) > endingKept {
			delete(notes, name)
		}
	}
	return fresh
}
