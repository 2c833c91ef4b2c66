package statement

// web is the user agent of DICOMweb.
func web() Entity {
	return Entity{
		Name:    "STOW-RS user agent",
		Purpose: "Gives instances that arrived to archives that take them by HTTP.",
		Services: []Service{
			{Name: "DICOMweb Store Transaction (PS3.18 10.5)", User: true, Syntaxes: "that of the instance alone: nothing is converted"},
		},
		Parameters: []Parameter{
			{"representation", `multipart/related; type="application/dicom", one instance in each part`},
			{"answer", "asked for as application/dicom+json"},
			{"instances that are not taken", "listed; those that may be taken later are tried again on their own"},
		},
	}
}
