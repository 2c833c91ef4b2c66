package smime

import (
	"fmt"

	"carepost/message"
)

// VisibleHeader is what the outside of an unwrapped message has to show, for SealOptions.Outer: what OuterHeader has, but the names beside
// From and Sender too, by which office programs call the sender; the whole Subject, or subject where that is not empty; and whether its
// sender asks to be told that it is read (RFC 3798 §2.1). Everybody on the way can read and change it.
func VisibleHeader(subject string) func(message.Header) ([]message.Field, error) {
	return func(h message.Header) ([]message.Field, error) {
		of, err := OuterHeader(h)
		if err != nil {
			return nil, err
		}
		var b message.Builder
		for _, f := range of {
			switch {
			case equalFold(f.Name, "Subject"):
			case equalFold(f.Name, "From"), equalFold(f.Name, "Sender"):
				boxes, err := h.Mailboxes(f.Name)
				if err != nil {
					return nil, fmt.Errorf("smime: the message: %s: %w", f.Name, err)
				}
				b.AddMailboxes(f.Name, boxes...)
			default:
				b.AddRaw(f)
			}
		}
		for _, name := range []string{"Subject", "Disposition-Notification-To"} {
			switch n := h.Count(name); {
			case name == "Subject" && subject != "":
				b.Add(name, subject)
			case n > 1:
				return nil, fmt.Errorf("smime: the message: %w: two fields %s", message.ErrAmbiguous, name)
			case n == 1:
				b.AddRaw(field(h, name))
			}
		}
		return fields(&b)
	}
}
