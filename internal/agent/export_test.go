package agent

import "carepost/trust"

// Demands are the rows of the table, by name.
func Demands() map[string][3]trust.Status {
	out := map[string][3]trust.Status{}
	for _, d := range demands {
		out[d.name] = d.made
	}
	return out
}
