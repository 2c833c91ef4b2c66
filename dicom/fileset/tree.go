package fileset

import "carepost/dicom"

// Patient is a PATIENT record with what hangs below it; texts are decoded for people (PS3.3 C.12.1.1.2).
type Patient struct {
	ID      string  `json:"id"`
	Name    string  `json:"name"`
	Studies []Study `json:"studies,omitempty"`
}

// Study is a STUDY record. Date is YYYYMMDD and Time HHMMSS, as DICOM has them.
type Study struct {
	UID         string   `json:"uid"`
	ID          string   `json:"id"`
	Date        string   `json:"date"`
	Time        string   `json:"time"`
	Description string   `json:"description,omitempty"`
	Accession   string   `json:"accession,omitempty"`
	Series      []Series `json:"series,omitempty"`
}

// Series is a SERIES record.
type Series struct {
	UID       string     `json:"uid"`
	Number    string     `json:"number"`
	Modality  string     `json:"modality"`
	Instances []Instance `json:"instances,omitempty"`
}

// Instance is one SOP Instance of a set.
type Instance struct {
	FileID         string `json:"file_id"` // components joined by "/", the name inside DICOM.ZIP
	Type           string `json:"type"`    // Directory Record Type: IMAGE, SR DOCUMENT, …
	Number         string `json:"number,omitempty"`
	SOPClass       string `json:"sop_class"`
	SOPInstance    string `json:"sop_instance"`
	TransferSyntax string `json:"transfer_syntax"`
	Size           int64  `json:"size"`             // bytes; -1 when missing
	SHA256         string `json:"sha256,omitempty"` // hex, of what was read (Report only)
	Source         string `json:"-"`                // path of the file (Plan only)
	Signed         bool   `json:"signed,omitempty"` // it carries digital signatures (PS3.15 C); nobody has judged them
	Image          Image  `json:"-"`
}

// Image holds what the profiles ask of an image beyond its keys.
type Image struct {
	BitsAllocated, BitsStored int         // 0 when absent
	Absent                    []dicom.Tag // of the Type 2 elements of PS3.11 Table X.4-2, those that are not there
}

// tree makes the listing for people from the records, which hold what was supplied too.
func (a *arranger) tree() {
	next := 0 // instances come in the order of their records
	for i := a.nodes[0].first; i != 0; i = a.nodes[i].next {
		n := &a.nodes[i]
		if n.typ != "PATIENT" {
			continue
		}
		p := treePatient(keys(n.body))
		for j := n.first; j != 0; j = a.nodes[j].next {
			st := treeStudy(keys(a.nodes[j].body))
			for k := a.nodes[j].first; k != 0; k = a.nodes[k].next {
				se := treeSeries(keys(a.nodes[k].body))
				from := next
				for l := a.nodes[k].first; l != 0; l = a.nodes[l].next {
					next++
				}
				se.Instances = a.p.Instances[from:next:next]
				st.Series = append(st.Series, se)
			}
			p.Studies = append(p.Studies, st)
		}
		a.p.Tree = append(a.p.Tree, p)
	}
}

func treePatient(k keys) Patient {
	cs := k.text(tagCharset)
	return Patient{ID: k.shown(tagPatientID, cs), Name: k.shown(tagName, cs)}
}

func treeStudy(k keys) Study {
	cs := k.text(tagCharset)
	return Study{UID: k.text(tagStudyUID), ID: k.shown(tagStudyID, cs), Date: k.shown(tagStudyDate, ""), Time: k.shown(tagStudyTime, ""),
		Description: k.shown(tagStudyDesc, cs), Accession: k.shown(tagAccession, cs)}
}

func treeSeries(k keys) Series {
	return Series{UID: k.text(tagSeriesUID), Number: k.shown(tagSeriesNo, ""), Modality: k.shown(tagModality, "")}
}

// exact decodes a value for comparing.
func (k keys) exact(t dicom.Tag, charset string) string {
	v, _ := k.find(t)
	return dicom.Exact([]byte(v), charset)
}

// shown decodes a value for people.
func (k keys) shown(t dicom.Tag, charset string) string {
	v, _ := k.find(t)
	return dicom.Text([]byte(v), charset)
}
