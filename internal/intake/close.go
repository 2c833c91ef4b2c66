package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"carepost/dicom/fileset"
	"carepost/dicom/zipmail"
	"carepost/internal/audit"
	"carepost/internal/blob"
	"carepost/internal/crash"
	"carepost/internal/flow"
	"carepost/internal/queue"
	"carepost/internal/store"
	"carepost/internal/transit"
)

// close sends a study once it is quiet. A study that is gone, sent or held meanwhile is done with.
func (s *Service) close(ctx context.Context, j *queue.Job) error {
	classes, err := s.classes(ctx, j.Ref)
	if err != nil {
		return err
	}
	i, wait, err := s.quiet(ctx, j, classes)
	if err != nil || wait || i.State != store.IntakeClosing {
		return err
	}
	crash.Point("intake.closed")
	d, err := read(i)
	if err != nil {
		return err
	}
	err = s.send(ctx, j, i, &d)
	if held := (*holding)(nil); errors.As(err, &held) {
		return s.hold(ctx, j, i, d, held)
	}
	if err != nil {
		return fmt.Errorf("intake: %w", err)
	}
	crash.Point("intake.sent")
	return nil
}

// quiet closes a study to further objects, unless some came just now: then the work waits.
func (s *Service) quiet(ctx context.Context, j *queue.Job, classes map[string]int) (i store.Intake, wait bool, err error) {
	err = s.o.Store.Tx(ctx, func(tx *store.Tx) error {
		wait = false
		i, err = tx.Intake(j.Ref)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil || i.State != store.IntakeOpen {
			return err
		}
		if left := s.o.Quiet - tx.Now().Sub(i.Last); left > 0 && left <= s.o.Quiet { // more: a clock was set
			wait = true
			return j.Retry(tx, left, "objects come yet")
		}
		d, err := read(i)
		if err != nil {
			return err
		}
		d.Closed = tx.Now().UTC().Truncate(time.Second)
		i.State, i.Detail = store.IntakeClosing, d.raw()
		if err := tx.MoveIntake(i.ID, store.IntakeOpen, store.IntakeClosing, i.Detail); err != nil {
			return err
		}
		return audit.Write(tx, closed(i, d, classes))
	})
	return i, wait, err
}

// closed is the entry of the end of a transfer (PS3.15 A.5.3.7).
func closed(i store.Intake, d detail, classes map[string]int) audit.Entry {
	study := transit.Study{UID: d.StudyUID, Classes: classes}
	if all := d.Facts["accession"]; len(all) == 1 {
		study.Accession = all[0]
	}
	var about transit.Subjects
	for _, p := range d.Patients {
		about.Patients = append(about.Patients, transit.Patient{ID: p.ID, Name: p.Name, Studies: []transit.Study{study}})
	}
	e := audit.Entry{Actor: actor, Action: "intake.close", Object: "intake:" + i.ID, Detail: map[string]string{
		"via": d.Origin.Via, "calling": d.Origin.Calling, "called": d.Origin.Called, "objects": strconv.FormatInt(i.Objects, 10)}}
	if d.Origin.Peer != "" {
		e.Detail["peer"] = d.Origin.Peer
	}
	if text, err := json.Marshal(about.Bounded()); err == nil {
		e.Detail["subjects"] = string(text)
	}
	return e
}

// classes counts the objects of each SOP class that have come to a study; none of a study that is closed already.
func (s *Service) classes(ctx context.Context, intake string) (map[string]int, error) {
	out := map[string]int{}
	err := s.o.Store.View(ctx, func(tx *store.Tx) error {
		clear(out)
		if i, err := tx.Intake(intake); err != nil || i.State != store.IntakeOpen || tx.Now().Sub(i.Last) < s.o.Quiet {
			return ignoreNone(err)
		}
		for after := int64(0); ; {
			list, err := tx.IntakeObjects(intake, after, page)
			if err != nil || len(list) == 0 {
				return err
			}
			for _, row := range list {
				var o object
				if err := json.Unmarshal(row.Detail, &o); err != nil {
					return errors.New("an object's row is not what was written")
				}
				out[o.SOPClass]++
			}
			after = list[len(list)-1].Seq
		}
	})
	if err != nil {
		return nil, fmt.Errorf("intake: %w", err)
	}
	return out, nil
}

func ignoreNone(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// send makes the mail of a study and submits it. *holding where it cannot be sent as it is.
func (s *Service) send(ctx context.Context, j *queue.Job, i store.Intake, d *detail) error {
	r, ok := s.route(*d)
	if !ok {
		return s.unrouted(*d)
	}
	inputs, err := s.inputs(ctx, i.ID)
	if err != nil {
		return err
	}
	scan := fileset.ScanOptions{AllowNames: d.Allow.Names, AllowParents: d.Allow.Parents, AllowVersions: d.Allow.Versions, Progress: func(int) { _ = j.Progress() }}
	plan, err := fileset.ScanInputs(ctx, scan, inputs...)
	if bad := (*fileset.InputError)(nil); errors.As(err, &bad) {
		return &holding{conflict(bad), problems(bad)}
	}
	if err != nil {
		return err
	}
	if err := zipmail.Allow(r.Profile, plan.Instances); err != nil {
		return &holding{WhyProfile, strings.Split(err.Error(), "\n")}
	}
	env := transit.Envelope{To: slices.Concat(r.To, r.Cc)}
	env.From.Address, env.Responsible = r.From, string(responsible(*d, r)) // PS3.15 B.8: who hands in or the rule attests (DCM-26)
	for _, c := range plan.Overruled {
		env.Overruled = append(env.Overruled, string(c))
	}
	if d.Allow.Subject {
		env.Overruled = append(env.Overruled, string(zipmail.NamedSubject))
	}
	letter, err := mailOf(*d, r)
	if err != nil {
		return err
	}
	_, err = s.o.Flow.SubmitSet(ctx, actor, env, flow.Set{Plan: plan, Scan: scan, Letter: letter, Progress: func() { _ = j.Progress() }}, func(tx *store.Tx, id string) error { return s.sent(tx, j, i, *d, r, id) })
	if refused := (*flow.Refusal)(nil); errors.As(err, &refused) {
		return &holding{WhyRefused, []string{refused.Error()}}
	}
	if errors.Is(err, blob.ErrDamaged) || errors.Is(err, fileset.ErrChanged) {
		return &holding{WhyDamaged, []string{"an object in the spool is not what was taken: have the device send the study again"}}
	}
	return err
}

// responsible is who answers for the disclosure (PS3.15 B.8 d): the person who chose the route, who handed the study in, where that is known, else
// the rule by which it goes.
func responsible(d detail, r Route) audit.Actor {
	switch {
	case d.Chosen != "":
		return d.Chosen
	case d.Origin.By != "":
		return d.Origin.By
	case r.Name != "":
		return audit.Actor("route:" + r.Name)
	}
	return actor
}

// conflict tells a spool that is damaged from objects that contradict one another.
func conflict(e *fileset.InputError) Why {
	for _, p := range e.Problems {
		if p.Damaged {
			return WhyDamaged
		}
	}
	return WhyConflict
}

func problems(e *fileset.InputError) (out []string) {
	for _, p := range e.Problems {
		out = append(out, cut(strings.Join(p.Files[:min(len(p.Files), 10)], ", "))+": "+p.Reason)
		if len(out) == maxValues {
			break
		}
	}
	return out
}

// inputs are the objects of a study, as they lie in the spool.
func (s *Service) inputs(ctx context.Context, intake string) (out []fileset.Input, err error) {
	err = s.o.Store.View(ctx, func(tx *store.Tx) error {
		out = out[:0]
		for after := int64(0); ; {
			list, err := tx.IntakeObjects(intake, after, page)
			if err != nil || len(list) == 0 {
				return err
			}
			for _, o := range list {
				out = append(out, fileset.Input{Name: "object " + strconv.FormatInt(o.Seq, 10), Size: o.Size,
					Open: func() (fileset.File, error) { return s.body(ctx, o.Blob) }})
			}
			after = list[len(list)-1].Seq
		}
	})
	return out, err
}

func (s *Service) body(ctx context.Context, id string) (*blob.Body, error) {
	var row store.Blob
	err := s.o.Store.View(ctx, func(tx *store.Tx) (err error) {
		row, err = tx.Blob(id)
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.o.Blobs.Open(blob.Ref(row))
}

// sent settles a study in the transaction that makes its mail ours.
func (s *Service) sent(tx *store.Tx, j *queue.Job, i store.Intake, d detail, r Route, message string) error {
	d.Message, d.Route, d.Why, d.Reason = message, r.Name, "", nil
	if err := tx.MoveIntake(i.ID, store.IntakeClosing, store.IntakeSent, d.raw()); err != nil {
		return err
	}
	if err := tx.EmptyIntake(i.ID); err != nil {
		return err
	}
	if err := tx.InsertWork(&store.Work{Kind: kindForget, Ref: i.ID, After: s.o.Remember, Unique: kindForget + ":" + i.ID}); err != nil {
		return err
	}
	if err := audit.Write(tx, audit.Entry{Actor: actor, Action: "intake.send", Object: "intake:" + i.ID, Detail: map[string]string{
		"message": message, "route": r.Name, "objects": strconv.FormatInt(i.Objects, 10), "bytes": strconv.FormatInt(i.Bytes, 10)}}); err != nil {
		return err
	}
	return j.Finish(tx)
}

// forget removes what is known of a study that was sent or dropped: first its objects, then the study.
func (s *Service) forget(ctx context.Context, j *queue.Job) error {
	return s.o.Store.Tx(ctx, func(tx *store.Tx) error {
		i, err := tx.Intake(j.Ref)
		if errors.Is(err, store.ErrNotFound) {
			return j.Finish(tx)
		}
		if err != nil {
			return err
		}
		left := s.o.Keep - tx.Now().Sub(i.Done)
		if err := tx.ForgetIntake(i.ID, left <= 0); err != nil {
			return err
		}
		if left > 0 {
			return j.Retry(tx, left, "its studies are known for a while")
		}
		return j.Finish(tx)
	})
}

// lost says that the mail of a study, or one of several, has reached nobody: what comes again is to be sent again.
func lost(tx *store.Tx, message string) (bool, error) {
	m, err := tx.Message(message)
	if err != nil {
		return false, err
	}
	mails := []string{message}
	if m.Header.Transfer != "" {
		t, err := tx.Transfer(m.Header.Transfer)
		if err != nil && !errors.Is(err, store.ErrNotFound) { // forgotten
			return false, err
		}
		for _, p := range t.Parts {
			mails = append(mails, p.Message)
		}
	}
	for _, id := range mails {
		rs, err := tx.Recipients(id)
		if err != nil {
			return false, err
		}
		if !slices.ContainsFunc(rs, func(r store.Recipient) bool { return r.State != transit.Failed }) {
			return true, nil
		}
	}
	return false, nil
}
