package store

import (
	"encoding/json"
	"time"
)

// IntakeState says how far a study is that a device has handed in.
type IntakeState string

// The states of a study.
const (
	IntakeOpen    IntakeState = "open"    // objects come
	IntakeClosing IntakeState = "closing" // it is quiet: what comes now is for the next one
	IntakeHeld    IntakeState = "held"    // a person is to look; objects still join it
	IntakeSent    IntakeState = "sent"    // in a message of ours
	IntakeDropped IntakeState = "dropped" // by a person
)

// Intake is one study on its way from a device to a message.
type Intake struct {
	ID             string
	Group          string // what it is collected by; its keyed hash alone is kept
	State          IntakeState
	Detail         json.RawMessage // the owner's; sealed
	Objects, Bytes int64           // all that have come
	First, Last    time.Time       // when objects came
	Done           time.Time       // when it was sent or dropped
}

// IntakeObject is one object of a study.
type IntakeObject struct {
	Intake string
	Seq    int64  // from 1
	Same   string // equal for repeats; its keyed hash alone is kept
	Blob   string // empty once it is sent or dropped
	Size   int64
	Detail json.RawMessage // the owner's; sealed
}

const intakeColumns = `id, state, detail, objects, bytes, first_at, last_at, COALESCE(done_at, 0)`

func (tx *Tx) readIntake(scan scanner) (i Intake, err error) {
	var sealed []byte
	var began, last, done int64
	if err := scan(&i.ID, &i.State, &sealed, &i.Objects, &i.Bytes, &began, &last, &done); err != nil {
		return i, err
	}
	i.First, i.Last, i.Done = when(began), when(last), when(done)
	return i, tx.openJSON("intake.detail", i.ID, sealed, &i.Detail)
}

// InsertIntake opens a study. *Duplicate if one of its group is open.
func (tx *Tx) InsertIntake(i *Intake) error {
	i.ID, i.State, i.First, i.Last = tx.NewID(), IntakeOpen, tx.now, tx.now
	sealed, err := tx.sealJSON("intake.detail", i.ID, i.Detail)
	if err != nil {
		return err
	}
	group := tx.hash("intake.group", i.Group)
	return tx.insert(`INSERT INTO intake (id, group_hash, state, detail, objects, bytes, first_at, last_at) VALUES ($1, $2, 'open', $3, 0, 0, $4, $4)
		ON CONFLICT (group_hash) WHERE state = 'open' DO NOTHING`, []any{i.ID, group, sealed, msec(tx.now)},
		`SELECT id FROM intake WHERE group_hash = $1 AND state = 'open'`, group)
}

// Intake reads one. ErrNotFound.
func (tx *Tx) Intake(id string) (Intake, error) {
	return first(tx, tx.readIntake, `SELECT `+intakeColumns+` FROM intake WHERE id = $1`, id)
}

// JoinIntake locks the study of a group that objects join now: the open one, else the one of fewer than most objects that is held last.
// ErrNotFound.
func (tx *Tx) JoinIntake(group string, most int64) (Intake, error) {
	return first(tx, tx.readIntake, `UPDATE intake SET last_at = $2 WHERE id = (SELECT id FROM intake WHERE group_hash = $1
		AND (state = 'open' OR state = 'held' AND objects < $3) ORDER BY CASE state WHEN 'open' THEN 0 ELSE 1 END, id DESC LIMIT 1) AND state IN ('open', 'held') RETURNING `+intakeColumns,
		tx.hash("intake.group", group), msec(tx.now), most)
}

// IntakeBefore reads the last study of a group that was sent, or takes no more objects. ErrNotFound.
func (tx *Tx) IntakeBefore(group string) (Intake, error) {
	return first(tx, tx.readIntake, `SELECT `+intakeColumns+` FROM intake WHERE group_hash = $1 AND state IN ('sent', 'closing', 'held') ORDER BY id DESC LIMIT 1`,
		tx.hash("intake.group", group))
}

// Intakes lists those in one of the states (all when none is given) behind an id, in the order of their coming, at most limit.
func (tx *Tx) Intakes(after string, limit int, states ...IntakeState) ([]Intake, error) {
	var s [5]string
	for i := range s {
		if len(states) > 0 {
			s[i] = string(states[min(i, len(states)-1)])
		}
	}
	return all(tx, tx.readIntake, `SELECT `+intakeColumns+` FROM intake WHERE id > $1 AND ($2 = '' OR state IN ($2, $3, $4, $5, $6)) ORDER BY id LIMIT $7`,
		after, s[0], s[1], s[2], s[3], s[4], int64(limit))
}

// IntakeLoad counts what has come and is neither sent nor dropped, and how many of the studies are held.
func (tx *Tx) IntakeLoad() (studies, held, objects, bytes int64, err error) {
	err = tx.one(`SELECT COUNT(*), COALESCE(SUM(CASE WHEN state = 'held' THEN 1 ELSE 0 END), 0), COALESCE(SUM(objects), 0), COALESCE(SUM(bytes), 0)
		FROM intake WHERE state IN ('open', 'closing', 'held')`, nil, &studies, &held, &objects, &bytes)
	return studies, held, objects, bytes, err
}

// MoveIntake brings one from a state to another, with a new detail. ErrConflict if it is not in that state.
func (tx *Tx) MoveIntake(id string, from, to IntakeState, detail json.RawMessage) error {
	sealed, err := tx.sealJSON("intake.detail", id, detail)
	if err != nil {
		return err
	}
	var done any
	if to == IntakeSent || to == IntakeDropped {
		done = msec(tx.now)
	}
	n, err := tx.exec(`UPDATE intake SET state = $3, detail = $4, done_at = $5 WHERE id = $1 AND state = $2`, id, string(from), string(to), sealed, done)
	return changed(n, err, ErrConflict)
}

// InsertIntakeObject adds an object to a study that JoinIntake has locked or InsertIntake made. *Duplicate if the study has it already.
func (tx *Tx) InsertIntakeObject(o *IntakeObject) error {
	if err := tx.one(`UPDATE intake SET objects = objects + 1, bytes = bytes + $2 WHERE id = $1 AND state IN ('open', 'held') RETURNING objects`,
		[]any{o.Intake, o.Size}, &o.Seq); err != nil {
		return err
	}
	sealed, err := tx.sealJSON("intake_object.detail", objectRow(o.Intake, o.Seq), o.Detail)
	if err != nil {
		return err
	}
	same := tx.hash("intake.object", o.Same)
	return tx.insert(`INSERT INTO intake_object (intake, same_hash, seq, blob, size, detail) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (intake, same_hash) DO NOTHING`, []any{o.Intake, same, o.Seq, nullText(o.Blob), o.Size, sealed},
		`SELECT intake FROM intake_object WHERE intake = $1 AND same_hash = $2`, o.Intake, same)
}

func objectRow(intake string, seq int64) string {
	return sealedTable{both: true}.row(intake, seq)
}

const intakeObjectColumns = `intake, seq, COALESCE(blob, ''), size, detail`

func (tx *Tx) readIntakeObject(scan scanner) (o IntakeObject, err error) {
	var sealed []byte
	if err := scan(&o.Intake, &o.Seq, &o.Blob, &o.Size, &sealed); err != nil {
		return o, err
	}
	return o, tx.openJSON("intake_object.detail", objectRow(o.Intake, o.Seq), sealed, &o.Detail)
}

// IntakeObjects lists those of a study behind that place, in the order of their coming, at most limit.
func (tx *Tx) IntakeObjects(intake string, after int64, limit int) ([]IntakeObject, error) {
	return all(tx, tx.readIntakeObject, `SELECT `+intakeObjectColumns+` FROM intake_object WHERE intake = $1 AND seq > $2 ORDER BY seq LIMIT $3`,
		intake, after, int64(limit))
}

// IntakesWith lists the studies that have an object, the last first.
func (tx *Tx) IntakesWith(same string) ([]Intake, error) {
	return all(tx, tx.readIntake, `SELECT `+intakeColumns+` FROM intake WHERE id IN (SELECT intake FROM intake_object WHERE same_hash = $1) ORDER BY id DESC LIMIT 10`,
		tx.hash("intake.object", same))
}

// EmptyIntake kills the bodies of all objects of a study: they are in a message, or nobody wants them.
func (tx *Tx) EmptyIntake(id string) error {
	if _, err := tx.exec(`UPDATE blob SET state = 'dead', dead_at = $2 WHERE state = 'live' AND id IN (SELECT blob FROM intake_object WHERE intake = $1)`,
		id, msec(tx.now)); err != nil {
		return err
	}
	_, err := tx.exec(`UPDATE intake_object SET blob = NULL WHERE intake = $1`, id)
	return err
}

// ForgetIntake deletes the objects of a study that was sent or dropped, and with whole the study too. Doing so twice is harmless.
func (tx *Tx) ForgetIntake(id string, whole bool) error {
	if _, err := tx.exec(`DELETE FROM intake_object WHERE blob IS NULL AND intake IN (SELECT id FROM intake WHERE id = $1 AND state IN ('sent', 'dropped'))`, id); err != nil || !whole {
		return err
	}
	_, err := tx.exec(`DELETE FROM intake WHERE id = $1 AND state IN ('sent', 'dropped')`, id)
	return err
}
