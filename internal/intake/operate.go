package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"carepost/internal/audit"
	"carepost/internal/store"
)

// ErrUnknown says that there is no such study; ErrState that it is not in the state that this is for; ErrRoute that no route of that name sends.
var (
	ErrUnknown = errors.New("intake: no such study")
	ErrRoute   = errors.New("intake: no [[dicom.route]] of that name sends studies")
	ErrState   = errors.New("intake: it does not wait for a person")
)

// Study is what there is to see of one without looking at whom it is about.
type Study struct {
	ID              string
	State           store.IntakeState
	Via             string
	Calling, Called string
	Objects, Bytes  int64
	First, Last     time.Time
	Why             Why
	Reason          []string
	Route           string
	Message         string // id
	Late            bool   // further objects of a study that was sent
}

// Details are the rest: people's data.
type Details struct {
	Study
	StudyUID string
	Patients []Patient
	Facts    map[string][]string
	Object   []Object // at most Limit
}

// Object of a study.
type Object struct {
	Seq                                   int64
	SOPInstance, SOPClass, TransferSyntax string
	Size                                  int64
}

// mostListed is how many studies and objects are listed at most.
const mostListed = 1000

func shown(i store.Intake) (Study, detail, error) {
	d, err := read(i)
	return Study{ID: i.ID, State: i.State, Via: d.Origin.Via, Calling: d.Origin.Calling, Called: d.Origin.Called, Objects: i.Objects, Bytes: i.Bytes,
		First: i.First, Last: i.Last, Why: d.Why, Reason: d.Reason, Route: d.Route, Message: d.Message, Late: d.Before != ""}, d, err
}

// List lists studies in the order of their coming, those that are neither sent nor dropped or all, and tells the audit who looked.
func (s *Service) List(ctx context.Context, by audit.Actor, all bool) (out []Study, err error) {
	states := []store.IntakeState{store.IntakeOpen, store.IntakeClosing, store.IntakeHeld}
	if all {
		states = nil
	}
	err = s.o.Store.Tx(ctx, func(tx *store.Tx) error {
		list, err := tx.Intakes("", mostListed, states...)
		out = out[:0]
		for _, i := range list {
			one, _, err := shown(i)
			if err != nil {
				return err
			}
			out = append(out, one)
		}
		if err != nil {
			return err
		}
		return audit.Write(tx, audit.Entry{Actor: by, Action: "intake.list", Object: "intake:all"})
	})
	if err != nil {
		return nil, fmt.Errorf("intake: %w", err)
	}
	return out, nil
}

// Show tells everything of one study, and the audit who looked. ErrUnknown.
func (s *Service) Show(ctx context.Context, by audit.Actor, id string) (out Details, err error) {
	err = s.o.Store.Tx(ctx, func(tx *store.Tx) error {
		i, err := tx.Intake(id)
		if err != nil {
			return err
		}
		var d detail
		if out.Study, d, err = shown(i); err != nil {
			return err
		}
		out.StudyUID, out.Patients, out.Facts, out.Object = d.StudyUID, d.Patients, d.Facts, nil
		objects, err := tx.IntakeObjects(id, 0, mostListed)
		if err != nil {
			return err
		}
		for _, row := range objects {
			var o object
			if err := json.Unmarshal(row.Detail, &o); err != nil {
				return errors.New("an object's row is not what was written")
			}
			out.Object = append(out.Object, Object{Seq: row.Seq, SOPInstance: o.SOPInstance, SOPClass: o.SOPClass, TransferSyntax: o.TransferSyntax, Size: row.Size})
		}
		return audit.Write(tx, audit.Entry{Actor: by, Action: "intake.show", Object: "intake:" + id})
	})
	return out, answer(err)
}

// Retry has a study that waits sent again, with what the person lets pass. Who chooses a route answers for the disclosure. ErrUnknown,
// ErrState, ErrRoute.
func (s *Service) Retry(ctx context.Context, by audit.Actor, id string, allow Allow) error {
	if allow.Route != "" && !slices.ContainsFunc(*s.routes.Load(), func(r Route) bool { return r.Name == allow.Route && !r.Keep }) {
		return ErrRoute
	}
	return answer(s.o.Store.Tx(ctx, func(tx *store.Tx) error {
		i, err := tx.Intake(id)
		if err != nil {
			return err
		}
		d, err := read(i)
		if err != nil {
			return err
		}
		d.Allow, d.Chosen = allow, ""
		if allow.Route != "" {
			d.Chosen = by
		}
		return s.again(tx, by, i, d)
	}))
}

// again puts a study that is held back to work.
func (s *Service) again(tx *store.Tx, by audit.Actor, i store.Intake, d detail) error {
	d.Closed, d.Why, d.Reason = tx.Now().UTC().Truncate(time.Second), "", nil
	if err := tx.MoveIntake(i.ID, store.IntakeHeld, store.IntakeClosing, d.raw()); err != nil {
		return err
	}
	if err := tx.InsertWork(&store.Work{Kind: kindClose, Ref: i.ID, Unique: kindClose + ":" + i.ID}); err != nil && !errors.Is(err, store.ErrDuplicate) {
		return err
	}
	e := audit.Entry{Actor: by, Action: "intake.retry", Object: "intake:" + i.ID}
	if names := d.Allow.names(); names != "" {
		e.Detail = map[string]string{"allow": names}
	}
	return audit.Write(tx, e)
}

// Drop gives up a study that waits: its objects are erased. ErrUnknown, ErrState.
func (s *Service) Drop(ctx context.Context, by audit.Actor, id string) error {
	return answer(s.o.Store.Tx(ctx, func(tx *store.Tx) error {
		i, err := tx.Intake(id)
		if err != nil {
			return err
		}
		d, err := read(i)
		if err != nil {
			return err
		}
		if err := tx.MoveIntake(id, store.IntakeHeld, store.IntakeDropped, d.raw()); err != nil {
			return err
		}
		if err := tx.EmptyIntake(id); err != nil {
			return err
		}
		if err := tx.InsertWork(&store.Work{Kind: kindForget, Ref: id, After: s.o.Remember, Unique: kindForget + ":" + id}); err != nil {
			return err
		}
		return audit.Write(tx, audit.Entry{Actor: by, Action: "intake.drop", Object: "intake:" + id})
	}))
}

// answer gives an error of the store its name.
func answer(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrNotFound):
		return ErrUnknown
	case errors.Is(err, store.ErrConflict):
		return ErrState
	}
	return fmt.Errorf("intake: %w", err)
}

// Load is how much waits, by count alone.
type Load struct {
	Studies, Objects, Bytes int64
	Held                    int64 // of the studies: for a person
}

// Load counts what waits.
func (s *Service) Load(ctx context.Context) (l Load, err error) {
	err = s.o.Store.View(ctx, func(tx *store.Tx) (err error) {
		l.Studies, l.Held, l.Objects, l.Bytes, err = tx.IntakeLoad()
		return err
	})
	if err != nil {
		return l, fmt.Errorf("intake: %w", err)
	}
	return l, nil
}
