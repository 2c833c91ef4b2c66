package auditor

import (
	"maps"
	"net/netip"
	"slices"

	"carepost/atna"
	"carepost/internal/audit"
	"carepost/internal/transit"
)

// transferred tells that a device of the house has handed a study in (A.5.3.7).
func (s Source) transferred(r audit.Record, most int) ([]atna.Message, error) {
	m := s.message(r, atna.Transferred, atna.Create)
	device := place(atna.Participant{UserID: or(r.Detail[keyCalling], "unknown"), Requestor: true, Roles: []atna.Code{atna.SourceRole}}, r.Detail[keyPeer], atna.IP)
	m.Participants = []atna.Participant{titled(device, r.Detail[keyCalling]), titled(s.us(false, atna.Destination), r.Detail[keyCalled])}
	return s.about(m, r, atna.Imported, r.Detail[keyTLS] != "", most)
}

// given tells that a study that came by mail was given to an archive (A.5.3.7), or a part of it. Of one that nobody took there is nothing to
// tell. What is tried again after that is told again: as a whole then.
func (s Source) given(r audit.Record, most int) ([]atna.Message, error) {
	failed := r.Action == "study.hand-over-fail"
	if taken := r.Detail[keyTaken]; failed && (taken == "" || taken == "0") && r.State != audit.Erased {
		return nil, nil
	}
	m := s.message(r, atna.Transferred, atna.Create)
	if failed {
		m.Event.Outcome, m.Event.Words = atna.MinorFailure, clip("the destination has a part of it: "+r.Detail[keyTaken]+" instances", maxWords)
	}
	archive := atna.Participant{UserID: or(or(r.Detail[keyCalled], r.Detail[keyTarget]), "unknown"), Roles: []atna.Code{atna.Destination}}
	kind := atna.Machine
	if _, err := netip.ParseAddr(r.Detail[keyHost]); err == nil {
		kind = atna.IP
	}
	m.Participants = []atna.Participant{titled(s.us(true, atna.SourceRole), r.Detail[keyCalling]), titled(place(archive, r.Detail[keyHost], kind), r.Detail[keyCalled])}
	return s.about(m, r, atna.Exported, r.Detail[keyTLS] != "", most)
}

// titled adds an AE title (A.5.1).
func titled(p atna.Participant, title string) atna.Participant {
	if title != "" {
		p.Alternative = "AETITLES=" + title
	}
	return p
}

func patients(s transit.Subjects) (out []atna.Patient) {
	for _, p := range s.Patients {
		to := atna.Patient{ID: p.ID, Name: p.Name}
		for _, st := range p.Studies {
			study := atna.Study{UID: st.UID, Accession: st.Accession}
			for _, uid := range slices.Sorted(maps.Keys(st.Classes)) {
				study.Classes = append(study.Classes, atna.Class{UID: uid, Instances: st.Classes[uid]})
			}
			to.Studies = append(to.Studies, study)
		}
		out = append(out, to)
	}
	return out
}
