package flow

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"carepost/addr"
	"carepost/dicom/fileset"
	"carepost/internal/queue"
	"carepost/internal/store"
)

// warn composes a letter of ours to each recipient whose File-set is not COMPLETE: who reads with an ordinary mail program sees nothing of
// our verdict otherwise, and could take a part for the whole (DCM-22, DCM-33). The mail itself stays as it was signed. Each letter names its
// own recipient alone.
func (f *Flow) warn(a *arrival) error {
	if a.report || a.fileset == nil || a.fileset.Verdict == fileset.Complete {
		return nil
	}
	a.warnings = map[string]bounced{}
	for _, r := range a.trusted {
		w, err := f.warning(shown(a.opened.Header), a.fileset, a.home(r), f.Clock())
		if err != nil {
			return err
		}
		a.warnings[r.ID] = w
	}
	return nil
}

// warnLate does so where mail was held, and a person has released it: its set is judged again, for nothing of it was kept.
func (f *Flow) warnLate(ctx context.Context, j *queue.Job) error {
	var m store.Message
	var to addr.Address
	err := f.Store.View(ctx, func(tx *store.Tx) error {
		r, err := tx.Recipient(j.Ref)
		if err != nil {
			return err
		}
		if to, _, err = home(tx, r.Address); err != nil {
			return err
		}
		m, err = tx.Message(r.Message)
		return err
	})
	if err != nil {
		return fmt.Errorf("flow: warning: %w", err)
	}
	body, err := f.body(ctx, m.Work)
	if errors.Is(err, store.ErrNotFound) { // he has deleted it since
		return nil
	}
	if err != nil {
		return err
	}
	defer body.Close()
	r, _, err := f.checkFileSet(ctx, j, body)
	if err != nil || r == nil || r.Verdict == fileset.Complete {
		return err
	}
	w, err := f.warning(m.Header, r, to, f.Clock())
	if err != nil {
		return err
	}
	return f.commit(ctx, func(tx *store.Tx) error {
		if err := f.intoMailbox(tx, to, w); err != nil {
			return err
		}
		return j.Finish(tx)
	}, w.ref)
}

// warning composes the letter about a message with header h, of which only what a person sees of it is named.
func (f *Flow) warning(h store.Header, set *fileset.Report, to addr.Address, now time.Time) (bounced, error) {
	return f.toOwn(to, set.Verdict.String()+": "+or(h.Subject, "(no subject)"), warningText(h, set), h.MessageID, now)
}

// warningText says to a person what is wrong with a File-set, and what that means for him.
func warningText(h store.Header, r *fileset.Report) string {
	var text strings.Builder
	text.WriteString(filled("", "", "The images that came with the message"+aboutWords(h)+" are "+r.Verdict.String()+": "+verdictWords(r.Verdict)))
	if what := strings.TrimSpace(faults(r)); what != "" {
		text.WriteString("\n")
		for line := range strings.SplitSeq(what, "\n") {
			text.WriteString(filled("  ", "    ", line))
		}
	}
	text.WriteString("\n" + filled("", "", "If in doubt, ask the sender to send them again. The message itself lies in your mailbox as it came."))
	return text.String()
}

func verdictWords(v fileset.Verdict) string {
	switch v {
	case fileset.Violations:
		return "all of them are there, but a rule of the DICOM standard is broken. Look whether they are what you expect."
	case fileset.Unverifiable:
		return "they came without their directory, so nothing says whether they are all that were sent. Ask the sender how many there should be."
	case fileset.Incomplete:
		return "some that should be there are not. Do not take them for all that was sent."
	}
	return "they are not what was sent, or cannot be read. Do not use them."
}
