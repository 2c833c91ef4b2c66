package flow

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"carepost/addr"
	"carepost/dicom/fileset"
	"carepost/dicom/zipmail"
	"carepost/internal/audit"
	"carepost/internal/mailbox"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/message"
)

// division is a set that goes in several mails because one would be larger than may be: a transfer (see zipmail.Part). All of them become ours in one
// transaction, or none does.
type division struct {
	id    string // of the transfer, and its name
	sets  string // digest of the File-set UIDs
	plans []*fileset.Plan
	all   []zipmail.Listed

	compose func(w io.Writer, n int, boundary string) error // part n, from 2
}

// divided names the parts of a set.
func (f *Flow) divided(ctx context.Context, plans []*fileset.Plan) (*division, error) {
	d := &division{plans: plans, all: zipmail.List(plans)}
	var uids []string
	for _, x := range d.all {
		uids = append(uids, x.UID)
	}
	d.sets = zipmail.SetsDigest(uids...)
	err := f.Store.View(ctx, func(tx *store.Tx) error { d.id = tx.NewID(); return nil })
	if err != nil {
		return nil, fmt.Errorf("flow: accept: %w", err)
	}
	return d, nil
}

// part n of it, from 1.
func (d *division) part(n int) zipmail.Part {
	return zipmail.Part{Transfer: d.id, N: n, Of: len(d.plans), Sets: d.sets}
}

// messageID of part n of it, from 2: the first has that of the mail that was divided.
func (d *division) messageID(n int, from addr.Domain) string {
	return fmt.Sprintf("<%s.%d@%s>", d.id, n, from)
}

// roomFor is how large one message of a submission may be.
func (f *Flow) roomFor(ctx context.Context, env transit.Envelope) (Room, error) {
	room, err := f.Room(ctx, env.From.Address, env.To)
	if own := env.Largest; own > 0 && (room.Sealed == 0 || own < room.Sealed) {
		room.Sealed = own
	}
	return room, err
}

// split divides a set where it is larger than a mail may be; first and rest are how many bytes else the first mail has, and each of the others.
func split(ctx context.Context, plan *fileset.Plan, scan fileset.ScanOptions, room Room, first, rest int64, progress func(done, total int64)) ([]*fileset.Plan, error) {
	list := zipmail.ListRoom(plan.Most(), room.Message, room.Sealed)
	o := zipmail.SplitOptions{Scan: scan, Progress: progress,
		Archive: zipmail.ArchiveRoom(room.Message, room.Sealed, rest+list), First: zipmail.ArchiveRoom(room.Message, room.Sealed, first+list)}
	if o.Archive < 0 {
		return []*fileset.Plan{plan}, nil
	}
	if o.Archive == 0 || o.First <= 0 {
		return nil, &Refusal{clauseLarge, "the mail is larger than its recipients take even without its images; send the other files in a mail of their own"}
	}
	parts, err := zipmail.Split(ctx, plan, o)
	if large := (*zipmail.TooLargeError)(nil); errors.As(err, &large) {
		why := "one image alone is larger than a mail to these recipients may be, beside the rest of this one"
		if large.Source == "" {
			why = "the images would make too many mails, as large as these recipients take them; send less at a time"
		}
		return nil, &Refusal{clauseLarge, why}
	}
	if err != nil {
		return nil, fmt.Errorf("flow: accept: %w", err)
	}
	return parts, nil
}

// ofOneMail says that a field of a mail that is divided belongs to the first part alone.
func ofOneMail(name string) bool {
	name = strings.ToLower(name)
	switch name {
	case "subject", "message-id", "mime-version", "received", "return-path", "dkim-signature", "authentication-results", "autocrypt":
		return true
	}
	return slices.ContainsFunc([]string{"content-", "arc-", "x-direct-", "x-telemedicine-"}, func(begin string) bool { return strings.HasPrefix(name, begin) })
}

const clauseLarge = "PS3.12 Z.2.1" // "too large for one mail"

// divide has a set go in several mails where one would be larger than its recipients take.
func (p *preparing) divide(ctx context.Context) error {
	room, err := p.f.roomFor(ctx, p.env)
	if err != nil || p.whole || room == (Room{}) {
		return err
	}
	images := p.loose
	if p.set != nil {
		images = []*message.Part{p.set}
		if zipmail.Holds(room.Message, room.Sealed, p.body.Size()) {
			return nil
		}
		if already, err := zipmail.ReadPart(p.root, p.set); err != nil || !already.IsZero() {
			return nil // its own parts would belong to no transfer that its recipients have heard of
		}
	}
	rest := p.body.Size()
	for _, part := range images {
		rest -= part.End - part.Body
	}
	letter, err := mailbox.ReadLetter(p.body)
	if err != nil {
		return fmt.Errorf("flow: accept: %w", err)
	}
	if p.signed() || slices.ContainsFunc(p.loose, func(x *message.Part) bool { return signedBy(p.root, x) }) {
		return &Refusal{clauseLarge, "the mail is larger than its recipients take, and the mail program has signed it, so it cannot go in several; switch signing off there: it is signed here"}
	}
	if p.plan == nil {
		if p.ready.pieces == nil {
			return &Refusal{clauseLarge, "the mail is larger than its recipients take, and a DICOM.ZIP that is an IHE XDM package, or breaks rules of the standard, goes in one; send fewer images at a time"}
		}
		said := p.done.detail["file-set"]
		if err := p.repack(ctx, []attachedSet{p.ready}, nil); err != nil {
			return err
		}
		p.set, p.done.detail["file-set"] = nil, said+"; packed anew"
	}
	plans, err := split(ctx, p.plan, p.allowing(), room, rest, p.root.Body+int64(3*len(letter.Text)), nil)
	if err != nil {
		return err
	}
	p.plan = plans[0]
	if len(plans) == 1 {
		return nil // packed anew it is small enough
	}
	d, err := p.f.divided(ctx, plans)
	if err != nil {
		return err
	}
	d.compose = func(w io.Writer, n int, boundary string) error {
		head, err := further(p.root.Header, d, n, p.env.From.Address.Domain)
		if err != nil {
			return err
		}
		return zipmail.ComposeUnder(w, head, letter.Text, d.part(n), d.all, func(w io.Writer) error { return d.plans[n-1].WriteZIP(ctx, w, nil) }, boundary)
	}
	p.done.division = d
	return nil
}

// further is the header of part n: what the mail says that was divided, but for what belongs to that alone.
func further(h message.Header, d *division, n int, from addr.Domain) (*message.Builder, error) {
	var b message.Builder
	b.Add("Subject", zipmail.Numbered(exactSubject(h), d.part(n))).Add("Message-ID", d.messageID(n, from))
	for _, field := range h.Fields() {
		if !ofOneMail(field.Name) {
			b.AddRaw(field)
		}
	}
	if id := h.MessageID(); id != "" && !h.Has("References") {
		b.Add("References", id)
	}
	return &b, b.Err()
}

// stageFurther makes the further parts of a division; the caller discards them, those too that come with an error.
func (f *Flow) stageFurther(ctx context.Context, by audit.Actor, env transit.Envelope, d *division, check func(message.Header) error) (out []*staged, err error) {
	for n := 2; n <= len(d.plans); n++ {
		x, err := f.stageComposed(ctx, by, env, func(w io.Writer, boundary string) error { return d.compose(w, n, boundary) }, check)
		if err != nil {
			return out, err
		}
		x.ofDivision(d, n)
		out = append(out, x)
	}
	return out, nil
}

// ofDivision makes a message part n.
func (x *staged) ofDivision(d *division, n int) {
	x.m.Header.Transfer = d.id
	x.ready.detail["transfer"], x.ready.detail["part"] = d.id, fmt.Sprintf("%d of %d", n, len(d.plans))
}

// stageComposed stages a message that is composed while it is staged.
func (f *Flow) stageComposed(ctx context.Context, by audit.Actor, env transit.Envelope, compose func(io.Writer, string) error, check func(message.Header) error) (*staged, error) {
	boundary, err := message.NewBoundary(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("flow: accept: %w", err)
	}
	r, w := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.CloseWithError(compose(w, boundary))
	}()
	defer func() {
		r.Close()
		<-done
	}()
	return f.stage(ctx, by, transit.Outbound, transit.Mail, env, r, check, true)
}

// recordDivision makes the parts one transfer, in the transaction that makes them ours.
func (f *Flow) recordDivision(tx *store.Tx, by audit.Actor, all []*staged, d *division) error {
	from := all[0].m.Envelope.From.Address
	account, err := tx.Account(from)
	if err != nil {
		return err
	}
	if err := tx.ForgetTransfers(account.ID, store.TransferOut, f.Clock().Add(-keepTransfers)); err != nil {
		return err
	}
	t := store.Transfer{ID: d.id, Kind: store.TransferOut, Account: account.ID,
		TransferDetail: store.TransferDetail{Name: d.id, To: all[0].m.Envelope.To, Subject: all[0].m.Header.Subject, Of: len(all), Sets: d.sets}}
	for i, x := range all {
		t.Parts = append(t.Parts, store.TransferPart{N: i + 1, Message: x.m.ID, MessageID: x.m.Header.MessageID, UID: d.all[i].UID, Instances: d.all[i].Instances, Bytes: d.all[i].Bytes, At: f.Clock()})
	}
	detail := t.TransferDetail
	if _, err := tx.HoldTransfer(&t, "divided\n"+d.id); err != nil {
		return err
	}
	t.TransferDetail = detail
	return errors.Join(tx.SetTransfer(t), transferEntry(tx, by, "transfer.begin", t))
}
