package fileset

import (
	"cmp"
	"context"
	"fmt"
	"io"
)

// Limits of what a set may cost its reader. Zero fields stand for the defaults in the comments.
type Limits struct {
	Entries   int   // files in the set: 300,000
	Directory int64 // bytes of DICOMDIR: 256 MiB
	File      int64 // bytes of one file: 64 GiB
	Total     int64 // bytes of all files: 256 GiB
	Ratio     int64 // all bytes to archive bytes, once past 1 GiB: 400
}

var defaultLimits = Limits{Entries: 300_000, Directory: 256 << 20, File: 64 << 30, Total: 256 << 30, Ratio: 400}

// withDefaults fills in what was left at zero.
func (l Limits) withDefaults() Limits {
	d := defaultLimits
	return Limits{Entries: cmp.Or(l.Entries, d.Entries), Directory: cmp.Or(l.Directory, d.Directory), File: cmp.Or(l.File, d.File),
		Total: cmp.Or(l.Total, d.Total), Ratio: cmp.Or(l.Ratio, d.Ratio)}
}

// CheckOptions of CheckZIP and CheckDir.
type CheckOptions struct {
	Limits   Limits
	Progress func(done, total int64) // bytes of files read
}

// Report is what a check found. Missing names each missing instance on one line, Findings has
// the first 1000 of each rule.
type Report struct {
	Verdict   Verdict   `json:"verdict"`
	Patients  int       `json:"patients"`
	Studies   int       `json:"studies"`
	Series    int       `json:"series"`
	Instances int       `json:"instances"` // referenced, found or not
	Found     int       `json:"instances_found"`
	Bytes     int64     `json:"bytes"` // of the instances found
	FileSetID string    `json:"file_set_id,omitempty"`
	UID       string    `json:"file_set_uid,omitempty"`
	Hashed    bool      `json:"hashed"`            // MANIFEST was there and was believed
	Missing   []string  `json:"missing,omitempty"` // the first 10,000
	Findings  []Finding `json:"findings,omitempty"`
	Tree      []Patient `json:"tree,omitempty"`
	Other     []string  `json:"other_files,omitempty"` // files beside the set
}

// Add adds findings made elsewhere (of the mail, of a profile); the verdict follows.
func (r *Report) Add(fs ...Finding) {
	before := r.Verdict
	r.Findings = append(r.Findings, fs...)
	r.Verdict = min(before, verdict(r.Findings))
}

// CheckZIP judges a DICOM.ZIP. An error means that there is no judgement (disk, ctx); a bad set is a Report.
func CheckZIP(ctx context.Context, r io.ReaderAt, size int64, o CheckOptions) (*Report, error) {
	o.Limits = o.Limits.withDefaults()
	v, err := zipVolume(r, size, o.Limits)
	if err != nil {
		return nil, fmt.Errorf("fileset: %w", err)
	}
	return judge(ctx, v, o)
}

// CheckDir judges a File-set in a folder.
func CheckDir(ctx context.Context, dir string, o CheckOptions) (*Report, error) {
	o.Limits = o.Limits.withDefaults()
	v, err := dirVolume(ctx, dir, o.Limits)
	if err != nil {
		return nil, fmt.Errorf("fileset: %w", err)
	}
	return judge(ctx, v, o)
}

func judge(ctx context.Context, v *volume, o CheckOptions) (*Report, error) {
	c, err := check(ctx, v, o, nil)
	if err != nil {
		return nil, fmt.Errorf("fileset: %w", err)
	}
	return c.report, nil
}

// ClassName names a SOP Class for people: its UID when it is none of PS3.4 Annex B.
func ClassName(uid string) string {
	for _, c := range classes {
		if classRoot+c.uid == uid {
			return c.name
		}
	}
	return uid
}
