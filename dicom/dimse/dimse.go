// Package dimse speaks with PACS and modalities: DICOM associations over TCP, and of the services on them Verification (C-ECHO) and
// Storage (C-STORE), on both sides.
//
// It follows PS3.8 §9 (upper layer protocol over TCP/IP), its state machine with ARTIM and its Annexes D and E; PS3.7 §9.1.1, §9.1.5,
// §9.3.1, §9.3.5 and Annexes C to E (messages, statuses, negotiation); PS3.4 Annex A and Annex B (Verification, Storage); and
// PS3.15 §B.12 (TLS of BCP 195).
//
// It departs from them in what it offers: the Client proposes each instance in its own transfer syntax alone, for nothing is ever
// converted (PS3.5 §10.1 would have Implicit VR Little Endian offered beside it), and so a data set arrives byte for byte. The Server
// takes every Storage SOP class, those it has never heard of too, and every transfer syntax of the standard that has its pixels in the
// data set; where several are offered in one context it takes the first, unless that gives up value representations or byte order and
// another gives back every pixel. There is one operation at a time (PS3.7 §D.3.3.3), and no storage commitment. User identities
// (§D.3.3.7) are read over: whoever must be known shows a certificate. Who breaks the protocol before there is an association is told why,
// where PS3.8 Table 9-8 (AA-1) would have an A-ABORT without a reason.
//
// Hostile input: data sets stream, nothing is allocated from a length that is claimed, and associations, PDUs, commands and every
// silence are bounded (Limits). Errors carry neither titles nor UIDs of instances.
package dimse

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// What callers branch on.
var (
	ErrTimeout     = errors.New("dimse: the other side said nothing for too long")
	ErrLost        = errors.New("dimse: the association was lost")              // what was under way may have arrived, or not
	ErrNotAccepted = errors.New("dimse: class or transfer syntax not accepted") // the other side will not take this instance as it is
	ErrSource      = errors.New("dimse: no instance to send")                   // what was to be sent cannot be read, or is none
	ErrProtocol    = errors.New("dimse: broken protocol")
	ErrTLS         = errors.New("dimse: no TLS") // of a Server, with the reason
)

// AETitle names an application (PS3.8 §9.3.2, PS3.5 VR AE), without padding.
type AETitle string

// maxTitle is the length of an AE title.
const maxTitle = 16

// ParseAETitle reads a title of 1 to 16 characters of ASCII, no control character and no backslash. Spaces at either end say nothing.
func ParseAETitle(s string) (AETitle, error) {
	s = strings.Trim(s, " ")
	if s == "" || len(s) > maxTitle {
		return "", fmt.Errorf("dimse: an AE title has 1 to %d characters", maxTitle)
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' || s[i] == '\\' {
			return "", errors.New("dimse: an AE title is written in ASCII without backslashes")
		}
	}
	return AETitle(s), nil
}

// Association is who speaks to the Server.
type Association struct {
	Calling, Called AETitle
	RemoteIP        netip.Addr
	Certificate     *x509.Certificate // the caller's, where TLS has verified one
}

// Instance names a composite SOP instance and how it is encoded.
type Instance struct{ SOPClass, SOPInstance, TransferSyntax string }

// UIDs of this room.
const (
	Verification       = "1.2.840.10008.1.1"     // PS3.4 Annex A
	applicationContext = "1.2.840.10008.3.1.1.1" // PS3.7 §A.2.1
)
