package atna

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

// priority is facility 10 (security) and severity 5 (notice), as PS3.15 A.6 has them: 10 × 8 + 5.
const priority = 85

// MessageID is the MSGID of every message (PS3.15 A.6).
const MessageID = "DICOM+RFC3881"

// MaxMessage is how long a message is that every receiver must take, in octets (PS3.15 A.6).
const MaxMessage = 32768

// ErrName says that a name does not go into a header of RFC 5424.
var ErrName = errors.New("atna: a name in the header is printable ASCII without spaces")

// Header is what RFC 5424 says of a message besides.
type Header struct {
	At   time.Time // when the event was, for a repeat is the same to the octet
	Host string    // who sends: a name of DNS, at best (RFC 5424 §6.2.4)
	App  string    // which program
}

// Frame gives an audit message its header (RFC 5424 §6) and its length (RFC 5425 §4.3): what goes over TLS. The text is told to be UTF-8 by
// its byte order mark (RFC 5424 §6.4), which is none of the XML. PROCID and STRUCTURED-DATA are nil.
func Frame(h Header, xml []byte) ([]byte, error) {
	host, err := name(h.Host, 255)
	if err != nil {
		return nil, err
	}
	app, err := name(h.App, 48)
	if err != nil {
		return nil, err
	}
	head := fmt.Sprintf("<%d>1 %s %s %s - %s - \ufeff", priority, h.At.UTC().Format("2006-01-02T15:04:05.000Z"), host, app, MessageID)
	b := strconv.AppendInt(nil, int64(len(head)+len(xml)), 10)
	b = append(append(b, ' '), head...)
	return append(b, xml...), nil
}

// Room is how much of a message its header leaves, in octets.
func Room(h Header) int { return MaxMessage - len(h.Host) - len(h.App) - 80 }

// name checks what stands between two spaces (RFC 5424 §6: PRINTUSASCII).
func name(s string, most int) (string, error) {
	if s == "" {
		return "-", nil
	}
	for i := range len(s) {
		if s[i] < '!' || s[i] > '~' || i >= most {
			return "", ErrName
		}
	}
	return s, nil
}
