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
	Image          Image  `json:"-"`
}

// Image holds what the profiles ask of an image beyond its keys.
type Image struct {
	BitsAllocated, BitsStored int         // 0 when absent
	Absent                    []dicom.Tag // of the Type 2 elements of PS3.11 Table X.4-2, those that are not there
}
