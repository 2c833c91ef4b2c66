package demo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"carepost/addr"
	"carepost/dicom/fileset"
	"carepost/dicom/zipmail"
	"carepost/internal/audit"
	"carepost/internal/flow"
	"carepost/internal/mailbox"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/message"
)

const actor = audit.Actor("demo")

// look is how often the demo looks at a timeline.
const look = 50 * time.Millisecond

// exchange sends the set from a to b, follows it, and compares what arrived.
func (w *world) exchange(ctx context.Context, plan *fileset.Plan, keep string) error {
	id, err := w.submit(ctx, plan)
	if err != nil {
		return err
	}
	w.c.say(time.Now(), "packed", "%s", packed(plan))
	w.notes(plan.Findings)
	sent, mail, err := w.follow(ctx, id)
	if err != nil {
		return err
	}
	if err := w.unpack(ctx, mail, plan); err != nil {
		return err
	}
	if keep != "" {
		if err := w.keep(ctx, sent); err != nil {
			return err
		}
	}
	w.c.note("\nDone in %.1f s, peak memory %s.", time.Since(w.c.started).Seconds(), size(peakMemory()))
	if keep != "" {
		w.c.note("%s", kept(keep))
	}
	return nil
}

// notes shows what was noticed while packing, each thing once.
func (w *world) notes(all []fileset.Finding) {
	const most = 8
	times, where := map[string]int{}, map[string]string{}
	var texts []string
	for _, f := range all {
		if times[f.Text]++; times[f.Text] == 1 {
			texts = append(texts, f.Text)
			where[f.Text] = filepath.Base(f.Where)
		}
	}
	for i, text := range texts {
		if i == most {
			w.c.remark("and %d more; \"carepost dicom pack\" lists all", len(texts)-most)
			return
		}
		from := where[text]
		if n := times[text]; n > 1 {
			from += fmt.Sprintf(" and %d more", n-1)
		}
		w.c.remark("note: %s: %s", from, text)
	}
}

func packed(p *fileset.Plan) string {
	return fmt.Sprintf("%s, %s, %s, %s, %s, with a DICOMDIR", count(p.Patients, "patient", "patients"), count(p.Studies, "study", "studies"),
		count(p.Series, "series", "series"), count(len(p.Instances), "instance", "instances"), size(p.Bytes))
}

// submit streams the mail, as it is composed, into a's flow.
func (w *world) submit(ctx context.Context, plan *fileset.Plan) (id string, err error) {
	messageID, err := message.NewMessageID(rand.Reader, sender.Domain)
	if err != nil {
		return "", err
	}
	boundary, err := message.NewBoundary(rand.Reader)
	if err != nil {
		return "", err
	}
	letter := zipmail.Letter{
		From: sender, To: []addr.Address{recipient}, Date: time.Now(), MessageID: messageID,
		Text: "The study that we spoke of is attached. Please file it with the patient's record.\r\n",
	}
	r, pipe := io.Pipe()
	go func() {
		pipe.CloseWithError(zipmail.Compose(ctx, pipe, letter, plan, boundary, func(done, total int64) { w.c.progress("pack", done, total) }))
	}()
	id, err = w.a.Flow().Submit(ctx, actor, transit.Envelope{From: addr.Path{Address: sender}, To: []addr.Address{recipient}}, r)
	r.CloseWithError(err) // a refused message is not composed to its end
	return id, err
}

// follow prints both timelines as they grow, until the processed notice is back.
func (w *world) follow(ctx context.Context, id string) (sent store.Recipient, mail store.Mail, err error) {
	tick := time.NewTicker(look)
	defer tick.Stop()
	var here, there teller
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return sent, mail, context.Cause(ctx)
		case err := <-w.over:
			w.over <- nil         // for close
			if ctx.Err() != nil { // both stop because we do
				return sent, mail, context.Cause(ctx)
			}
			return sent, mail, fmt.Errorf("demo: a practice stopped: %w", err)
		case <-tick.C:
		}
		horizon := time.Now().Add(-look)
		t, err := w.a.Flow().News(ctx, actor, id, int64(here.seen)-1)
		if err != nil && !errors.Is(err, flow.ErrNoNews) {
			return sent, mail, err
		}
		if err == nil {
			sent = t.Recipients[0]
			here.hear(t)
		}
		if sent.State == transit.Sent && mail.Message == "" {
			if err := w.setAside(ctx); err != nil {
				return sent, mail, err
			}
		}
		if sent.State == transit.Sent || sent.State == transit.Processed {
			if mail, err = w.arrived(ctx, &there); err != nil {
				return sent, mail, err
			}
		}
		over := sent.State == transit.Failed || sent.State == transit.Processed && mail.Message != ""
		if over {
			horizon = time.Now()
		}
		if w.tell(horizon, &here, &there) > 0 || w.c.moved() {
			last = time.Now()
		}
		switch {
		case sent.State == transit.Failed:
			return sent, mail, w.reported(ctx)
		case over:
			return sent, mail, nil
		case time.Since(last) > patience:
			return sent, mail, fmt.Errorf("demo: nothing has happened for %s", patience)
		}
	}
}

// arrived looks into b's mailbox and hears b's part of the story.
func (w *world) arrived(ctx context.Context, there *teller) (store.Mail, error) {
	if there.mail.Message == "" {
		mails, err := w.b.Mailboxes().List(ctx, actor, recipient, mailbox.Inbox, 0, 1)
		if err != nil || len(mails) == 0 {
			return store.Mail{}, err
		}
		there.mail = mails[0]
	}
	t, err := w.b.Flow().News(ctx, actor, there.mail.Message, int64(there.seen)-1)
	if err != nil && !errors.Is(err, flow.ErrNoNews) {
		return store.Mail{}, err
	}
	if err == nil {
		there.hear(t)
	}
	return there.mail, nil
}

// teller knows the events of one message, and which of them are told.
type teller struct {
	mail  store.Mail
	seen  int
	fresh []store.Event
}

// hear notes what is new.
func (t *teller) hear(l flow.Timeline) {
	t.fresh = append(t.fresh, l.Events[min(t.seen, len(l.Events)):]...)
	t.seen = len(l.Events)
}

// tell prints what happened on both sides until horizon, in the order in which it happened, and says how many events that were.
// The lines of an event's detail read "what: words".
func (w *world) tell(horizon time.Time, sides ...*teller) int {
	var events []store.Event
	for _, t := range sides {
		n := 0
		for n < len(t.fresh) && !t.fresh[n].At.After(horizon) {
			n++
		}
		events = append(events, t.fresh[:n]...)
		t.fresh = t.fresh[n:]
	}
	slices.SortStableFunc(events, func(a, b store.Event) int { return a.At.Compare(b.At) })
	for _, e := range events {
		for line := range strings.Lines(e.Detail) {
			what, words, ok := strings.Cut(strings.TrimSpace(line), ": ")
			if !ok || e.To == string(transit.Failed) {
				what, words = e.To, e.Cause+": "+strings.TrimSpace(line)
			}
			w.c.say(e.At, what, "%s", words)
		}
	}
	return len(events)
}

// unpack takes the received set out and compares every instance with its source.
func (w *world) unpack(ctx context.Context, mail store.Mail, plan *fileset.Plan) error {
	body, err := w.b.Mailboxes().Open(ctx, actor, mail)
	if err != nil {
		return err
	}
	defer body.Close()
	set, err := w.b.FileSet(body)
	if err != nil {
		return err
	}
	defer set.Close()
	received := filepath.Join(w.dir, "received")
	options := fileset.UnpackOptions{CheckOptions: fileset.CheckOptions{Progress: func(done, total int64) { w.c.progress("unpack", done, total) }}}
	report, err := set.Unpack(ctx, received, options)
	if err != nil {
		return err
	}
	if report.Verdict != fileset.Complete || report.Instances != len(plan.Instances) {
		return fmt.Errorf("%w: the set is %s with %d of %d instances", ErrDifferent, report.Verdict, report.Instances, len(plan.Instances))
	}
	if err := compare(plan, received); err != nil {
		return err
	}
	w.c.say(time.Now(), "compared", "%s byte for byte what was sent", count(len(plan.Instances), "instance is", "instances are"))
	return nil
}
