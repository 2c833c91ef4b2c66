package dimse

import (
	"cmp"
	"time"
)

// Limits of one side. Zero values are the defaults.
type Limits struct {
	Associations int           // of a Server at once; of one address half of them, and at least one
	PDU          int           // octets of a P-DATA-TF PDU that we take; the other side is told
	Artim        time.Duration // for the transport connection, TLS, negotiation and the end (PS3.8 §9.1.5)
	Idle         time.Duration // of a Server: between messages, and for each 64 KiB within one
	Answer       time.Duration // of a Client: for the answer to an operation, and for each PDU to be taken
	Grace        time.Duration // of a Server: for the instances under way when it is stopped
}

func (l Limits) defaulted() Limits {
	l.Associations = cmp.Or(l.Associations, 32)
	l.PDU = min(max(cmp.Or(l.PDU, 131072), minPDU), maxPDU)
	l.Artim = cmp.Or(l.Artim, 30*time.Second)
	l.Idle = cmp.Or(l.Idle, 60*time.Second)
	l.Answer = cmp.Or(l.Answer, 300*time.Second)
	l.Grace = cmp.Or(l.Grace, 10*time.Second)
	return l
}

// Fixed limits.
const (
	minPDU         = 4 << 10   // of Limits.PDU
	maxPDU         = 1 << 20   // of Limits.PDU, and of what is sent to a peer that takes any length
	minPeerPDU     = 64        // octets that the other side must take, at least
	maxRequest     = 256 << 10 // octets of an A-ASSOCIATE-RQ or -AC
	maxContexts    = 128       // presentation contexts: odd numbers of one octet (PS3.8 §9.3.2.2)
	maxSyntaxes    = 256       // transfer syntaxes of one context
	maxCommand     = 16 << 10  // octets of a command set
	maxEmpty       = 100       // fragments in a row that carry nothing
	maxComment     = 64        // characters of an error comment (PS3.7 §C.4)
	maxDrained     = 1 << 20   // octets that are read over while the other side closes
	maxMeta        = 64 << 10  // octets of a file meta group (PS3.10 §7.1)
	maxBrokenInRow = 3         // associations in a row that the other side breaks off, after which a Client gives up
	segment        = 64 << 10  // octets that a Server reads at once
)
