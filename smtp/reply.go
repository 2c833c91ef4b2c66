package smtp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// ErrReply is wrapped by every error that says that a peer's reply could not be read as one.
var ErrReply = errors.New("smtp: not a reply")

// Bounds of a reply read from a peer. RFC 5321 §4.5.3.1.5 asks for 512 octets a line; longer ones occur.
const (
	maxReplyLine  = 2048
	maxOwnLine    = 512 // of those we write
	maxReplyLines = 128
)

// Reply is one SMTP reply (RFC 5321 §4.2). The zero Reply is none. A *Reply is also an error, for callers that hand a refusal
// up as one.
type Reply struct {
	Code     int      // three digits
	Enhanced string   // RFC 3463, for example "2.1.5"; empty where none belongs: greeting, EHLO, 3yz
	Text     []string // one line each; never from a client
}

// NewReply makes a reply; at least one line of text is wanted for people.
func NewReply(code int, enhanced string, text ...string) *Reply {
	return &Reply{Code: code, Enhanced: enhanced, Text: text}
}

// Positive says 2yz: done.
func (r Reply) Positive() bool { return r.Code/100 == 2 }

// Intermediate says 3yz: go on.
func (r Reply) Intermediate() bool { return r.Code/100 == 3 }

// Temporary says 4yz: try again later.
func (r Reply) Temporary() bool { return r.Code/100 == 4 }

// Permanent says 5yz: do not try again.
func (r Reply) Permanent() bool { return r.Code/100 == 5 }

// Error gives code and enhanced code. The text stays out: a peer's words may hold an address.
func (r *Reply) Error() string {
	if r.Enhanced == "" {
		return fmt.Sprintf("smtp: reply %03d", r.Code)
	}
	return fmt.Sprintf("smtp: reply %03d %s", r.Code, r.Enhanced)
}

// AppendTo appends r as it goes over the wire. Octets that are not printable ASCII become '?': a reply cannot be split by its
// text (RFC 5321 §4.2.1). A line that would be longer than 512 octets is cut (§4.5.3.1.5).
func (r Reply) AppendTo(b []byte) []byte {
	lines := r.Text
	if len(lines) == 0 {
		lines = []string{""}
	}
	for i, l := range lines {
		start := len(b)
		b = strconv.AppendInt(b, int64(r.Code), 10)
		if i < len(lines)-1 {
			b = append(b, '-')
		} else {
			b = append(b, ' ')
		}
		if r.Enhanced != "" { // RFC 2034 §3: on every line
			b = append(append(b, r.Enhanced...), ' ')
		}
		for j := range min(len(l), max(0, maxOwnLine-2-(len(b)-start))) {
			if c := l[j]; c >= ' ' && c <= '~' || c == '\t' {
				b = append(b, c)
			} else {
				b = append(b, '?')
			}
		}
		b = append(b, '\r', '\n')
	}
	return b
}

// ReadReply reads one reply, whole. An enhanced code that heads the text and fits the class of the code is cut off into Enhanced.
// What is no reply gives an error that wraps ErrReply, and nothing after it can be trusted; I/O errors are passed on.
func ReadReply(r *Reader) (Reply, error) {
	var rep Reply
	for n := 0; ; n++ {
		if n == maxReplyLines {
			return Reply{}, fmt.Errorf("%w: more than %d lines", ErrReply, maxReplyLines)
		}
		line, err := r.ReadLine(maxReplyLine)
		if err == io.EOF && n > 0 {
			err = io.ErrUnexpectedEOF
		}
		if errors.Is(err, ErrBareByte) || errors.Is(err, ErrLineTooLong) {
			return Reply{}, fmt.Errorf("%w: %v", ErrReply, err)
		}
		if err != nil {
			return Reply{}, err
		}
		code, last, text, err := replyLine(line)
		if err != nil {
			return Reply{}, err
		}
		if n > 0 && code != rep.Code {
			return Reply{}, fmt.Errorf("%w: lines with different codes", ErrReply) // RFC 5321 §4.2.1
		}
		rep.Code = code
		if enh, rest, ok := cutEnhanced(code, text); ok && (n == 0 || enh == rep.Enhanced) {
			rep.Enhanced, text = enh, rest
		}
		rep.Text = append(rep.Text, string(text))
		if last {
			return rep, nil
		}
	}
}

// replyLine takes one line apart: Reply-code, '-' or SP, text (RFC 5321 §4.2). A bare code without SP is read, as it must be.
func replyLine(line []byte) (code int, last bool, text []byte, err error) {
	if len(line) < 3 || line[0] < '2' || line[0] > '5' || line[1] < '0' || line[1] > '9' || line[2] < '0' || line[2] > '9' {
		return 0, false, nil, fmt.Errorf("%w: no reply code", ErrReply)
	}
	code = int(line[0]-'0')*100 + int(line[1]-'0')*10 + int(line[2]-'0')
	if len(line) == 3 {
		return code, true, nil, nil
	}
	switch line[3] {
	case ' ':
		return code, true, line[4:], nil
	case '-':
		return code, false, line[4:], nil
	}
	return 0, false, nil, fmt.Errorf("%w: neither SP nor '-' after the code", ErrReply)
}

// cutEnhanced cuts class.subject.detail from the front of text (RFC 3463 §2).
func cutEnhanced(code int, text []byte) (enhanced string, rest []byte, ok bool) {
	head, rest, _ := bytes.Cut(text, []byte(" "))
	if !ValidEnhanced(string(head)) || int(head[0]-'0') != code/100 {
		return "", text, false
	}
	return string(head), rest, true
}

// ValidEnhanced reports whether s is an enhanced status code of RFC 3463 §2: 2, 4 or 5, then two numbers of one to three digits.
func ValidEnhanced(s string) bool {
	class, rest, ok := strings.Cut(s, ".")
	subject, detail, ok2 := strings.Cut(rest, ".")
	return ok && ok2 && (class == "2" || class == "4" || class == "5") && digits(subject) && digits(detail)
}

func digits(s string) bool {
	if len(s) < 1 || len(s) > 3 || len(s) > 1 && s[0] == '0' {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
