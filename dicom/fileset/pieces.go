package fileset

import (
	"context"
	"fmt"
	"io"
)

// Piece is a file of an archive that a set may be made of anew.
type Piece struct {
	Name   string // in the archive: it may tell of people
	Size   int64  // bytes
	Object bool   // a DICOM object; else a file that lies beside the set
	Open   func() (io.ReadCloser, error)
}

// PiecesZIP is CheckZIP for who makes a set anew of what an ordinary tool has packed in its own way. The pieces are all files of the archive
// but directory, MANIFEST and what systems leave behind, in the order of the archive; none where nothing but its packing may be wrong: see
// Repackable. They can be read as long as r can.
func PiecesZIP(ctx context.Context, r io.ReaderAt, size int64, o CheckOptions) (*Report, []Piece, error) {
	o.Limits = o.Limits.withDefaults()
	v, err := zipVolume(r, size, o.Limits)
	if err != nil {
		return nil, nil, fmt.Errorf("fileset: %w", err)
	}
	c, err := check(ctx, v, o, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("fileset: %w", err)
	}
	if !c.report.Repackable() {
		return c.report, nil, nil
	}
	var out []Piece
	objects := 0
	for i, f := range v.files {
		x := &c.contents[i]
		if c.l.skip[i] || i == c.l.directory || i == c.manifest {
			continue
		}
		if x.isInstance() {
			objects++
		}
		out = append(out, Piece{Name: f.name, Size: x.size, Object: x.isInstance(), Open: f.open})
	}
	if c.d != nil && objects != c.report.Found {
		return c.report, nil, nil // the directory names something else
	}
	return c.report, out, nil
}

// Repackable says that a set is whole as far as anybody can tell, and that it is packed otherwise than PS3.12 Y has it at most: in a folder, with
// other names, without its directory. What contradicts its directory is not.
func (r *Report) Repackable() bool {
	if r.Found == 0 || r.Found != r.Instances || r.Verdict < Unverifiable {
		return false
	}
	for _, f := range r.Findings {
		switch f.Rule {
		case ruleUndirected.name, ruleWrapped.name, ruleCase.name, ruleExtension.name, ruleZIPSlash.name:
		default:
			if f.Severity != Note {
				return false
			}
		}
	}
	return true
}
