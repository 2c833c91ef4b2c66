package flow

import (
	"crypto/rand"
	"fmt"
	"io"
	"strings"
	"time"

	"carepost/addr"
	"carepost/dicom/fileset"
	"carepost/internal/store"
	"carepost/message"
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
		w, err := f.warning(a, a.home(r), f.Clock())
		if err != nil {
			return err
		}
		a.warnings[r.ID] = w
	}
	return nil
}

func (f *Flow) warning(a *arrival, to addr.Address, now time.Time) (w bounced, err error) {
	h := shown(a.opened.Header)
	from := addr.Address{Endpoint: "postmaster", Domain: to.Domain}
	id, err := message.NewMessageID(rand.Reader, to.Domain)
	if err != nil {
		return w, fmt.Errorf("flow: warning: %w", err)
	}
	w.head = store.Header{MessageID: id, Subject: a.fileset.Verdict.String() + ": " + or(h.Subject, "(no subject)"), Sender: from.String(), Date: now}
	w.ref, err = f.keep(func(out io.Writer, boundary string) error {
		var b message.Builder
		b.AddMailboxes("From", message.Mailbox{Address: from}).AddMailboxes("To", message.Mailbox{Address: to})
		b.AddText("Subject", w.head.Subject).AddDate(now).Add("Message-ID", id).Add("Auto-Submitted", "auto-generated") // RFC 3834 §5
		if h.MessageID != "" {
			b.Add("In-Reply-To", h.MessageID).Add("References", h.MessageID)
		}
		if err := b.Err(); err != nil {
			return err
		}
		return message.WriteLetter(out, &b, warningText(h, a.fileset), boundary)
	})
	return w, err
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
