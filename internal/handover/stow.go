package handover

import (
	"context"
	"errors"
	"net/http"

	"carepost/dicom/fileset"
	"carepost/dicom/stow"
)

// What goes into one request: so much that round trips do not count, so little that a request that breaks off is soon repeated.
const (
	maxBatch      = 100
	maxBatchBytes = 64 << 20 // but always one instance
	maxStumbles   = 3        // instances in a row that a server breaks down over, until it is the server
)

// STOW gives to a STOW-RS server.
type STOW struct{ Client *stow.Client }

// Give sends in batches. One that is refused as a whole is sent again instance by instance, to learn which it is; so is one that the server
// breaks down over, for one instance may be why.
func (t STOW) Give(ctx context.Context, all []fileset.Content, told func(int, Outcome) error, moved func() error) error {
	stumbles := 0
	for from := 0; from < len(all); {
		to := batch(all, from)
		err := t.some(ctx, all, from, to, told, moved)
		if whole := (*stow.StatusError)(nil); errors.As(err, &whole) && perhapsOne(whole) {
			for i := from; i < to; i++ {
				if err := t.one(ctx, all, i, &stumbles, told, moved); err != nil {
					return err
				}
			}
			err = nil
		}
		if err != nil {
			return err
		}
		from = to
	}
	return nil
}

// batch is the end of the batch that begins at from.
func batch(all []fileset.Content, from int) int {
	to, size := from+1, all[from].Size
	for to < len(all) && to-from < maxBatch && size+all[to].Size <= maxBatchBytes {
		size += all[to].Size
		to++
	}
	return to
}

// perhapsOne says that one instance of a request may be why the whole was refused.
func perhapsOne(e *stow.StatusError) bool {
	switch e.Status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusProxyAuthRequired:
		return false
	}
	return e.Lasting() || e.Status == http.StatusInternalServerError
}

// one sends a single instance, which is refused where its request is, and tried another time where the server breaks down over it.
func (t STOW) one(ctx context.Context, all []fileset.Content, i int, stumbles *int, told func(int, Outcome) error, moved func() error) error {
	err := t.some(ctx, all, i, i+1, told, moved)
	whole := (*stow.StatusError)(nil)
	switch {
	case err == nil:
		*stumbles = 0
	case !errors.As(err, &whole) || !perhapsOne(whole):
	case whole.Lasting():
		*stumbles = 0
		return told(i, Outcome{Refused, whole.Error()})
	case *stumbles < maxStumbles:
		*stumbles++
		return told(i, Outcome{Later, whole.Error()})
	}
	return err
}

// some sends the instances from one to before another.
func (t STOW) some(ctx context.Context, all []fileset.Content, from, to int, told func(int, Outcome) error, moved func() error) error {
	var objects []stow.Object
	for _, x := range all[from:to] {
		objects = append(objects, stow.Object{SOPClass: x.SOPClass, SOPInstance: x.SOPInstance, Size: x.Size, Open: x.Open})
	}
	out, err := t.Client.Store(ctx, objects, func(int) error { return moved() })
	if err != nil {
		return err
	}
	for i, o := range out {
		if err := told(from+i, outcome(o)); err != nil {
			return err
		}
	}
	return nil
}

func outcome(o stow.Outcome) Outcome {
	switch {
	case o.Fate == stow.Stored && o.Reason != 0:
		return Outcome{Warned, o.String()}
	case o.Fate == stow.Stored:
		return Outcome{Fate: Taken}
	case o.Again():
		return Outcome{Later, o.String()}
	}
	return Outcome{Refused, o.String()}
}

// Reach asks the server for its studies.
func (t STOW) Reach(ctx context.Context) error { return t.Client.Reach(ctx) }
