package relay

import (
	"context"
	"errors"
	"io"
	"strings"

	"carepost/internal/transit"
	"carepost/smtp"
)

// delivery is one call of Deliver.
type delivery struct {
	c        *Client
	d        transit.Consignment
	eightBit bool

	out     transit.Outcome
	settled []bool // beside out.At: no other server is asked about this recipient
}

// fault is why a recipient, or all that are left, did not get the message. The zero result is Deferred.
type fault struct {
	result   transit.Result
	code     int
	enhanced string
	text     string
	another  bool // another server may be asked at once
	clear    bool // the same server may be asked without TLS
}

func newDelivery(c *Client, d transit.Consignment) *delivery {
	v := &delivery{c: c, d: d, settled: make([]bool, len(d.To))}
	v.out.At = make([]transit.Answer, len(d.To))
	for i, to := range d.To {
		v.out.At[i].To = to
	}
	return v
}

// inspect reads the message once before anybody is called: what cannot be sent as it is must not be sent in part.
func (v *delivery) inspect(ctx context.Context) *fault {
	var lines smtp.Lines
	buf := make([]byte, min(v.d.Body.Size(), blockSize))
	for at := int64(0); at < v.d.Body.Size(); {
		if f := v.tick(ctx, at, 0); f != nil {
			return f
		}
		n, err := v.d.Body.ReadAt(buf[:min(int64(len(buf)), v.d.Body.Size()-at)], at)
		at += int64(n)
		if n == 0 && err != nil {
			return bodyFault(err)
		}
		if err := lines.Check(buf[:n]); err != nil {
			return badBody("the message has CR or LF alone, or NUL")
		}
		v.eightBit = v.eightBit || smtp.EightBit(buf[:n])
	}
	if !lines.Whole() {
		return badBody("the message does not end with CR LF")
	}
	return nil
}

func badBody(text string) *fault {
	return &fault{result: transit.Rejected, enhanced: "5.6.0", text: text}
}

func bodyFault(err error) *fault {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return &fault{enhanced: "4.3.0", text: "reading the message: " + err.Error()}
}

// tick asks whether to go on: our caller each MiB and at the end, ctx always. at is where we are in the body.
func (v *delivery) tick(ctx context.Context, at, sent int64) *fault {
	if ctx.Err() != nil {
		return &fault{enhanced: "4.3.2", text: "interrupted"}
	}
	if v.d.Progress != nil && (at%(1<<20) < blockSize || at == v.d.Body.Size()) {
		if err := v.d.Progress(sent); err != nil {
			return &fault{enhanced: "4.3.2", text: "stopped by our own side: " + err.Error()}
		}
	}
	return nil
}

// note gives f to everybody who has no last word yet. What a server said is kept against what merely went wrong on the way to another.
func (v *delivery) note(f *fault) {
	for i := range v.out.At {
		if v.settled[i] {
			continue
		}
		if old := v.out.At[i]; old.Code == 0 || old.Result != transit.Deferred || f.code != 0 {
			v.answer(i, f)
		}
		v.settled[i] = !f.another
	}
}

func (v *delivery) answer(i int, f *fault) {
	a := &v.out.At[i]
	a.Result, a.Code, a.Enhanced, a.Text = f.result, f.code, f.enhanced, f.text
}

func (v *delivery) end(f *fault) transit.Outcome {
	v.note(f)
	return v.out
}

func (v *delivery) outcome() transit.Outcome { return v.out }

func (v *delivery) done() bool { return len(v.open()) == 0 }

// open lists the recipients without a last word.
func (v *delivery) open() []int {
	var list []int
	for i, s := range v.settled {
		if !s {
			list = append(list, i)
		}
	}
	return list
}

// attempt tries one server, first with TLS, and again in clear if it cannot do what it offers and nobody asked for TLS.
func (v *delivery) attempt(ctx context.Context, t target, sec Security) {
	f := v.session(ctx, t, sec, false)
	if f != nil && f.clear && sec == Opportunistic && ctx.Err() == nil {
		f = v.session(ctx, t, sec, true)
	}
	if f != nil {
		v.note(f)
	}
}

// said turns a reply that is not what was hoped for into a fault (RFC 5321 §4.2.1).
func (v *delivery) said(r smtp.Reply) *fault {
	f := &fault{code: r.Code, enhanced: r.Enhanced, text: v.words(r), another: true}
	switch {
	case r.Permanent():
		f.result, f.another = transit.Rejected, false
		if f.enhanced == "" {
			f.enhanced = "5.0.0"
		}
	case r.Temporary():
		if f.enhanced == "" {
			f.enhanced = "4.0.0"
		}
	default:
		return &fault{enhanced: "4.5.0", text: "the server's reply does not fit the command", another: true}
	}
	return f
}

const maxWords = 300

// words are a server's, made fit for reports and logs: printable, bounded, without addresses or the local parts of this message's.
func (v *delivery) words(r smtp.Reply) string {
	fields := strings.Fields(strings.Join(r.Text, " "))
	for i, w := range fields {
		core := strings.ToLower(strings.Trim(w, `<>"'()[]{},.:;`))
		if strings.Contains(w, "@") || core != "" && v.names(core) {
			fields[i] = "<...>"
		}
	}
	s := strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return '?'
		}
		return c
	}, strings.Join(fields, " "))
	return s[:min(len(s), maxWords)]
}

// names says that the word is a local part of the envelope.
func (v *delivery) names(word string) bool {
	if strings.EqualFold(word, v.d.From.Address.Endpoint) {
		return true
	}
	for _, a := range v.d.To {
		if strings.EqualFold(word, a.Endpoint) {
			return true
		}
	}
	return false
}

// broken says why a session ended that should not have. Errors of the network name hosts and ports only.
func broken(doing string, err error) *fault {
	text := doing + ": " + err.Error()
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		text = doing + ": the server closed the connection"
	case errors.Is(err, smtp.ErrReply):
		text = doing + ": the server did not speak SMTP"
	}
	return &fault{enhanced: "4.4.2", text: text, another: true}
}
