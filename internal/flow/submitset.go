package flow

import (
	"context"
	"io"

	"carepost/dicom/fileset"
	"carepost/dicom/zipmail"
	"carepost/internal/audit"
	"carepost/internal/transit"
)

// Set is a File-set that is to be packed and sent.
type Set struct {
	Plan     *fileset.Plan
	Scan     fileset.ScanOptions                // by which the plan was made
	Letter   func(*fileset.Plan) zipmail.Letter // around it, or around a part of it; its Message-ID is that of the first mail
	Progress func()
}

// SubmitSet is Submit of a File-set: in one mail or, where one would be larger than its recipients take, in several, which become ours together.
// Errors of reading the set wrap what its sources say, and fileset.ErrChanged.
func (f *Flow) SubmitSet(ctx context.Context, by audit.Actor, env transit.Envelope, set Set, and ...And) (id string, err error) {
	if err := f.submits(ctx, env); err != nil {
		return "", err
	}
	room, err := f.roomFor(ctx, env)
	if err != nil {
		return "", err
	}
	tell := func(int64, int64) { set.Progress() }
	l := set.Letter(set.Plan)
	rest := int64(3*len(l.Text)) + 100*int64(len(l.To)+len(l.Cc))
	plans, err := split(ctx, set.Plan, set.Scan, room, rest, rest, tell)
	if err != nil {
		return "", err
	}
	var d *division
	if len(plans) > 1 {
		if d, err = f.divided(ctx, plans); err != nil {
			return "", err
		}
	}
	var all []*staged
	defer func() {
		for _, x := range all {
			x.discard()
		}
	}()
	for i, part := range plans {
		l := set.Letter(part)
		if d != nil {
			l.Part, l.Parts = d.part(i+1), d.all
		}
		if i > 0 {
			l.MessageID = d.messageID(i+1, env.From.Address.Domain)
		}
		x, err := f.stageComposed(ctx, by, env, func(w io.Writer, boundary string) error { return zipmail.Compose(ctx, w, l, part, boundary, tell) }, f.submittable(ctx, env))
		if err != nil {
			return "", err
		}
		if all = append(all, x); d != nil {
			x.ofDivision(d, i+1)
		}
		set.Progress()
	}
	return f.accept(ctx, by, all, d, and...)
}
