package dicomweb

import (
	"time"

	"carepost/dicom/stow"
	"carepost/internal/intake"
)

// Tables are what a Server holds to, for the conformance statement.
type Tables struct {
	Connections int           // at once
	Objects     int           // of one request
	Unreadable  int           // parts of one request that are no objects
	Within      int           // octets of an object within which its UIDs stand
	Idle        time.Duration // between two reads of a body
	Reasons     []uint16      // of (0008,1197)
}

// NewTables gives what every Server holds to.
func NewTables() Tables {
	t := Tables{maxConnections, maxParts, maxUnreadable, maxPeek, silence, nil}
	for _, x := range failures() {
		t.Reasons = append(t.Reasons, x.status)
	}
	t.Reasons = append(t.Reasons, stow.ProcessingFailure)
	return t
}

// failure is the status for what package intake says (PS3.18 Table I.2-2).
type failure struct {
	is     error
	status uint16
}

func failures() []failure {
	return []failure{
		{intake.ErrRoom, stow.OutOfResources}, {intake.ErrMismatch, stow.DataSetMismatch},
		{intake.ErrObject, stow.CannotUnderstand},
	}
}
