package dimse

// Tables is what a conformance statement tells of this room.
type Tables struct {
	Limits   Limits   // the defaults
	Contexts int      // presentation contexts of an association, at most
	Statuses []Status // that a Server and the Handlers of this product give
}

// NewTables gives the tables that the room works by.
func NewTables() Tables {
	return Tables{Limits{}.defaulted(), maxContexts, []Status{Success, InvalidInstance, ClassNotSupported, OutOfResources,
		DataSetMismatch, CannotUnderstand}}
}
