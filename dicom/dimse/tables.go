package dimse

// Tables is what a conformance statement tells of this room.
type Tables struct {
	Limits   Limits // the defaults
	Contexts int    // presentation contexts of an association, at most
	Statuses []Status
}

// NewTables gives the tables that the room works by.
func NewTables() Tables {
	return Tables{Limits{}.defaulted(), maxContexts, []Status{Success, ProcessingFailure, InvalidInstance, ClassNotSupported, NotAuthorized,
		OutOfResources, DataSetMismatch, CannotUnderstand}}
}
