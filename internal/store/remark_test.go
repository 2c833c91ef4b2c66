package store

import (
	"testing"

	"carepost/addr"
	"carepost/internal/transit"
)

// Remarks come from the network: a history takes so many and no more, and still says how its recipients move.
func TestRemarksAreBounded(t *testing.T) {
	s := openTest(t, t.TempDir())
	ctx := t.Context()
	a := addr.Address{Endpoint: "lab", Domain: "south.example"}
	m := Message{Direction: transit.Outbound, Kind: transit.Mail, Envelope: transit.Envelope{To: []addr.Address{a}}}
	r := Recipient{Address: a}
	err := s.Tx(ctx, func(tx *Tx) error {
		b := testBlob(tx, 3)
		m.Raw = b.ID
		if err := tx.InsertBlob(b); err != nil {
			return err
		}
		if err := tx.InsertMessage(&m); err != nil {
			return err
		}
		r.Message = m.ID
		if err := tx.InsertRecipient(&r); err != nil {
			return err
		}
		_, err := tx.exec(`UPDATE message SET events = $1 WHERE id = $2`, maxEvents-2, m.ID)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Tx(ctx, func(tx *Tx) error {
		for range 5 {
			if err := tx.Remark(r, "Direct 3.2", "notice: again"); err != nil {
				return err
			}
		}
		return tx.MoveRecipient(r.ID, r.Version, Move{Of: m.ID, From: r.State, To: transit.Sealed, Cause: "Direct 2.3"})
	})
	if err != nil {
		t.Fatal(err)
	}
	var events []Event
	err = s.View(ctx, func(tx *Tx) (err error) { events, err = tx.Timeline(m.ID); return err })
	if err != nil {
		t.Fatal(err)
	}
	if len(events) != 4 || events[2].Detail != "notice: again" || events[3].To != string(transit.Sealed) || events[3].Seq != maxEvents+1 {
		t.Errorf("%+v", events)
	}
}
