package trial_test

const (
	canarySubject = "Zeisigwort"
	canaryBody    = "Pirolsatz"
)
