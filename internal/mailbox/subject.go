package mailbox

import (
	"carepost/dicom/fileset"
	"carepost/internal/transit"
)

// PatientsOf are those that a set is about, with their studies, as an audit names them.
func PatientsOf(set []fileset.Patient) (out []transit.Patient) {
	for _, p := range set {
		to := transit.Patient{ID: p.ID, Name: p.Name}
		for _, st := range p.Studies {
			study := transit.Study{UID: st.UID, Accession: st.Accession, Classes: map[string]int{}}
			for _, se := range st.Series {
				for _, x := range se.Instances {
					study.Classes[x.SOPClass]++
				}
			}
			to.Studies = append(to.Studies, study)
		}
		out = append(out, to)
	}
	return out
}
