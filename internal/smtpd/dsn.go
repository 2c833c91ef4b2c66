package smtpd

import (
	"carepost/internal/transit"
	"carepost/smtp"
)

// wish keeps what the client says of a recipient (RFC 3461 §4). What it says of one that it names again does not count.
func (m *transaction) wish(key string, r smtp.Rcpt, offered bool) {
	if !offered || len(r.Notify) == 0 && r.Original == "" {
		return
	}
	if m.env.Wishes == nil {
		m.env.Wishes = map[string]transit.Wish{}
	}
	m.env.Wishes[key] = transit.Wish{Notify: notify(r.Notify), Original: r.Original}
}

// notify is the value of NOTIFY, which package smtp has checked.
func notify(words []string) (n transit.Notify) {
	for _, w := range words {
		switch w {
		case "NEVER":
			n |= transit.NotifyNever
		case "SUCCESS":
			n |= transit.NotifySuccess
		case "FAILURE":
			n |= transit.NotifyFailure
		case "DELAY":
			n |= transit.NotifyDelay
		}
	}
	return n
}
