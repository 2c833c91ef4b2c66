// Package stow gives DICOM instances to a server over HTTP, and reads what others give: the Store transaction of the Studies Service,
// PS3.18 §10.5, called STOW-RS.
//
// The request is multipart/related of application/dicom parts (§8.6.1.2.2, §10.5.1), streamed both ways: no part is ever held in memory. The
// answer is the Store Instances Response of §10.5.3.1 (its module is that of PS3.18 Annex I): a Referenced SOP Sequence (0008,1199) of what was taken
// and a Failed SOP Sequence (0008,1198) with the reason for each of the others. It is written and read as DICOM JSON (Annex F) and as the
// Native DICOM Model (PS3.19 §A.1).
//
// It departs from the standard in what it reads: a server's lists are believed and not its status, for some say 200 where they mean 202
// (§10.5.3.2), and what is in no list is not stored; and a request whose start line names no type, or a part that is no DICOM object, is answered part by part. Metadata with
// bulk data apart (§8.6.1.2.1) is not read and never written.
package stow

import (
	"fmt"
	"io"
)

// Media types of PS3.18 §8.7.3.
const (
	TypeDICOM = "application/dicom"
	TypeJSON  = "application/dicom+json"
	TypeXML   = "application/dicom+xml"
)

// Reasons of a failure: statuses of PS3.7 Annex C and PS3.4 §B.2.3, as PS3.18 Table I.2-2 wants them in (0008,1197).
const (
	ProcessingFailure  uint16 = 0x0110
	DuplicateInstance  uint16 = 0x0111
	NotAuthorized      uint16 = 0x0124
	ClassNotSupported  uint16 = 0x0122
	OutOfResources     uint16 = 0xA700
	DataSetMismatch    uint16 = 0xA900 // and those after it: the data set is not of its SOP Class
	CannotUnderstand   uint16 = 0xC000 // and those after it
	SyntaxNotSupported uint16 = 0xC122
)

// Object is one instance to be stored: a Part 10 file (PS3.10 §7).
type Object struct {
	SOPClass, SOPInstance string
	Size                  int64 // bytes of the file; Open gives as many
	Open                  func() (io.ReadCloser, error)
}

// Fate says what became of an instance.
type Fate uint8

// The fates. The zero one promises nothing.
const (
	Unknown Fate = iota // the server does not say: to be sent again
	Stored              // also where the server had it already, or changed something and says so
	Failed              // by the reason; Again says whether another try may help
)

// Outcome is what a server says of one instance.
type Outcome struct {
	Fate   Fate
	Reason uint16 // of a failure, or of the warning of a stored one
}

// Again says that the server may take the instance another time: it had no room, or does not say why not (PS3.4 Table B.2-1).
func (o Outcome) Again() bool {
	return o.Fate == Unknown || o.Fate == Failed && (o.Reason>>8 == OutOfResources>>8 || o.Reason == ProcessingFailure || o.Reason == 0)
}

func (o Outcome) String() string {
	switch o.Fate {
	case Stored:
		if o.Reason != 0 {
			return fmt.Sprintf("stored, with the warning %04X", o.Reason)
		}
		return "stored"
	case Failed:
		return fmt.Sprintf("not taken, status %04X", o.Reason)
	}
	return "the server does not say what became of it"
}

// of makes the outcome of a failure: who has an instance already has it.
func of(reason uint16) Outcome {
	if reason == DuplicateInstance {
		return Outcome{Fate: Stored, Reason: reason}
	}
	return Outcome{Fate: Failed, Reason: reason}
}
