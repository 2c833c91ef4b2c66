package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"carepost/addr"
	"carepost/dicom/fileset"
	"carepost/dicom/zipmail"
	"carepost/internal/admind"
)

// largest holds the flags of `send` about sets that are too large for one mail.
type largest struct {
	size         byteSize
	telemedicine bool
}

func (l *largest) register(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.Var(&l.size, "max-size", "most bytes of one mail as it leaves, for example 25MB; larger sets go in several mails")
	fl.BoolVar(&l.telemedicine, "telemedicine", false, "number the mails of a large set by X-TELEMEDICINE-SETID, -SETPART and -SETTOTAL too, for readers of the German recommendation for teleradiology; these names are not confirmed")
}

// byteSize is a flag: 25MB, 1.5 GB, 400000.
type byteSize int64

func (n *byteSize) String() string {
	if *n == 0 {
		return ""
	}
	return strconv.FormatInt(int64(*n), 10)
}

func (*byteSize) Type() string { return "SIZE" }

func (n *byteSize) Set(text string) error {
	number, unit := strings.TrimSpace(text), 1.0
	for _, u := range []struct {
		name string
		is   float64
	}{{"kb", 1e3}, {"mb", 1e6}, {"gb", 1e9}, {"b", 1}} {
		if i := len(number) - len(u.name); i > 0 && strings.EqualFold(number[i:], u.name) {
			number, unit = strings.TrimSpace(number[:i]), u.is
			break
		}
	}
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || !(v*unit >= 1) || v*unit > 1<<50 {
		return fmt.Errorf("%q is no size such as 25MB", text)
	}
	*n = byteSize(v * unit)
	return nil
}

// part is one mail of a set that goes in several.
type part struct {
	zipmail.Part
	messageID    string
	all          []zipmail.Listed
	telemedicine bool
}

// mark makes a letter that part.
func (p *part) mark(z *zipmail.Letter) {
	z.MessageID, z.Part, z.Parts = p.messageID, p.Part, p.all
	if p.telemedicine {
		z.Fields = append(z.Fields, p.Telemedicine()...)
	}
}

// divide tells the sets of which l is made: one, or several where one mail is too small.
func (f *send) divide(cmd *cobra.Command, c *admind.Client, from addr.Address, l *letter) ([]*fileset.Plan, error) {
	p := &l.parcel
	if !p.hasSet() {
		return nil, nil
	}
	ctx := cmd.Context()
	room, err := c.Room(ctx, from, append(append([]addr.Address{}, l.to...), l.cc...))
	if err != nil {
		return nil, clientError(err)
	}
	if own := int64(f.largest.size); own > 0 && (room.Sealed == 0 || own < room.Sealed) {
		room.Sealed = own
	}
	text, files := int64(3*len(l.text)), int64(0)
	for _, x := range p.files {
		files += x.size/57*78 + 1000
	}
	if zipmail.ArchiveRoom(room.Message, room.Sealed, text) < 0 {
		return nil, nil
	}
	if p.plan == nil {
		l.largest = int64(f.largest.size)
		return nil, nil
	}
	text += zipmail.ListRoom(p.plan.Most(), room.Message, room.Sealed)
	o := zipmail.SplitOptions{Scan: f.options(), Archive: zipmail.ArchiveRoom(room.Message, room.Sealed, text),
		First: max(1, zipmail.ArchiveRoom(room.Message, room.Sealed, text+files))}
	if f.about.xdm {
		return nil, f.tooLarge(p.plan.Most(), o.First, "an XDM package goes in one mail, and the set is larger than one may be: send less at a time")
	}
	bar := newDicomBar(cmd.ErrOrStderr(), "measuring")
	o.Progress = bar.set
	parts, err := zipmail.Split(ctx, p.plan, o)
	bar.stop()
	return parts, unsplit(err, files > 0)
}

// tooLarge refuses what cannot be divided.
func (f *send) tooLarge(size, room int64, why string) error {
	if size <= room {
		return nil
	}
	return refused(fmt.Errorf("nothing was sent: %s", why))
}

func unsplit(err error, beside bool) error {
	var large *zipmail.TooLargeError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fileset.ErrChanged):
		return incomplete(fmt.Errorf("nothing was sent: %s", bare(err)))
	case errors.As(err, &large):
		remedy := "one image alone is larger than a mail may be"
		switch {
		case large.Source == "":
			remedy = "allow larger mails, or send less at a time"
		case beside:
			remedy += " beside the other files: send those in a mail of their own"
		}
		return refused(fmt.Errorf("nothing was sent: %s\n%s", bare(err), remedy))
	}
	return notNow(err)
}

// sendParts sends a set in several mails. What was sent of it by a command that was interrupted is not sent again.
func (f *send) sendParts(cmd *cobra.Command, c *admind.Client, from addr.Address, l *letter, parts []*fileset.Plan, serving bool) error {
	ctx := cmd.Context()
	to := append(append([]addr.Address{}, l.to...), l.cc...)
	all := zipmail.List(parts)
	t, err := c.BeginTransfer(ctx, admind.NewTransfer{From: from, To: to, Subject: f.subject, Parts: all})
	if err != nil {
		return clientError(err)
	}
	say := saying(cmd)
	say("%s in %d mails, transfer %s", byteCount(l.parcel.plan.Bytes), len(parts), t.ID)
	files := l.parcel.files
	for i, plan := range parts {
		said := &t.Parts[i]
		if said.Message != "" {
			say("part %d of %d was accepted before, as %s", i+1, len(parts), said.Message)
			continue
		}
		l.parcel.plan, l.parcel.size, l.parcel.files = plan, plan.Bytes, nil
		if i == 0 {
			l.parcel.files = files
			for _, x := range files {
				l.parcel.size += x.size
			}
		}
		l.part = &part{Part: zipmail.Part{Transfer: t.Name, N: i + 1, Of: len(parts), Sets: t.Sets}, messageID: said.MessageID, all: all, telemedicine: f.largest.telemedicine}
		if said.Message, err = l.send(ctx, cmd.ErrOrStderr(), c, from, f.subject); err != nil {
			fmt.Fprintf(cmd.ErrOrStderr(), "%d of %d parts are accepted; the same command sends the others\n", i, len(parts))
			return err
		}
		say("part %d of %d accepted as %s", i+1, len(parts), said.Message)
	}
	return f.followParts(cmd, c, t, serving)
}

// saying prints lines for people.
func saying(cmd *cobra.Command) func(format string, args ...any) {
	return func(format string, args ...any) {
		if !asJSON(cmd) {
			fmt.Fprintf(cmd.OutOrStdout(), format+"\n", args...)
		}
	}
}

// dividedAs tells as which transfer a message was taken; the zero Transfer where it is one mail.
func dividedAs(ctx context.Context, c *admind.Client, message string) (t admind.Transfer, err error) {
	m, err := c.Message(ctx, message)
	if err == nil && m.Transfer != "" {
		t, err = c.Transfer(ctx, m.Transfer)
	}
	if err != nil {
		return t, clientError(err)
	}
	return t, nil
}

// tellParts tells how a DICOM.ZIP of so many bytes was divided, and follows its parts.
func (f *send) tellParts(cmd *cobra.Command, c *admind.Client, t admind.Transfer, size int64, serving bool) error {
	say := saying(cmd)
	say("%s in %d mails, transfer %s", byteCount(size), t.Of, t.ID)
	for _, p := range t.Parts {
		say("part %d of %d accepted as %s", p.N, t.Of, p.Message)
	}
	return f.followParts(cmd, c, t, serving)
}

// followParts shows what becomes of a transfer that was accepted, or how that is to be seen.
func (f *send) followParts(cmd *cobra.Command, c *admind.Client, t admind.Transfer, serving bool) error {
	say := saying(cmd)
	if serving && !f.noWait {
		return f.watchParts(cmd, c, t)
	}
	if asJSON(cmd) {
		return tellTransfer(cmd, c, t.ID)
	}
	if !serving {
		say("They wait: no gateway runs. This sends them:  %s", again(cmd, "serve", ""))
	}
	say("Their way:  %s", again(cmd, "transfer show", t.ID))
	return nil
}

// watchParts follows all mails of a transfer to their end, one after the other. The worst end is that of all.
func (f *send) watchParts(cmd *cobra.Command, c *admind.Client, t admind.Transfer) error {
	begun, patience := time.Now(), f.wait
	var worst error
	for _, p := range t.Parts {
		if patience > 0 {
			f.wait = max(patience-time.Since(begun), time.Second)
		}
		var err error
		if asJSON(cmd) {
			err = f.await(cmd, c, p.Message)
		} else {
			fmt.Fprintf(cmd.OutOrStdout(), "\npart %d of %d\n", p.N, t.Of)
			err = f.watch(cmd, c, p.Message, true)
		}
		if cmd.Context().Err() != nil {
			return err
		}
		if err != nil && (worst == nil || exitCode(err) > exitCode(worst)) {
			worst = err
		}
	}
	if asJSON(cmd) {
		if err := tellTransfer(cmd, c, t.ID); err != nil {
			return err
		}
	}
	return worst
}

// await is watch without a word.
func (f *send) await(cmd *cobra.Command, c *admind.Client, id string) error {
	ctx := cmd.Context()
	if f.wait > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.wait)
		defer cancel()
	}
	w := &watcher{c: c, id: id, out: io.Discard, columns: columns(os.Stdout), quiet: true, again: func(verb, rest string) string { return again(cmd, verb, rest) }}
	t, err := w.follow(ctx)
	switch {
	case over(t):
		return verdictOn(t)
	case err != nil && cmd.Context().Err() != nil:
		return err
	case ctx.Err() != nil:
		return notNow(fmt.Errorf("not over after %s", f.wait))
	}
	return err
}
