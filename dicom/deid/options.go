package deid

// Coded is a profile or an option by its code (PS3.16 CID 7050) and meaning, for a conformance statement.
type Coded struct{ Name, Code, Meaning string }

// NotOffered are the options that change pixels, which this package never does.
func NotOffered() []Coded {
	return []Coded{{Code: "113101", Meaning: "Clean Pixel Data Option"}, {Code: "113102", Meaning: "Clean Recognizable Visual Features Option"}}
}

// Options are the Basic Profile and all options, as (0012,0064) names them; Name is how ParseOptions knows one, empty for the profile.
func Options() []Coded {
	out := []Coded{{Code: "113100", Meaning: "Basic Application Confidentiality Profile"}}
	for _, o := range options {
		out = append(out, Coded{o.name, o.code, o.meaning})
	}
	return out
}
