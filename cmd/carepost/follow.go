package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"carepost/internal/admind"
	"carepost/internal/transit"
)

// watcher prints the way of a message as it goes.
type watcher struct {
	c       *admind.Client
	id      string
	out     io.Writer
	columns int
	quiet   bool // prints nothing
	once    bool // looks once

	again func(verb, rest string) string // a command line for the same installation

	seen    int
	waiting string // last words about what is waited for
	err     error
}

// How often is looked: quickly at first, for most is over in a second.
const (
	quickLook = 100 * time.Millisecond
	slowLook  = 2 * time.Second
	quietLook = 3 * time.Second  // without news: then why is asked
	againLook = 30 * time.Second // and again
	restart   = time.Minute      // how long a gateway may be away

	// A notice of failure (nobody has the address, the study is damaged) follows the processed notice by half a second and more.
	afterword = 1500 * time.Millisecond
)

// errAway says that a gateway that was there is no more.
var errAway = errors.New("no gateway answers")

// follow prints events until every recipient has its end, ctx ends, or out takes no more. The timeline is the last one seen; that is
// none where ctx has ended before. A gateway that is started again is waited for.
func (w *watcher) follow(ctx context.Context) (last admind.Timeline, err error) {
	pause, news, heard := quickLook, time.Now(), time.Now()
	ask := quietLook
	for {
		t, err := w.c.News(ctx, w.id, int64(w.seen)-1)
		var answer *admind.Error
		switch {
		case errors.Is(err, admind.ErrNoNews):
			heard = time.Now()
		case err == nil:
			last, heard = t, time.Now()
			if w.tell(t) {
				pause, news, ask = quickLook, time.Now(), quietLook
			}
		case ctx.Err() != nil:
			return last, ctx.Err()
		case w.once, errors.As(err, &answer) && answer.Code != admind.NotNow: // one that stops has no answer now
			return last, clientError(err)
		case time.Since(heard) > restart && answer == nil:
			return last, fmt.Errorf("%w since %s", errAway, age(heard, time.Now()))
		case time.Since(heard) > restart:
			return last, clientError(err)
		}
		switch {
		case w.err != nil:
			return last, notNow(w.err)
		case w.once, over(last) && max(time.Since(ended(last)), time.Since(news)) > afterword: // by our own clock where the gateway's has leapt
			return last, nil
		case time.Since(news) > ask:
			ask += againLook
			w.ask(ctx)
		}
		select {
		case <-ctx.Done():
			return last, ctx.Err()
		case <-time.After(pause):
			pause = min(pause*5/4, slowLook)
		}
	}
}

// over says that nothing more will be told of a message.
func over(t admind.Timeline) bool {
	if t.ID == "" {
		return false
	}
	return !slices.ContainsFunc(t.Recipients, func(r admind.Recipient) bool { return r.Awaits != "" })
}

// ended is when nothing more was to be told of a message that is over; never, where a failure may follow no more.
func ended(t admind.Timeline) (at time.Time) {
	if !slices.ContainsFunc(t.Recipients, func(r admind.Recipient) bool { return !r.Final }) {
		return at
	}
	for _, e := range t.Events {
		if e.Recipient != "" && e.At.After(at) {
			at = e.At
		}
	}
	return at
}

// tell prints what is new and says whether anything is.
func (w *watcher) tell(t admind.Timeline) bool {
	fresh := t.Events[min(w.seen, len(t.Events)):]
	w.seen = len(t.Events)
	for _, e := range fresh {
		w.event(t, e)
	}
	return len(fresh) > 0
}

func (w *watcher) event(t admind.Timeline, e admind.Event) {
	head := fmt.Sprintf("%8s  ", elapsed(e.At.Sub(t.Received)))
	if e.Seq == 0 {
		w.print(head+fmt.Sprintf("%-10s ", "accepted"), t.ID)
		return
	}
	whom := ""
	for _, r := range t.Recipients {
		if r.ID == e.Recipient && len(t.Recipients) > 1 {
			whom = r.Address.String() + ": "
		}
	}
	if e.Recipient == "" && e.Detail == "" {
		return // the message as a whole: its recipients say it better
	}
	if strings.TrimSpace(e.Detail) == "" {
		w.print(head+fmt.Sprintf("%-10s ", e.To), whom+e.Cause)
		return
	}
	if e.To == string(transit.Failed) {
		w.print(head+fmt.Sprintf("%-10s ", e.To), whom+reason(e))
		return
	}
	for line := range strings.Lines(e.Detail) {
		line = strings.TrimSpace(line)
		what, words, ok := strings.Cut(line, ": ")
		if !ok || strings.Contains(what, " ") {
			what, words = e.To, line
			if e.Cause != "" {
				words = e.Cause + ": " + line
			}
		}
		w.print(head+fmt.Sprintf("%-10s ", plain(what)), whom+words)
	}
}

// ask says what a message waits for that has not moved for a while.
func (w *watcher) ask(ctx context.Context) {
	works, err := w.c.Queue(ctx, "", 0)
	if err != nil {
		return // the timeline is what matters
	}
	for _, k := range works {
		if k.Message != w.id || k.Error == "" && k.State != "held" && k.State != "dead" {
			continue
		}
		words := k.Error
		switch k.State {
		case "ready":
			words += "; next try " + due(k, time.Now())
		case "held", "dead":
			words = strings.TrimPrefix(words+fmt.Sprintf("; it is %s until  %s", k.State, w.again("queue retry", k.ID)), "; ")
		}
		if key := k.ID + k.State + k.Error; key != w.waiting {
			w.waiting = key
			w.print(fmt.Sprintf("%8s  %-10s ", "", "waiting"), words)
		}
	}
}

func (w *watcher) print(head, text string) {
	if w.quiet || w.err != nil {
		return
	}
	width := w.columns - len(head)
	if width < 20 {
		width = 1 << 20
	}
	for _, part := range fill(plain(text), width) {
		if _, w.err = fmt.Fprintln(w.out, head+part); w.err != nil {
			return
		}
		head = strings.Repeat(" ", len(head))
	}
}

// elapsed is a time since the beginning, for a column.
func elapsed(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%.1f min", d.Minutes())
	}
	return fmt.Sprintf("%.1f h", d.Hours())
}

// verdictOn says how a message ended.
func verdictOn(t admind.Timeline) error {
	var lost []string
	byRule := false
	for _, r := range t.Recipients {
		if r.State != string(transit.Failed) {
			continue
		}
		byRule = byRule || r.Refused
		lost = append(lost, plain(r.Address.String()+": "+why(t, r)))
	}
	if len(lost) == 0 {
		return nil
	}
	text := fmt.Errorf("not delivered to %d of %d recipients:\n  %s", len(lost), len(t.Recipients), strings.Join(lost, "\n  "))
	if len(t.Recipients) == 1 {
		text = errors.New("not delivered to " + lost[0])
	}
	if byRule {
		return refused(text)
	}
	return notNow(text)
}

// why is the clause and the reason of a failure.
func why(t admind.Timeline, r admind.Recipient) string {
	text := r.Text
	for _, e := range t.Events {
		if e.Recipient == r.ID && e.To == string(transit.Failed) {
			text = reason(e)
		}
	}
	if text == "" {
		return "failed"
	}
	return text
}

// reason is the clause and the reason of an event. What a notice says is told as what it is: the other side's words.
func reason(e admind.Event) string {
	text := strings.TrimSpace(e.Detail)
	if notice, rest, _ := strings.Cut(text, "\n"); strings.HasPrefix(notice, "notice: ") {
		text = "the other side sent a " + strings.TrimPrefix(notice, "notice: ")
		if said := strings.TrimPrefix(strings.TrimSpace(rest), "reason: "); said != "" {
			text = "the other side says: " + said
		}
	}
	switch {
	case text == "":
		return e.Cause
	case e.Cause == "":
		return text
	}
	return e.Cause + ": " + text
}
