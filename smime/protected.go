package smime

import (
	"bufio"
	"bytes"

	"carepost/message"
)

// joiner makes the header of a message of the outer header and that of the entity inside.
type joiner func(outer, entity message.Header, lim message.Limits) (message.Header, error)

// protectsHeader says whether the entity brings the header of the message with it (RFC 9788 §2.1.1): hp is "clear" or "cipher".
func protectsHeader(ct message.ContentType) bool {
	hp := ct.Params["hp"]
	return equalFold(hp, "clear") || equalFold(hp, "cipher")
}

// forwards says that a message/rfc822 is no wrapper but content: a message passed on (RFC 9788 §4.10; "no" is what wrappers say,
// and what is meant where nothing is said).
func forwards(ct message.ContentType) bool { return equalFold(ct.Params["forwarded"], "yes") }

// LegacyDisplay says whether the text of a part with this header begins with a copy of protected fields, for readers that know none
// (RFC 9788 §2.1.2). Whoever shows Opened.Header may leave it out, if Opened.HeaderProtected.
func LegacyDisplay(part message.Header) bool {
	ct, err := part.ContentType()
	return err == nil && ct.Type == "text" && ct.Params["hp-legacy-display"] == "1"
}

// traceFields are written by those who transport a message, on its outside (RFC 5322 §3.6.7, RFC 8601 §2).
var traceFields = [...]string{"Return-Path", "Received", "Authentication-Results"}

func traceField(name string) bool {
	for _, t := range traceFields {
		if equalFold(name, t) {
			return true
		}
	}
	return false
}

// outerField says that a field tells what another one looked like outside (RFC 9788 §2.2).
func outerField(name string) bool { return equalFold(name, "HP-Outer") }

// protectedHeader is the header of a message whose entity protects it: of the outer fields the trace alone, then all that stand on
// the entity. What stands outside beside that counts for nothing, also where the entity has no such field (RFC 9788 §4).
func protectedHeader(outer, entity message.Header, lim message.Limits) (message.Header, error) {
	return join(outer, entity, lim, func(name string) bool { return traceField(name) && !entity.Has(name) })
}

// joinedHeader is the header of an unwrapped message: the outer fields but those that describe the outer body, then all that stand
// on the signed entity. A field that stands there was signed, so one of that name outside does not count.
func joinedHeader(outer, entity message.Header, lim message.Limits) (message.Header, error) {
	return join(outer, entity, lim, func(name string) bool { return !contentField(name) && !entity.Has(name) && !outerField(name) })
}

func join(outer, entity message.Header, lim message.Limits, takes func(name string) bool) (message.Header, error) {
	var b bytes.Buffer
	versioned := entity.Has("MIME-Version")
	for _, f := range outer.Fields() {
		if takes(f.Name) {
			b.Write(f.Raw)
			versioned = versioned || equalFold(f.Name, "MIME-Version")
		}
	}
	if !versioned {
		b.WriteString("MIME-Version: 1.0\r\n")
	}
	for _, f := range entity.Fields() {
		if !outerField(f.Name) {
			b.Write(f.Raw)
		}
	}
	// Both were within their limits.
	lim.HeaderBytes, lim.Fields = int64(b.Len())+2, len(outer.Fields())+len(entity.Fields())+1
	return message.ReadHeader(bufio.NewReader(&b), lim)
}
