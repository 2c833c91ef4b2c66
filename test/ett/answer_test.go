package ett

import "strings"

// final is the field of a dispatched notice that tells of the final delivery.
const final = "X-DIRECT-FINAL-DESTINATION-DELIVERY: \n"

// answer is what the recipients at the tool do with a message, each by the local part of its address, as at the tool itself.
func (x *tool) answer(a arrival, to string) {
	local, _, _ := strings.Cut(to, "@")
	tell := func(n notice) {
		n.original, n.recipient = a.id, to
		x.reply(a, a.id, or(n.from, to), n.envelope, n.entity())
	}
	takenOver, delivered := notice{disposition: "processed"}, notice{disposition: "dispatched", fields: final}
	switch local {
	case "nomdn8":
	case "processeddispatched6":
		tell(takenOver)
		tell(delivered)
	case "processdelayeddispatch7":
		tell(takenOver)
		x.putOff("65 min", func() { tell(delivered) })
	case "processdelayeddispatch30min":
		tell(takenOver)
		x.putOff("30 min", func() { tell(delivered) })
	case "dispatchedonly":
		tell(delivered)
	case "noaddressfailure9":
		x.reply(a, a.id, to, "", failure(a.id, to))
	case "processedfailure":
		tell(takenOver)
		tell(notice{disposition: "failed", fields: "Failure: the mailbox is full\n"})
	case "processedtimeoutfailure":
		tell(takenOver)
		x.putOff("65 min", func() { tell(notice{disposition: "failed", fields: "Failure: the mailbox is full\n"}) })
	case "dispatchednofield":
		tell(takenOver)
		tell(notice{disposition: "dispatched"})
	default:
		if n, known := oddities[local]; known {
			tell(n)
			return
		}
		tell(takenOver) // processedonly5, wellformed14
	}
}

// oddities are notices that somebody in the world writes so, by the name of the tool's case.
var oddities = map[string]notice{
	"white_space": {disposition: "processed", odd: func(f string) string {
		return strings.NewReplacer("Final-Recipient: ", "Final-Recipient:   \t", "Disposition: ", "Disposition:    ", "\n", "  \n").Replace(f)
	}},
	"extra_line_break": {disposition: "processed", odd: func(f string) string { return "\n" + strings.ReplaceAll(f, "\n", "\n\n") + "\n\n" }},
	"extra_space_disposition": {disposition: "processed", odd: func(f string) string {
		return strings.Replace(f, "automatic-action/MDN-sent-automatically;processed", "automatic-action / MDN-sent-automatically ; processed", 1)
	}},
	"missing_disposition": {disposition: "processed", odd: func(f string) string {
		at := strings.Index(f, "Disposition:")
		return f[:at]
	}},
	"null_sender":      {disposition: "processed", envelope: "<>"},
	"different_sender": {disposition: "processed", from: "somebody.else@" + good},
	"different_msgid":  {disposition: "processed", another: "<another@north.example>"},
	"white_space_822": {disposition: "processed", odd: func(f string) string {
		return strings.ReplaceAll(f, "rfc822;", " rfc822 ;  ")
	}},
	"different_cases_822": {disposition: "processed", odd: func(f string) string {
		return strings.NewReplacer("rfc822;", "RFC822;", "Final-Recipient", "FINAL-recipient", "Original-Message-ID", "original-message-id",
			"processed", "Processed").Replace(f)
	}},
}
