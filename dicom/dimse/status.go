package dimse

import "fmt"

// Status is the answer to an operation (PS3.7 Annex C, PS3.4 §B.2.3).
type Status uint16

// Statuses that a Handler may give. All but Success and the warnings say that the instance was not taken.
const (
	Success               Status = 0x0000
	CoercedElements       Status = 0xB000 // warning
	ElementsDiscarded     Status = 0xB006 // warning
	DataSetOddWarning     Status = 0xB007 // warning: the data set does not match its SOP class
	ProcessingFailure     Status = 0x0110
	DuplicateInstance     Status = 0x0111
	InvalidInstance       Status = 0x0117
	ClassNotSupported     Status = 0x0122
	NotAuthorized         Status = 0x0124
	UnrecognizedOperation Status = 0x0211
	OutOfResources        Status = 0xA700 // try again later
	DataSetMismatch       Status = 0xA900
	CannotUnderstand      Status = 0xC000
)

// Warning says that the instance was taken, though not quite as it was sent (PS3.7 §C.4).
func (s Status) Warning() bool { return s == 0x0001 || s == 0x0107 || s == 0x0116 || s>>12 == 0xB }

// Stored says that the instance was taken.
func (s Status) Stored() bool { return s == Success || s.Warning() }

// Temporary says that the same instance may be taken another time.
func (s Status) Temporary() bool { return s>>8 == 0xA7 || s == ProcessingFailure }

// String gives the code and what it means.
func (s Status) String() string { return fmt.Sprintf("%04XH %s", uint16(s), s.meaning()) }

func (s Status) meaning() string {
	switch s {
	case Success:
		return "success"
	case CoercedElements:
		return "stored, elements coerced"
	case ElementsDiscarded:
		return "stored, elements discarded"
	case DataSetOddWarning:
		return "stored, the data set does not match its SOP class"
	case ProcessingFailure:
		return "processing failure"
	case DuplicateInstance:
		return "duplicate SOP instance"
	case InvalidInstance:
		return "invalid SOP instance"
	case ClassNotSupported:
		return "SOP class not supported"
	case NotAuthorized:
		return "not authorized"
	case UnrecognizedOperation:
		return "unrecognized operation"
	}
	switch {
	case s.Warning():
		return "stored with a warning"
	case s>>8 == 0xA7:
		return "out of resources"
	case s>>8 == 0xA9:
		return "the data set does not match its SOP class"
	case s>>12 == 0xC:
		return "cannot be understood"
	}
	return "failure"
}
