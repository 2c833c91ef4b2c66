package transit

import "carepost/addr"

// Notify is what a sender wants to be told about one recipient (NOTIFY of RFC 3461 §4.1). The zero Notify: he has said nothing.
type Notify uint8

const (
	NotifyNever Notify = 1 << iota
	NotifySuccess
	NotifyFailure
	NotifyDelay
)

// Wants says whether what happened is to be told. Of what he does not speak of a sender is told, but for success (RFC 3461 §4.1).
func (n Notify) Wants(what Notify) bool {
	if n == 0 {
		return what == NotifyFailure || what == NotifyDelay
	}
	return n&what != 0
}

// Wish is what a sender said of one recipient when he submitted a message.
type Wish struct {
	Notify   Notify `json:"notify,omitempty"`
	Original string `json:"original,omitempty"` // ORCPT of RFC 3461 §4.2: address type, ';', address decoded; printable ASCII
}

// Wish is what the sender said of a; the zero Wish where he said nothing.
func (e Envelope) Wish(a addr.Address) Wish { return e.Wishes[a.Key()] }
