package statement

import "carepost/dicom/deid"

// privacy are the profile and the options of de-identification.
func privacy() (out []Option) {
	for _, o := range deid.Options() {
		out = append(out, Option{o.Code, o.Meaning, true})
	}
	for _, o := range deid.NotOffered() {
		out = append(out, Option{o.Code, o.Meaning, false})
	}
	return out
}
