package flow

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"slices"
	"strings"

	"carepost/addr"
	"carepost/internal/blob"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/message"
)

// repeated says that a message was taken before.
type repeated struct{ first string }

func (r *repeated) Error() string { return "flow: message " + r.first + " again" }

// repeat is the same for repeats of a transmission: sender, recipients, Message-ID, content. Sealed bytes are random, so that
// equal ones are no coincidence, however much later; nor is a Message-ID of a mail program's.
func (f *Flow) repeat(dir transit.Direction, env transit.Envelope, h message.Header, digest []byte) []byte {
	var to []string
	for _, a := range env.To {
		to = append(to, a.Key())
	}
	slices.Sort(to)
	value := strings.Join([]string{env.From.String(), strings.Join(to, ","), h.MessageID(), hex.EncodeToString(digest)}, "\n")
	if dir == transit.Outbound {
		return f.Store.Box().Hash("submitted", value)
	}
	return f.Store.Box().Hash("repeat", value)
}

// mostUnderOneID is how many messages of one sender may share a Message-ID: the parts of one to a hundred thousand recipients.
const mostUnderOneID = 100

// used looks for messages that a sender has sent under the same Message-ID. The same message for the same recipients is a repeat: its
// sender has not heard our answer. To other recipients it may go as well, for mail programs divide long lists (RFC 5321 §4.5.3.1.10).
// But notices are matched by Message-ID and recipient: another message under the ID of one that the recipient gets already is refused
// (RFC 5322 §3.6.4). So is a repeat of what has failed for everybody: taken for the first one it would never be sent, and our sender, who
// has the report of that, may want it sent.
func used(tx *store.Tx, m *store.Message) error {
	before, err := tx.MessagesByHeaderID(m.Header.MessageID)
	if err != nil {
		return err
	}
	before = slices.DeleteFunc(before, func(b store.Message) bool {
		return b.Direction != transit.Outbound || !b.Envelope.From.Address.Equal(m.Envelope.From.Address)
	})
	for _, b := range before {
		same := len(m.Dedupe) > 0 && bytes.Equal(b.Dedupe, m.Dedupe)
		if !same && len(before) >= mostUnderOneID {
			continue // refused below
		}
		rs, err := tx.Recipients(b.ID)
		if err != nil {
			return err
		}
		switch failed := func(r store.Recipient) bool { return r.State == transit.Failed }; {
		case same && !every(rs, failed):
			return &repeated{b.ID}
		case same:
			return &Refusal{"RFC 5322 §3.6.4", "this message was sent before and has failed, as the report in the mailbox says; to send it again, send it as a new message, with a Message-ID of its own"}
		}
		for _, r := range rs {
			if slices.ContainsFunc(m.Envelope.To, r.Address.Equal) {
				return &Refusal{"RFC 5322 §3.6.4", "a message with this Message-ID has been sent to a recipient of this one, or has failed; send this one as a new message, with a Message-ID of its own"}
			}
		}
	}
	if len(before) >= mostUnderOneID {
		return &Refusal{"RFC 5322 §3.6.4", "too many messages have this Message-ID; each wants one of its own"}
	}
	return nil
}

func every(rs []store.Recipient, is func(store.Recipient) bool) bool {
	return !slices.ContainsFunc(rs, func(r store.Recipient) bool { return !is(r) })
}

// once leaves out addresses that are named again.
func once(to []addr.Address) (out []addr.Address) {
	seen := map[string]bool{}
	for _, a := range to {
		if key := a.Key(); !seen[key] {
			seen[key] = true
			out = append(out, a)
		}
	}
	return out
}

// spool copies a message from the network to the draft. What repeats have in common is hashed: all but the Received field that our own
// listener put in front (RFC 5321 §4.4), for it holds the time.
func (f *Flow) spool(d *blob.Draft, digest hash.Hash, r io.Reader) error {
	br, done := f.reader(r)
	defer done()
	if err := trace(d, br); err != nil {
		return err
	}
	_, err := br.WriteTo(io.MultiWriter(d, digest))
	return err
}

// reader lends a buffer of 64 KiB over r.
func (f *Flow) reader(r io.Reader) (br *bufio.Reader, done func()) {
	br, ok := f.readers.Get().(*bufio.Reader)
	if !ok {
		br = bufio.NewReaderSize(nil, 64<<10)
	}
	br.Reset(r)
	return br, func() { br.Reset(nil); f.readers.Put(br) }
}

// trace copies the leading Received field, if there is one.
func trace(w io.Writer, br *bufio.Reader) error {
	const name = "Received:"
	if p, err := br.Peek(len(name)); err != nil || !bytes.EqualFold(p, []byte(name)) {
		return nil // a short body is for the rest of spool
	}
	for within := true; ; { // the line that is read goes on
		if p, err := br.Peek(1); !within && (err != nil || p[0] != ' ' && p[0] != '\t') {
			return nil
		}
		line, err := br.ReadSlice('\n')
		if _, werr := w.Write(line); werr != nil {
			return werr
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return nil // io.CopyBuffer meets it again
		}
		within = err != nil
	}
}
