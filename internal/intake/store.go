package intake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"syscall"
	"time"

	"carepost/dicom"
	"carepost/dicom/fileset"
	"carepost/internal/audit"
	"carepost/internal/blob"
	"carepost/internal/crash"
	"carepost/internal/store"
)

// maxInflated bounds what a deflated data set grows to while it is looked at, in octets.
const maxInflated = 2 << 30

// Store takes one object, a PS3.10 file. When it returns nil the object is durable and its study will be sent, or a person will see why not.
// Errors wrap ErrRoom, ErrObject or ErrMismatch where a peer can be told; an error of r is wrapped too, and nothing is kept then.
func (s *Service) Store(ctx context.Context, o Origin, r io.Reader) (Stored, error) {
	d, err := s.o.Blobs.Create()
	if err != nil {
		return Stored{}, failed(err)
	}
	defer d.Discard()
	if err := spool(d, r); err != nil {
		return Stored{}, failed(err)
	}
	seen, err := look(ctx, d)
	if err != nil {
		return Stored{}, failed(err)
	}
	ref, err := d.Commit()
	if err != nil {
		return Stored{}, failed(err)
	}
	crash.Point("intake.body-durable")
	seen.SHA256 = ref.SHA256
	out, err := s.take(ctx, o, seen, ref)
	if err != nil {
		return Stored{}, failed(err)
	}
	crash.Point("intake.rows-durable")
	return out, nil
}

// failed gives an error of the spool its kind.
func failed(err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: %w", ErrRoom, err)
	case errors.Is(err, ErrRoom) || errors.Is(err, ErrObject) || errors.Is(err, ErrMismatch):
		return err
	}
	return fmt.Errorf("intake: %w", err)
}

func spool(d *blob.Draft, r io.Reader) error {
	n, err := io.Copy(d, io.LimitReader(r, maxObject+1))
	if err == nil && n > maxObject {
		return fmt.Errorf("%w: an object of more than %d bytes", ErrRoom, int64(maxObject))
	}
	return err
}

// seen is what there is to know of an object.
type seen struct {
	object
	study   string
	patient Patient
	facts   facts
}

// look reads the header of an object, to its end: what is cut is not taken.
func look(ctx context.Context, d *blob.Draft) (x seen, err error) {
	b, err := d.Body()
	if err != nil {
		return x, err
	}
	defer b.Close()
	var room atomic.Int64
	room.Store(maxInflated)
	f, err := dicom.NewScanner(dicom.Options{Wanted: wanted(), Walk: true, Inflated: &room}).ScanAt(b, b.Size())
	if err != nil {
		if unreadable(err) {
			return x, fmt.Errorf("%w: %w", ErrObject, err)
		}
		return x, err
	}
	x.SOPInstance, x.SOPClass, x.TransferSyntax = f.Data.String(0x00080018), f.Data.String(0x00080016), f.TransferSyntax
	if x.SOPInstance != f.SOPInstance && f.SOPInstance != "" || x.SOPClass != f.SOPClass && f.SOPClass != "" {
		return x, ErrMismatch
	}
	x.study, x.facts = f.Data.String(0x0020000D), factsOf(f.Data)
	// Whether a File-set could hold it is judged as it will be then: of what can never be sent the peer learns now.
	plan, err := fileset.ScanInputs(ctx, fileset.ScanOptions{}, fileset.Input{Name: "the object", Size: b.Size(), Open: func() (fileset.File, error) { return kept{b}, nil }})
	if bad := (*fileset.InputError)(nil); errors.As(err, &bad) {
		return x, fmt.Errorf("%w: %s", ErrObject, bad.Problems[0].Reason)
	}
	if err != nil {
		return x, err
	}
	for _, p := range plan.Tree {
		x.patient = Patient{ID: cut(p.ID), Name: cut(p.Name)}
	}
	return x, nil
}

func unreadable(err error) bool {
	return errors.Is(err, dicom.ErrNotDICOM) || errors.Is(err, dicom.ErrCut) || errors.Is(err, dicom.ErrSyntax) || errors.Is(err, dicom.ErrLimit)
}

// kept is a body that others may close without ending it.
type kept struct{ *blob.Body }

func (kept) Close() error { return nil }

// errRepeat rolls back what has come before.
var errRepeat = errors.New("intake: here already")

// take writes the rows of an object whose bytes are durable.
func (s *Service) take(ctx context.Context, o Origin, x seen, ref blob.Ref) (out Stored, err error) {
	const tries = 3 // another node may take the same object, or begin the same study, at the same moment
	doubt := false
	for try := 1; ; try++ {
		err = s.o.Store.Tx(ctx, func(tx *store.Tx) (err error) {
			doubt = false // an earlier try was rolled back
			out, err = s.join(tx, o, x, ref)
			doubt = err == nil
			return err
		})
		if try == tries || !errors.Is(err, store.ErrDuplicate) {
			break
		}
	}
	if err != nil && !doubt && ref.Key != "" { // surely rolled back: no row can refer to it
		_ = s.o.Blobs.Remove(ref) // what cannot be removed is sealed, and its key is nowhere
	}
	if errors.Is(err, errRepeat) {
		return out, nil
	}
	return out, err
}

// join is take in its transaction.
func (s *Service) join(tx *store.Tx, o Origin, x seen, ref blob.Ref) (Stored, error) {
	group := o.group(x.study)
	row := store.IntakeObject{Blob: ref.ID, Size: ref.Size, Same: fmt.Sprintf("%s\n%s\n%x", group, x.SOPInstance, ref.SHA256)}
	out := Stored{SOPClass: x.SOPClass, SOPInstance: x.SOPInstance, Repeat: true}
	again, err := s.known(tx, row.Same)
	if err != nil {
		return out, err
	}
	if again != "" {
		out.Study = again
		return out, errRepeat
	}
	study, d, err := s.study(tx, o, x, group)
	if err != nil {
		return out, err
	}
	row.Intake, row.Detail = study.ID, x.object.raw()
	if err := tx.InsertBlob(store.Blob(ref)); err != nil {
		return out, err
	}
	out.Study, out.Repeat = study.ID, false
	if err := tx.InsertIntakeObject(&row); err != nil {
		return out, err
	}
	if row.Seq >= s.most && study.State == store.IntakeOpen { // what comes now is for the next one
		d.Closed = tx.Now().UTC().Truncate(time.Second)
		if err := tx.MoveIntake(study.ID, store.IntakeOpen, store.IntakeClosing, d.raw()); err != nil {
			return out, err
		}
		study.Objects = row.Seq
		return out, audit.Write(tx, closed(study, d, nil))
	}
	return out, nil
}

// known says which study has the same object: one that is on its way, or was sent not long ago and has not failed.
func (s *Service) known(tx *store.Tx, same string) (string, error) {
	all, err := tx.IntakesWith(same)
	for _, i := range all {
		switch i.State {
		case store.IntakeOpen, store.IntakeClosing, store.IntakeHeld:
			return i.ID, nil
		case store.IntakeSent:
			d, err := read(i)
			if err != nil {
				return "", err
			}
			lost, err := lost(tx, d.Message)
			if err != nil || !lost {
				return i.ID, err
			}
		}
	}
	return "", err
}

// study finds the row of the study that an object joins, or makes one.
func (s *Service) study(tx *store.Tx, o Origin, x seen, group string) (store.Intake, detail, error) {
	i, err := tx.JoinIntake(group, s.most)
	if errors.Is(err, store.ErrNotFound) {
		return s.open(tx, o, x, group)
	}
	if err != nil {
		return i, detail{}, err
	}
	d, err := read(i)
	if err == nil && d.learn(x.patient, x.facts) {
		err = tx.MoveIntake(i.ID, i.State, i.State, d.raw())
	}
	return i, d, err
}

// open begins a study.
func (s *Service) open(tx *store.Tx, o Origin, x seen, group string) (store.Intake, detail, error) {
	d := detail{Origin: o, StudyUID: x.study}
	d.learn(x.patient, x.facts)
	if n, _, _, _, err := tx.IntakeLoad(); err != nil || n >= maxStudies {
		return store.Intake{}, d, errors.Join(err, fmt.Errorf("%w: %d studies wait", ErrRoom, n))
	}
	before, err := tx.IntakeBefore(group)
	if err == nil {
		was, err := read(before)
		if err != nil {
			return store.Intake{}, d, err
		}
		d.Before = cmp.Or(was.Message, "intake:"+before.ID)
	} else if !errors.Is(err, store.ErrNotFound) {
		return store.Intake{}, d, err
	}
	i := store.Intake{Group: group, Detail: d.raw()}
	if err := tx.InsertIntake(&i); err != nil {
		return i, d, err
	}
	if err := tx.InsertWork(&store.Work{Kind: kindClose, Ref: i.ID, After: s.o.Quiet, Unique: kindClose + ":" + i.ID}); err != nil {
		return i, d, err
	}
	return i, d, audit.Write(tx, audit.Entry{Actor: actor, Action: "intake.begin", Object: "intake:" + i.ID,
		Detail: map[string]string{"via": o.Via, "calling": o.Calling, "called": o.Called}})
}
