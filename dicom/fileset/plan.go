package fileset

import (
	"fmt"
	"strings"
)

// ScanOptions says how strictly Scan takes its sources. The zero value stops at everything doubtful.
type ScanOptions struct {
	AllowNames    bool   // go on when one Patient ID has several names
	AllowParents  bool   // go on when one study stands under two patients, or one series under two studies
	AllowVersions bool   // go on when one instance has different bytes: the file given first is packed
	SkipForeign   bool   // leave out files of given folders that are no DICOM objects, each with a note
	Stored        bool   // deflate nothing
	FileSetID     string // (0004,1130), up to 16 of A-Z 0-9 _; empty = CAREPOST
	Exclude       string // a file that is passed over in folders: the archive about to be written
	NoDate        string // Study Date of a record whose instances have no date at all, YYYYMMDD; empty = 19000101
	Progress      func(files int)

	// Hold keeps small files open until Plan.Close, as far as the system's limit of open files goes: they are not opened again when
	// they are packed. It is for programs that have nothing else to open; without effect but on Linux.
	Hold bool

	adopted map[string]string // Patient IDs by Study Instance UID, of a set that this one is a part of; nil: it is none
}

// Plan is a File-set that can be written. Its sources stay where they are until WriteZIP.
type Plan struct {
	Tree      []Patient
	Instances []Instance // in the order of the archive
	Patients  int
	Studies   int
	Series    int
	Bytes     int64 // of all instances
	Findings  []Finding
	UID       string     // File-set UID, made from the content
	Overruled []Conflict // those that the set is made with all the same

	apart     int // instances of no patient, which come last
	stored    bool
	extras    []Extra
	directory []byte
	sources   []source
	held      *held             // of the sources, those that are open; may be nil
	adopted   map[string]string // Patient IDs of studies with instances that have none
}

// Close lets go of files that are held open (ScanOptions.Hold). The Plan stays good.
func (p *Plan) Close() { p.held.close() }

// Apart are the instances that stand beside the patients, and so not in Tree: hanging protocols, implants and their like.
func (p *Plan) Apart() []Instance { return p.Instances[len(p.Instances)-p.apart:] }

// Problem is one reason not to pack, with the files it concerns.
type Problem struct {
	Files   []string
	Reason  string
	Source  string // clause
	Damaged bool   // a file is cut or broken, rather than out of place
	Foreign bool   // ScanOptions.SkipForeign would leave it out

	Conflict Conflict // what ScanOptions would have to allow; "" where nothing helps
}

// InputError lists everything that keeps a set from being packed.
type InputError struct{ Problems []Problem }

func (e *InputError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "fileset: %d reasons not to pack; nothing was written", len(e.Problems))
	if len(e.Problems) == 1 {
		b.Reset()
		b.WriteString("fileset: not packed; nothing was written")
	}
	return b.String() + e.List()
}

// maxProblems is how many lines are told of what is in the way: whoever mends those sees the others next.
const maxProblems = 200

// List has a line for each problem, after a line end. Names of files are made printable: a folder may come from anybody.
func (e *InputError) List() string {
	var b strings.Builder
	for i, p := range e.Problems {
		if i == maxProblems {
			fmt.Fprintf(&b, "\n  and %d more", len(e.Problems)-i)
			break
		}
		fmt.Fprintf(&b, "\n  %s: %s", clean(strings.Join(p.Files, ", ")), clean(p.Reason))
		if p.Source != "" {
			fmt.Fprintf(&b, " [%s]", p.Source)
		}
	}
	return b.String()
}
