package mdn

import (
	"strings"

	"carepost/addr"
	"carepost/message"
)

// ReturnAddresses says where the processed notification of a message goes (Direct 3.2): to Disposition-Notification-To, else to
// MAIL FROM, else to Sender, else to From. A field that cannot be read counts as absent. h is the header of the message itself,
// unwrapped.
func ReturnAddresses(h message.Header, mailFrom addr.Path) []addr.Address {
	if as := field(h, "Disposition-Notification-To"); len(as) > 0 {
		return as
	}
	if !mailFrom.IsNull() {
		return []addr.Address{mailFrom.Address}
	}
	if as := field(h, "Sender"); len(as) > 0 {
		return as
	}
	return field(h, "From")
}

// field returns the addresses of a field, each once.
func field(h message.Header, name string) []addr.Address {
	ms, err := h.Mailboxes(name)
	if err != nil {
		return nil
	}
	var as []addr.Address
	seen := map[string]bool{}
	for _, m := range ms {
		if k := m.Address.Key(); !seen[k] {
			seen[k] = true
			as = append(as, m.Address)
		}
	}
	return as
}

// WantsReceipt says whether the sender asks to be told that the message is read (RFC 3798 §2.1). Whether he is told is the reader's
// decision.
func WantsReceipt(h message.Header) bool { return len(field(h, "Disposition-Notification-To")) > 0 }

// WantsDelivery says whether the sender asks for a notice of the final delivery:
//
//	Disposition-Notification-Options: X-DIRECT-FINAL-DESTINATION-DELIVERY=optional,true
//
// A malformed option asks for nothing.
func WantsDelivery(h message.Header) bool {
	for _, v := range h.Values("Disposition-Notification-Options") {
		for _, option := range strings.Split(tokens(v), ";") {
			name, values, _ := strings.Cut(option, "=")
			importance, value, _ := strings.Cut(values, ",")
			if strings.EqualFold(name, DeliveryExtension) && (importance == "optional" || importance == "required") && value == "true" {
				return true
			}
		}
	}
	return false
}

// AskDelivery are the fields by which a sender asks for a notice of the final delivery, to be sent to him (RFC 3798 §2.1, §2.2).
func AskDelivery(to addr.Address) (fields []message.Field) {
	for _, f := range [][2]string{{"Disposition-Notification-To", "<" + to.String() + ">"}, {"Disposition-Notification-Options", DeliveryExtension + "=optional,true"}} {
		fields = append(fields, message.Field{Name: f[0], Raw: []byte(f[0] + ": " + f[1] + "\r\n")})
	}
	return fields
}
