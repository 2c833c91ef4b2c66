package flow

import (
	"context"
	"io"

	"carepost/dicom/fileset"
	"carepost/dicom/zipmail"
	"carepost/internal/audit"
	"carepost/internal/transit"
)

// SubmitSet is Submit of a File-set that is to be packed: in one mail or, where one would be larger than its recipients take, in several, which
// become ours together. letter gives the mail around a set; its Message-ID is that of the first. Errors of reading the set are returned as they
// are: fileset.ErrChanged, and those of its sources.
func (f *Flow) SubmitSet(ctx context.Context, by audit.Actor, env transit.Envelope, plan *fileset.Plan, letter func(*fileset.Plan) zipmail.Letter,
	progress func(), and ...And) (id string, err error) {
	if err := f.submits(ctx, env); err != nil {
		return "", err
	}
	room, err := f.roomFor(ctx, env)
	if err != nil {
		return "", err
	}
	tell := func(int64, int64) { progress() }
	l := letter(plan)
	rest := int64(3*len(l.Text)) + 100*int64(len(l.To)+len(l.Cc))
	plans, err := split(ctx, plan, room, rest, rest, tell)
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
		l := letter(part)
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
		progress()
	}
	return f.accept(ctx, by, all, d, and...)
}
