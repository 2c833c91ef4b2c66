package flow

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"carepost/internal/crash"
	"carepost/internal/queue"
	"carepost/internal/rule"
	"carepost/internal/store"
	"carepost/internal/transit"
	"carepost/message"
)

// minFragment is the least that a fragment of ours has, in bytes: more than its header and a line.
const minFragment = 64 << 10

// fragmentSize is how large a fragment may be in which a sealed message goes to the recipients of a delivery; 0: it goes as it is. Only whom
// a rule says that, and of whom it says that he knows no Direct: notices and signatures there speak of one message (PS3.12 Z.2.1).
func (f *Flow) fragmentSize(ctx context.Context, p *parcel) (size int64, err error) {
	if len(f.Rules) == 0 {
		return 0, nil
	}
	homes, err := f.homes(ctx, p.recipients)
	if err != nil {
		return 0, err
	}
	for _, r := range p.recipients {
		says := f.Rules.Of(p.message.Envelope.From.Address, homes[r.ID], transit.Outbound)
		if says.Fragment == 0 || says.Form != rule.SMIME && says.Form != rule.Plain {
			return 0, nil
		}
		if size == 0 || says.Fragment < size {
			size = says.Fragment
		}
	}
	return max(size, minFragment), nil
}

// piece is a fragment on its way: a header of its own, and a part of the sealed message.
type piece struct {
	head []byte
	body transit.Body
	at   int64
	size int64
}

// Size is that of the fragment.
func (p *piece) Size() int64 { return int64(len(p.head)) + p.size }

// ReadAt reads of the fragment.
func (p *piece) ReadAt(b []byte, off int64) (n int, err error) {
	if off < int64(len(p.head)) {
		n = copy(b, p.head[off:])
		if n == len(b) {
			return n, nil
		}
	}
	from := off + int64(n) - int64(len(p.head))
	if left := p.size - from; left < int64(len(b)-n) {
		b = b[:int64(n)+max(left, 0)]
		err = io.EOF
	}
	more, rerr := p.body.ReadAt(b[n:], p.at+from)
	if n += more; n < len(b) {
		err = rerr
	}
	return n, err
}

// pieces divides a sealed message after lines (RFC 2046 §5.2.2): the first piece holds its header. The same message and size make the same.
func pieces(id string, body transit.Body, most int64) (out []*piece, err error) {
	h, err := readHeader(body)
	if err != nil {
		return nil, err
	}
	var outer bytes.Buffer
	for _, x := range h.Fields() {
		if !message.OfEnclosed(x.Name) {
			outer.Write(bytes.TrimRight(x.Raw, "\r\n"))
			outer.WriteString("\r\n")
		}
	}
	step := most - int64(outer.Len()) - 1024 // for the fields that are each piece's own
	if step < minFragment/2 {
		return nil, message.ErrLimit
	}
	for at := int64(0); at < body.Size(); {
		end, err := lineEnd(body, at, min(at+step, body.Size()))
		if err != nil {
			return nil, err
		}
		out = append(out, &piece{body: body, at: at, size: end - at})
		at = end
	}
	if len(out) > message.MaxFragments {
		return nil, message.ErrLimit
	}
	from, domain := h.MessageID(), "fragments.invalid"
	if ms, err := h.Mailboxes("From"); err == nil && len(ms) > 0 {
		domain = ms[0].Address.Domain.String()
	}
	subject := h.Get("Subject")
	for i, p := range out {
		var own message.Builder
		own.Add("Subject", fmt.Sprintf("%s (%d/%d)", subject, i+1, len(out)))
		own.Add("Message-ID", fmt.Sprintf("<%s.%d@%s>", id, i+1, domain))
		if from != "" && i > 0 {
			own.Add("References", from)
		}
		own.Add("MIME-Version", "1.0").Add("Content-Type", fmt.Sprintf(`message/partial; id="%s.%d@%s"; number=%d; total=%d`, id, most, domain, i+1, len(out)))
		var head bytes.Buffer
		head.Write(outer.Bytes())
		if _, err := own.WriteTo(&head); err != nil {
			return nil, err
		}
		p.head = head.Bytes()
	}
	return out, nil
}

// lineEnd is the end of the last whole line before end, or end where the message ends there.
func lineEnd(body transit.Body, at, end int64) (int64, error) {
	if end == body.Size() {
		return end, nil
	}
	buf := make([]byte, min(4<<10, end-at))
	if _, err := body.ReadAt(buf, end-int64(len(buf))); err != nil && err != io.EOF {
		return 0, err
	}
	i := bytes.LastIndexByte(buf, '\n')
	if i < 0 {
		return 0, message.ErrLimit
	}
	return end - int64(len(buf)) + int64(i) + 1, nil
}

// inFragments hands a sealed message over piece by piece. How many were taken is written down after each: a delivery that is tried again goes
// on there, and a piece that was taken without our knowing goes twice, which its number tells.
func (f *Flow) inFragments(ctx context.Context, j *queue.Job, p *parcel, c transit.Consignment, most int64) (out transit.Outcome, err error) {
	all, err := pieces(p.ID, p.body, most)
	if err != nil {
		for _, to := range c.To {
			out.At = append(out.At, transit.Answer{To: to, Result: transit.Rejected, Enhanced: "5.6.0", Text: "the message cannot be divided"})
		}
		return out, nil
	}
	t := store.Transfer{Kind: store.Divided}
	err = f.Store.Tx(ctx, func(tx *store.Tx) error {
		if err := tx.ForgetTransfers("", store.Divided, f.Clock().Add(-keepTransfers)); err != nil { // of deliveries that were given up
			return err
		}
		_, err := tx.HoldTransfer(&t, fmt.Sprintf("%s\n%d", p.ID, most)) // fragments of another size are others
		return err
	})
	if err != nil {
		return out, fmt.Errorf("flow: fragments: %w", err)
	}
	sent := int64(0)
	for i, x := range all {
		before := sent
		sent += x.Size()
		if i < t.Of && i < len(all)-1 { // the last one is what the answer is about
			continue
		}
		one := c
		one.ID, one.Body = fmt.Sprintf("%s.%d", c.ID, i+1), x
		one.Progress = func(n int64) error {
			f.Progress("send", before+n, p.body.Size())
			if n >= x.Size() {
				return j.Beat(ctx)
			}
			return j.Progress()
		}
		out = f.Transport.Deliver(ctx, one)
		for _, a := range out.At {
			if a.Result != transit.Delivered {
				return halted(out), nil
			}
		}
		if len(out.At) < len(c.To) {
			return halted(out), nil
		}
		crash.Point("fragment.taken")
		t.Of = i + 1
		if err := f.insist(context.WithoutCancel(ctx), func(tx *store.Tx) error { return tx.SetTransfer(t) }); err != nil {
			return out, fmt.Errorf("flow: fragments: %w", err)
		}
		crash.Point("fragment.noted")
	}
	return out, f.insist(context.WithoutCancel(ctx), func(tx *store.Tx) error { return tx.RemoveTransfer(t.ID) })
}

// halted says of those who got the piece that the others did not that the message is not handed over yet.
func halted(o transit.Outcome) transit.Outcome {
	for i := range o.At {
		if o.At[i].Result == transit.Delivered {
			o.At[i] = transit.Answer{To: o.At[i].To, Text: "a fragment was not taken for all recipients"}
		}
	}
	return o
}
