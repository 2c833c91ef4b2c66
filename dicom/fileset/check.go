package fileset

import (
	"context"
	"io"
)

// Limits of what a set may cost its reader. Zero fields stand for the defaults in the comments.
type Limits struct {
	Entries   int   // files in the set: 300,000
	Directory int64 // bytes of DICOMDIR: 256 MiB
	File      int64 // bytes of one file: 64 GiB
	Total     int64 // bytes of all files: 256 GiB
	Ratio     int64 // all bytes to archive bytes, once past 256 MiB: 400
}

// CheckOptions of CheckZIP and CheckDir.
type CheckOptions struct {
	Limits   Limits
	Progress func(done, total int64) // bytes of files read
}

// Report is what a check found. Missing names each missing instance on one line.
type Report struct {
	Verdict   Verdict   `json:"verdict"`
	Patients  int       `json:"patients"`
	Studies   int       `json:"studies"`
	Series    int       `json:"series"`
	Instances int       `json:"instances"` // referenced, found or not
	Bytes     int64     `json:"bytes"`     // of the instances found
	FileSetID string    `json:"file_set_id,omitempty"`
	UID       string    `json:"file_set_uid,omitempty"`
	Hashed    bool      `json:"hashed"` // MANIFEST was there and was believed
	Missing   []string  `json:"missing,omitempty"`
	Findings  []Finding `json:"findings,omitempty"`
	Tree      []Patient `json:"tree,omitempty"`
	Other     []string  `json:"other_files,omitempty"` // files beside the set
}

// CheckZIP judges a DICOM.ZIP. An error means that there is no judgement (disk, ctx); a bad set is a Report.
func CheckZIP(ctx context.Context, r io.ReaderAt, size int64, o CheckOptions) (*Report, error) {
	panic("unimplemented")
}

// CheckDir judges a File-set in a folder.
func CheckDir(ctx context.Context, dir string, o CheckOptions) (*Report, error) {
	panic("unimplemented")
}

// UnpackOptions of Unpack. The zero value takes out COMPLETE sets alone.
type UnpackOptions struct {
	CheckOptions
	AllowViolations bool
	AllowIncomplete bool // also VIOLATIONS
}

// Unpack judges a DICOM.ZIP and, if it may, puts the set into dir, which must not exist or be empty. The files are written to a folder
// beside it that is renamed at the end. Instances and DICOMDIR are written byte for byte under their File IDs.
func Unpack(ctx context.Context, r io.ReaderAt, size int64, dir string, o UnpackOptions) (*Report, error) {
	panic("unimplemented")
}
