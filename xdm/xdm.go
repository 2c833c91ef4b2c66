// Package xdm makes and reads packages of documents with their metadata: IHE Cross-Enterprise Document Media Interchange, sent as one ZIP
// in a mail.
//
// It follows IHE ITI TF-1 16, ITI TF-2 3.32 (ITI-32, Distribute Document Set on Media, with its options ZIP and ZIP over Email) and ITI TF-3
// 4.1–4.2 (ebRIM metadata), with what "XDR and XDM for Direct Messaging" makes of them: limited metadata, to which each document adds size,
// SHA-1 and URI; the author and the recipients are Direct addresses. Prepare reads the documents and makes a Plan, Plan.Write writes it;
// Check judges what arrived, Unpack takes it out. The ZIP is read under the guard of package fileset; METADATA.XML is read without DTDs and
// entities, with limits of size, depth and number.
//
// It departs from them in what it reads, each time with a finding: names in any case of letters, any folder for a submission set, the
// metadata of the Java reference implementation, which leaves out the slash of its paths, documents that no URI leads to but the hash does,
// missing INDEX.HTM and README.TXT. In writing, an identifier is made of what it stands for (2.25.N), so that the same documents, sent by the
// same author at the same time, give the same bytes.
package xdm

import (
	"errors"
	"time"

	"carepost/addr"
	"carepost/dicom/fileset"
)

// Names of a package (ITI TF-2 3.32.4.1.2).
const (
	FolderName   = "IHE_XDM"
	SubsetName   = "SUBSET01"
	MetadataName = "METADATA.XML"
	IndexName    = "INDEX.HTM"
	ReadmeName   = "README.TXT"
)

// Code is a coded value (ITI TF-3 4.2.3.1.2).
type Code struct {
	Value   string `json:"value"`
	Scheme  string `json:"scheme,omitempty"` // OID, or a name
	Display string `json:"display,omitempty"`
}

// Codes that are used where the sender gives none.
var (
	noteCode    = Code{"34109-9", "2.16.840.1.113883.6.1", "Note"}
	imagingCode = Code{"18748-4", "2.16.840.1.113883.6.1", "Diagnostic imaging study"}
	plainFormat = Code{"urn:ihe:iti:xds:2017:mimeTypeSufficient", "1.3.6.1.4.1.19376.1.2.3", "mimeType Sufficient"}
	normal      = Code{"N", "2.16.840.1.113883.5.25", "Normal"}
)

// Identifier names a patient: a value and the OID of who gave it (CX, ITI TF-3 4.2.3.1.7).
type Identifier struct {
	Authority string `json:"authority,omitempty"`
	Value     string `json:"value"`
}

// Patient is what the sender says of the patient (sourcePatientId, sourcePatientInfo). Texts are those of HL7 v2, "^" between components.
type Patient struct {
	IDs     []Identifier `json:"ids,omitempty"`
	Name    string       `json:"name,omitempty"`  // PID-5: Family^Given^Middle
	Birth   string       `json:"birth,omitempty"` // PID-7: YYYYMMDD
	Sex     string       `json:"sex,omitempty"`   // PID-8
	Address string       `json:"address,omitempty"`
}

// SubmissionSet is what was sent at once.
type SubmissionSet struct {
	Folder      string     `json:"folder"` // in the archive
	UniqueID    string     `json:"unique_id"`
	SourceID    string     `json:"source_id,omitempty"`
	Title       string     `json:"title,omitempty"`
	Comments    string     `json:"comments,omitempty"`
	Submitted   string     `json:"submitted,omitempty"` // YYYYMMDDHHMMSS or less, UTC
	ContentType Code       `json:"content_type"`
	Authors     []string   `json:"authors,omitempty"` // addresses, else names
	Recipients  []string   `json:"recipients,omitempty"`
	Patient     Patient    `json:"patient"`
	Limited     bool       `json:"limited_metadata"`
	Documents   []Document `json:"documents"`
}

// Document is an entry of the metadata, and the file that it leads to.
type Document struct {
	UniqueID   string   `json:"unique_id"`
	Title      string   `json:"title,omitempty"`
	MIMEType   string   `json:"mime_type"`
	URI        string   `json:"uri,omitempty"`
	File       string   `json:"file,omitempty"` // in the archive; empty: missing
	Size       int64    `json:"size"`           // of the file, else as declared, else -1
	Hash       string   `json:"sha1,omitempty"` // of the file, else as declared; hex
	Created    string   `json:"created,omitempty"`
	Language   string   `json:"language,omitempty"`
	Class      Code     `json:"class"`
	Type       Code     `json:"type"`
	Format     Code     `json:"format"`
	Authors    []string `json:"authors,omitempty"`
	Patient    Patient  `json:"patient"`
	References []string `json:"references,omitempty"` // referenceIdList: Study Instance UIDs and the like
}

// Report is what a check found.
type Report struct {
	Verdict   fileset.Verdict   `json:"verdict"`
	Sets      []SubmissionSet   `json:"submission_sets,omitempty"`
	Documents int               `json:"documents"` // named by the metadata
	Found     int               `json:"documents_found"`
	Bytes     int64             `json:"bytes"`    // of those found
	FileSet   bool              `json:"file_set"` // a DICOMDIR stands beside it: see package fileset for what it names
	Findings  []fileset.Finding `json:"findings,omitempty"`
	Other     []string          `json:"other_files,omitempty"` // that no entry leads to, the first 1000
}

// ErrNoPackage says that an archive is none of these packages.
var ErrNoPackage = errors.New("xdm: no XDM package")

// Letter is what a package says of itself.
type Letter struct {
	Author     addr.Address
	Recipients []addr.Address
	Submitted  time.Time
	Title      string // the subject, perhaps
	Patient    Patient
	Documents  []Input
	Studies    []string // Study Instance UIDs of the File-set that stands beside the package
}

// UTC in the form of DTM (ITI TF-3 4.2.3.1.7).
func stamp(t time.Time) string { return t.UTC().Format("20060102150405") }
