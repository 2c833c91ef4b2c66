package smtpd

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"syscall"
	"time"

	"carepost/addr"
	"carepost/internal/transit"
	"carepost/smtp"
)

// Options of a Server. Only Hostname and Accept are wanted; zero fields take the defaults named.
type Options struct {
	Hostname   string      // our name in greeting, EHLO reply and Received field
	TLS        *tls.Config // certificates for STARTTLS; nil: not offered. Protocols and suites are set by the Server
	RequireTLS bool        // mail on a session in clear is refused (530 5.7.0)
	MaxSize    int64       // of a message in bytes, as announced by SIZE; default 4 GiB
	Limits     Limits
	Timeouts   Timeouts
	Log        *slog.Logger // nil: silent

	// Auth makes the server a submission server (RFC 6409): MAIL is refused until a client has signed in by AUTH PLAIN under TLS. It
	// returns whose account it is, ErrCredentials when name and password do not fit, or an error that says it cannot be known now.
	// It bounds its own work. Without Auth the server is an MX.
	Auth func(ctx context.Context, s Session, user, password string) (addr.Address, error)

	// Host says that a client of a submission server need not sign in: a mail server of the house. Its Session has no Account, and Sender and
	// Rcpt decide what it may do; without Sender it may do nothing. TLS is asked of it as of everybody.
	Host func(s Session) bool

	// Sender says whether a client that has signed in, or a Host, may send as from: nil is yes. A nil Sender takes the account's own
	// address and nothing else. It is asked on a submission server only.
	Sender func(ctx context.Context, s Session, from addr.Path) *smtp.Reply

	// Rcpt says whether a recipient is taken: nil is yes, a Reply with 4yz or 5yz is no. A nil Rcpt takes everybody.
	Rcpt func(ctx context.Context, s Session, to addr.Path) *smtp.Reply

	// Accept takes one message. It reads body to io.EOF and returns nil only when the message is durable: then, and not
	// before, 250 is said with the id. When body fails, the message is void and Accept must keep nothing of it. An error is
	// temporary for the client (451) unless it wraps a *Refusal.
	Accept func(ctx context.Context, env transit.Envelope, body io.Reader) (id string, err error)
}

// Limits on what one client, or all of them, may use. A zero field takes its default.
type Limits struct {
	Connections int   // at once, from everybody; default 1000
	PerPeer     int   // at once, from one IPv4 address or IPv6 /64; default 100
	Recipients  int   // of one message; default 1000 (RFC 5321 §4.5.3.1.8 asks for 100)
	Tries       int   // to sign in, of one session, before 421; default 3
	Errors      int   // bad commands and refused recipients before 421; default 20
	Hops        int   // Received fields from which on a message is a loop; default 100 (RFC 5321 §6.3)
	HeaderBytes int   // of a message's header; default 256 KiB
	Drain       int64 // bytes read and thrown away after a refused message, so that the reply arrives; default 16 MiB
}

// Timeouts of a session. A zero field takes its default.
type Timeouts struct {
	Greet   time.Duration // how long to wait for an early talker before the greeting; default: who is early is seen without waiting
	Command time.Duration // for one whole command line; default 5 min (RFC 5321 §4.5.3.2.7)
	Write   time.Duration // for one reply; default 1 min
	TLS     time.Duration // for the handshake; default 30 s
	Session time.Duration // after which no further command is taken; default 1 h
	SignIn  time.Duration // the same, on a submission server before AUTH has succeeded; default 5 min
	Denied  time.Duration // what the reply to a failed AUTH waits, times the number of failures; default 1 s

	// See smtp.Pace: Data (default 3 min) for one read of content; all of it has DataGrace (default 5 min) plus one second for each
	// DataRate bytes (default 1024).
	Data      time.Duration
	DataGrace time.Duration
	DataRate  int64

	Shutdown time.Duration // that running transactions have to finish; default 30 s
}

func (o Options) withDefaults() Options {
	o.MaxSize = cmp.Or(o.MaxSize, 4<<30)
	l, t := &o.Limits, &o.Timeouts
	l.Connections = cmp.Or(l.Connections, 1000)
	l.PerPeer = cmp.Or(l.PerPeer, 100)
	l.Recipients = cmp.Or(l.Recipients, 1000)
	l.Tries = cmp.Or(l.Tries, 3)
	l.Errors = cmp.Or(l.Errors, 20)
	l.Hops = cmp.Or(l.Hops, 100)
	l.HeaderBytes = cmp.Or(l.HeaderBytes, 256<<10)
	l.Drain = cmp.Or(l.Drain, 16<<20)
	t.Command = cmp.Or(t.Command, 5*time.Minute)
	t.Write = cmp.Or(t.Write, time.Minute)
	t.TLS = cmp.Or(t.TLS, 30*time.Second)
	t.Session = cmp.Or(t.Session, time.Hour)
	t.SignIn = cmp.Or(t.SignIn, 5*time.Minute)
	t.Denied = cmp.Or(t.Denied, time.Second)
	t.Data = cmp.Or(t.Data, 3*time.Minute)
	t.DataGrace = cmp.Or(t.DataGrace, 5*time.Minute)
	t.DataRate = cmp.Or(t.DataRate, 1024)
	t.Shutdown = cmp.Or(t.Shutdown, 30*time.Second)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	if o.TLS != nil {
		o.TLS = smtp.HardenTLS(o.TLS)
	}
	return o
}

// Session is what is known of a client when it signs in, or when a sender or recipient is judged.
type Session struct {
	Peer    netip.AddrPort
	Helo    string
	TLS     string       // for example "TLS 1.3"; empty in clear
	Account addr.Address // who has signed in; zero on an MX
	From    addr.Path    // from MAIL on
}

// ErrCredentials is what Auth wraps when nobody with that name has that password.
var ErrCredentials = errors.New("smtpd: name or password is wrong")

// Refusal is the error by which Accept refuses a message for good. Nothing else is permanent for the client.
type Refusal struct {
	Code     int    // 5yz; anything else is 554
	Enhanced string // RFC 3463, 5.y.z; anything else is 5.6.0
	Text     string // for the client; no addresses, no content
}

func (r *Refusal) Error() string { return "smtpd: refused: " + r.Text }

// replyTo is the one table from errors of Accept to replies. What it does not know is temporary.
func replyTo(err error) *smtp.Reply {
	var r *Refusal
	switch {
	case errors.As(err, &r):
		code, enhanced := 554, "5.6.0"
		if r.Code/100 == 5 {
			code = r.Code
		}
		if smtp.ValidEnhanced(r.Enhanced) && r.Enhanced[0] == '5' {
			enhanced = r.Enhanced
		}
		return smtp.NewReply(code, enhanced, r.Text)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return smtp.NewReply(452, "4.3.1", "No room at present, try again later")
	}
	return smtp.NewReply(451, "4.3.0", "Not at present, try again later")
}
