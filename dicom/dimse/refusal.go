package dimse

import "fmt"

// Reject is an A-ASSOCIATE-RJ (PS3.8 §9.3.4), result, source and reason an octet each: the other side, or a Server's Admit, wants no
// association.
type Reject uint32

// Refusals that Admit may give. Permanent ones tell the caller to look at its configuration.
const (
	NoReason       Reject = 0x010101
	UnknownContext Reject = 0x010102
	UnknownCalling Reject = 0x010103
	UnknownCalled  Reject = 0x010107
	UnknownVersion Reject = 0x010202
	Congested      Reject = 0x020301
	TooMany        Reject = 0x020302 // local limit exceeded: another time
)

// Temporary says that the same request may be accepted another time.
func (r Reject) Temporary() bool { return r>>16 == 2 }

func (r Reject) Error() string { return "dimse: the association was refused: " + r.meaning() }

func (r Reject) meaning() string {
	switch r & 0xFFFF {
	case NoReason & 0xFFFF, 0x0201:
		return "no reason given"
	case UnknownContext & 0xFFFF:
		return "application context not supported"
	case UnknownCalling & 0xFFFF:
		return "calling AE title not recognized"
	case UnknownCalled & 0xFFFF:
		return "called AE title not recognized"
	case UnknownVersion & 0xFFFF:
		return "protocol version not supported"
	case Congested & 0xFFFF:
		return "temporary congestion"
	case TooMany & 0xFFFF:
		return "local limit exceeded"
	}
	return fmt.Sprintf("source %d, reason %d", r>>8&0xFF, r&0xFF)
}

// Abort is an A-ABORT of the other side (PS3.8 §9.3.8).
type Abort struct{ Source, Reason byte }

func (a Abort) Error() string {
	if a.Source != byProvider {
		return "dimse: the other side ended the association"
	}
	return "dimse: the other side broke the association off: " + a.meaning()
}

// Unwrap makes every Abort an ErrLost.
func (a Abort) Unwrap() error { return ErrLost }

func (a Abort) meaning() string {
	switch a.Reason {
	case 1:
		return "unrecognized PDU"
	case 2:
		return "unexpected PDU"
	case 4:
		return "unrecognized PDU parameter"
	case 5:
		return "unexpected PDU parameter"
	case 6:
		return "invalid PDU parameter value"
	}
	return "no reason given"
}

// Sources of an A-ABORT, and the reasons we give (PS3.8 §9.3.8).
const (
	byUser     byte = 0
	byProvider byte = 2

	unrecognizedPDU byte = 1
	unexpectedPDU   byte = 2
	unexpectedParam byte = 5
	invalidParam    byte = 6
)

// breach is what the other side did against the protocol, and the reason with which it is told.
type breach struct {
	reason byte
	what   string
}

func (b *breach) Error() string { return ErrProtocol.Error() + ": " + b.what }
func (b *breach) Unwrap() error { return ErrProtocol }

func broken(reason byte, what string) error { return &breach{reason, what} }
