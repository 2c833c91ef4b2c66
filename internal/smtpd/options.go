package smtpd

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net/netip"
	"time"

	"carepost/addr"
	"carepost/internal/transit"
	"carepost/smtp"
)

// Options of a Server. Only Hostname and Accept are wanted; zero fields take the defaults named.
type Options struct {
	Hostname string      // our name in greeting, EHLO reply and Received field
	TLS      *tls.Config // certificates for STARTTLS; nil: not offered. Protocols and suites are set by the Server
	// RequireTLS refuses mail on a session in clear (530 5.7.0).
	RequireTLS bool
	MaxSize    int64 // of a message in bytes, as announced by SIZE; default 4 GiB
	Limits     Limits
	Timeouts   Timeouts
	Log        *slog.Logger // nil: silent

	// Rcpt says whether a recipient is taken: nil is yes, a Reply with 4yz or 5yz is no. A nil Rcpt takes everybody.
	Rcpt func(ctx context.Context, s Session, to addr.Path) *smtp.Reply

	// Accept takes one message. It reads body to io.EOF and returns nil only when the message is durable: then, and not
	// before, 250 is said with the id. When body fails, the message is void and Accept must keep nothing of it. An error is
	// temporary for the client (451) unless it wraps a *Refusal; see replyTo for the table.
	Accept func(ctx context.Context, env transit.Envelope, body io.Reader) (id string, err error)
}

// Limits on what one client, or all of them, may use. A zero field takes its default.
type Limits struct {
	Connections int // at once, from everybody; default 1000
	PerPeer     int // at once, from one IP address; default 100
	Recipients  int // of one message; default 1000 (RFC 5321 §4.5.3.1.8 asks for 100)
	Errors      int // bad commands and refused recipients before 421; default 20
	Hops        int // Received fields before a message is a loop; default 100 (RFC 5321 §6.3)
	HeaderBytes int // of a message's header; default 256 KiB
	Drain       int64 // bytes read and thrown away after a refused message, so that the reply arrives; default 16 MiB
}

// Timeouts of a session. A zero field takes its default.
type Timeouts struct {
	Greet   time.Duration // how long to listen for an early talker before the greeting; default 1 ms
	Command time.Duration // for one whole command line; default 5 min (RFC 5321 §4.5.3.2.7)
	Write   time.Duration // for one reply; default 1 min
	TLS     time.Duration // for the handshake; default 30 s
	Session time.Duration // after which no further command is taken; default 1 h
	Data    time.Duration // for one read of content; default 3 min
	// Content has DataGrace (default 5 min) plus one second for each DataRate bytes (default 1024); only time spent waiting for
	// the client counts, not what Accept needs.
	DataGrace time.Duration
	DataRate  int64
	Shutdown  time.Duration // that running transactions have to finish; default 30 s
}

// Session is what is known of a client when a recipient is judged.
type Session struct {
	Peer netip.AddrPort
	Helo string
	TLS  string // for example "TLS 1.3"; empty in clear
	From addr.Path
}

// Refusal is the error by which Accept refuses a message for good.
type Refusal struct {
	Code     int    // 5yz; 0 is 554
	Enhanced string // "" is 5.6.0
	Text     string // for the client; no addresses, no content
}

func (r *Refusal) Error() string { return "smtpd: refused: " + r.Text }
