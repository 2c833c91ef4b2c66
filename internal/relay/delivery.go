package relay

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"time"

	"carepost/addr"
	"carepost/internal/transit"
	"carepost/smtp"
)

// delivery is one call of Deliver.
type delivery struct {
	c        *Client
	d        transit.Consignment
	eightBit bool
	until    time.Time // after it nothing is begun
	hidden   hidden
	through  *Through // that sends to all of them; nil: we go there ourselves

	out     transit.Outcome
	took    bool   // out.Host and out.TLS are of a server that took the message
	told    []bool // beside out.At: there is an answer
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
	v := &delivery{c: c, d: d, told: make([]bool, len(d.To)), settled: make([]bool, len(d.To)), hidden: newHidden(d), through: c.through(d.Domain)}
	if v.through != nil && v.through.Credentials.User != "" {
		v.hidden.locals[strings.ToLower(v.through.Credentials.User)] = true
	}
	v.out.At = make([]transit.Answer, len(d.To))
	for i, to := range d.To {
		v.out.At[i].To = to
		if !sendable(to) {
			v.answer(i, &fault{result: transit.Rejected, enhanced: "5.1.3", text: "SMTP cannot carry the recipient's address"})
		}
	}
	return v
}

// sendable says that a reads back as it is written: what stands in it cannot end a path or a line. Whatever package addr has read
// is; an Address may also be made by hand.
func sendable(a addr.Address) bool {
	again, err := addr.Parse(a.String())
	return err == nil && again == a
}

// inspect reads the message once before anybody is called: what cannot be sent as it is must not be sent in part.
func (v *delivery) inspect(ctx context.Context) *fault {
	if !v.d.From.IsNull() && !sendable(v.d.From.Address) {
		return &fault{result: transit.Rejected, enhanced: "5.1.7", text: "SMTP cannot carry the sender's address"}
	}
	var lines smtp.Lines
	buf := make([]byte, min(v.d.Body.Size(), blockSize))
	for at := int64(0); at < v.d.Body.Size(); {
		if f := v.tick(ctx, 0); f != nil {
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

// tick asks whether to go on: ctx and our caller, who must hear of us even when a server takes content, or replies, by the drop.
func (v *delivery) tick(ctx context.Context, sent int64) *fault {
	if ctx.Err() != nil {
		return &fault{enhanced: "4.3.2", text: "interrupted"}
	}
	if v.d.Progress != nil {
		if err := v.d.Progress(sent); err != nil {
			return &fault{enhanced: "4.3.2", text: "stopped by our own side: " + err.Error()}
		}
	}
	return nil
}

// note gives f to everybody who has no last word yet. What a server said is kept against what merely went wrong on the way to
// another; and that one server will never do is no reason to give up while another may later.
func (v *delivery) note(f *fault) {
	for i, old := range v.out.At {
		if v.settled[i] {
			continue
		}
		never := f.result == transit.Rejected && f.another
		silent := f.result == transit.Deferred && f.code == 0 && old.Code != 0
		if waits := v.told[i] && old.Result == transit.Deferred; !waits || !never && !silent {
			v.answer(i, f)
		}
		v.settled[i] = !f.another
	}
}

// answer is the answer for one recipient so far, or the last.
func (v *delivery) answer(i int, f *fault) {
	a := &v.out.At[i]
	a.Result, a.Code, a.Enhanced, a.Text = f.result, f.code, f.enhanced, f.text
	v.told[i], v.settled[i] = true, !f.another
}

func (v *delivery) end(f *fault) transit.Outcome {
	v.note(f)
	return v.out
}

// over says that nothing is left to do, or no time to do it in.
func (v *delivery) over(ctx context.Context) bool {
	return len(v.open()) == 0 || ctx.Err() != nil || v.late()
}

func (v *delivery) late() bool { return !time.Now().Before(v.until) }

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
	if f != nil && f.clear && sec == Opportunistic && !v.over(ctx) {
		f = v.session(ctx, t, sec, true)
	}
	if f != nil {
		v.note(f)
	}
}

// said turns a reply that is not what was hoped for into a fault (RFC 5321 §4.2.1).
func (v *delivery) said(r smtp.Reply) *fault {
	if v.through != nil && unknown(r) {
		return refused(r, v.hidden.words(r))
	}
	f := &fault{code: r.Code, enhanced: r.Enhanced, text: v.hidden.words(r), another: true}
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

// errAhead says that a reply came to a command that was not sent yet: from here on each would be taken for the answer to another.
var errAhead = errors.New("the server speaks out of turn")

// broken says why a session ended that should not have. Errors of the network name hosts and ports only.
func (v *delivery) broken(doing string, err error) *fault {
	text := doing + ": " + err.Error()
	switch {
	case errors.Is(err, errAhead):
		return &fault{enhanced: "4.5.0", text: text, another: true}
	case errors.Is(err, os.ErrDeadlineExceeded) && v.late():
		text = doing + ": the time for one delivery is over"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		text = doing + ": the server closed the connection"
	case errors.Is(err, smtp.ErrReply):
		text = doing + ": the server did not speak SMTP"
	}
	return &fault{enhanced: "4.4.2", text: text, another: true}
}
