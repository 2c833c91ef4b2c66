// Package transit holds the values that travel between the rooms: what was accepted, for whom, what was decided about it and
// how far it has come. It does no I/O and takes no decisions.
package transit

import (
	"io"
	"net/netip"
	"time"

	"carepost/addr"
)

// Direction says which way a message moves.
type Direction uint8

const (
	Inbound  Direction = iota + 1 // from the network to a local address
	Outbound                      // from a local address to the network
)

// Kind says what a message is for.
type Kind uint8

const (
	Mail   Kind = iota + 1 // somebody's mail
	Report                 // an MDN or DSN: never answered (Direct 3)
	Hello                  // introduces one of ours to somebody without a common anchor; composed here, says nothing of anybody else
)

// Envelope is what SMTP, or a sender inside the house, said of a message before its content (RFC 5321 §2.3.1).
type Envelope struct {
	From addr.Path // null for foreign reports
	To   []addr.Address
	ID   string // ENVID of RFC 3461, if given
	Full bool   // a report of failure is to hold the whole message (RET of RFC 3461 §4.3)
	// Wishes are by the recipients' keys (addr.Address.Key); only a submission has them.
	Wishes map[string]Wish
	// Overruled are contradictions in a File-set that its sender knows of (fileset.Conflict, zipmail.NamedSubject); they are audited, not kept.
	Overruled []string
	// Deidentified names the options by which the sender took out of a File-set whose it is (PS3.15 Annex E); "basic" without. Audited, not kept.
	Deidentified string
	// Responsible is by which rule a message is sent that nobody sends himself: "route:NAME"; it answers for the disclosure (PS3.15 B.8).
	Responsible string
	// Largest is how many bytes one mail may have as it leaves, where its sender says so: what is larger goes in several. Not kept.
	Largest int64

	// Facts of the session that brought it; zero for a message made inside the house.
	Peer     netip.AddrPort
	Helo     string
	TLS      string // for example "TLS 1.3", empty without
	SignedIn bool   // as the account of From
}

// Body gives a message's bytes, as often as asked. Size is in bytes.
type Body interface {
	io.ReaderAt
	Size() int64
}

// Consignment is one sealed message on its way to one destination domain.
type Consignment struct {
	ID     string // of the delivery, for logs
	From   addr.Path
	To     []addr.Address // all at Domain
	Domain addr.Domain
	Body   Body

	// Progress, if set, is told the bytes sent so far; a lease is renewed by it. An error stops the delivery before the final
	// dot: the lease is lost and another worker has the message.
	Progress func(sent int64) error
}

// Outcome is what became of a Consignment.
type Outcome struct {
	Host string // the server that answered last
	TLS  string // protocol of the session, for example "TLS 1.3"; empty when in clear
	At   []Answer
	Most int64 // bytes that the server says it takes (SIZE of RFC 1870), the least where several were asked; 0: it does not say
}

// Answer is the last word on one recipient.
type Answer struct {
	To       addr.Address
	Result   Result
	Code     int    // SMTP reply code, 0 when no server answered
	Enhanced string // RFC 3463, for example "5.1.1"
	Text     string // the server's words, or what went wrong on the way; no content, no addresses
}

// Result of handing over. The zero Result promises nothing: it is tried again.
type Result uint8

const (
	Deferred  Result = iota // not now: try again
	Delivered               // the next server has taken responsibility (250)
	Rejected                // never: permanent failure
)

// Clock is the present moment, where a room lives long enough to need one.
type Clock func() time.Time
