package flow

import (
	"context"
	"io"

	"carepost/dsn"
	"carepost/internal/store"
	"carepost/internal/transit"
)

// maxOriginal bounds the original that goes back within a report, in bytes: of a longer one the header does.
const maxOriginal = 1 << 20

// withOriginal adds to a report for our own sender what comes back of his message (RET of RFC 3461 §4.3): its header, which he knows it
// by, or all of it where he asks for that and somebody has failed. A body that is gone, or cannot be read now, keeps no report back: then
// it holds the Message-ID alone.
func (f *Flow) withOriginal(ctx context.Context, r *dsn.Report, m store.Message, failed bool) {
	body, err := f.body(ctx, m.Raw)
	if err != nil {
		return
	}
	defer body.Close()
	if failed && m.Envelope.Full && body.Size() <= maxOriginal {
		whole := make([]byte, body.Size())
		if _, err := body.ReadAt(whole, 0); err == nil || err == io.EOF {
			r.Returned, r.Whole = whole, true
		}
		return
	}
	h, err := readHeader(body)
	if err != nil {
		return
	}
	for _, field := range h.Fields() {
		r.Returned = append(r.Returned, field.Raw...)
	}
}

// tell is who of the recipients a sender is to be told about (RFC 3461 §4.1).
func tell[T any](m store.Message, what transit.Notify, all []T, of func(T) store.Recipient) (told []T) {
	for _, x := range all {
		if m.Envelope.Wish(of(x).Address).Notify.Wants(what) {
			told = append(told, x)
		}
	}
	return told
}

// wantsSuccess says whether the sender of a message asks to be told that it has reached a recipient: by NOTIFY=SUCCESS when he submitted it
// (RFC 3461 §4.1), or by asking for a notice of the final delivery, which is ours to reflect (Direct 3).
func wantsSuccess(m store.Message, r store.Recipient) bool {
	n := m.Envelope.Wish(r.Address).Notify
	return n.Wants(transit.NotifySuccess) || m.Header.FinalDelivery && n != transit.NotifyNever
}
