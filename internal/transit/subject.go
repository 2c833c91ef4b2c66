package transit

// Subjects are the patients and studies that a message is about, as far as a file-set, a package of documents or a context in it tells: what
// an audit of sending and receiving names. They are people's data: they stand in sealed columns alone.
type Subjects struct {
	Patients []Patient `json:"patients,omitempty"`
	Package  bool      `json:"package,omitempty"` // it carries a package of documents (XDM)
	Left     int       `json:"left,omitempty"`    // how many patients, studies and SOP Classes more there are: more than are kept
}

// Patient of a message.
type Patient struct {
	ID      string  `json:"id,omitempty"`
	Name    string  `json:"name,omitempty"`
	Studies []Study `json:"studies,omitempty"`
}

// Study of a patient.
type Study struct {
	UID       string         `json:"uid,omitempty"`
	Accession string         `json:"accession,omitempty"`
	Classes   map[string]int `json:"classes,omitempty"` // how many instances of each SOP Class
}

// Bounds of what is kept of one message.
const (
	maxSubjects     = 1000 // patients, studies and SOP Classes of studies together
	maxSubjectBytes = 128  // octets of each text: a UID and a Patient ID have 64 characters at most
)

// Bounded is s with its texts cut and what is too much counted in Left: a stranger has made them.
func (s Subjects) Bounded() Subjects {
	out, room := Subjects{Package: s.Package, Left: s.Left}, maxSubjects
	take := func() bool {
		if room > 0 {
			room--
			return true
		}
		out.Left++
		return false
	}
	for _, p := range s.Patients {
		kept := Patient{ID: cut(p.ID), Name: cut(p.Name)}
		there := take()
		for _, st := range p.Studies {
			study := Study{UID: cut(st.UID), Accession: cut(st.Accession)}
			keep := take()
			for class, n := range st.Classes {
				if take() {
					if study.Classes == nil {
						study.Classes = map[string]int{}
					}
					study.Classes[cut(class)] += n
				}
			}
			if keep {
				kept.Studies = append(kept.Studies, study)
			}
		}
		if there {
			out.Patients = append(out.Patients, kept)
		}
	}
	return out
}

// cut shortens a text, at a character.
func cut(s string) string {
	if len(s) <= maxSubjectBytes {
		return s
	}
	n := maxSubjectBytes
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}
